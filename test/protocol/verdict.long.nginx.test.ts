// The server behind nginx: with request buffering nginx hides when the client sends and when it disconnects.
import { describe, expect, it, onTestFinished } from 'vitest';
import { videoBytes } from '../support/content.ts';
import { dropFirstResponses, startFaultProxy } from '../support/fault-proxy.ts';
import { startNginx } from '../support/nginx.ts';
import { QUICK_RETRIES, uploadWithStockClient } from '../support/stock-client.ts';
import { ENDINGS, expectTrueVerdict, startVerdictServer, type VerdictServer } from '../support/verdicts.ts';

const LENGTH = 3_000_000;
/** Two lost answers in a row cover the case of one. */
const DROPS = process.env.LANDFALL_TEST_LONG === '1' ? [0, 1, 2] : [0, 2];
const PATIENCE = 100;

async function startChain(server: VerdictServer, requestBuffering: boolean, drops: number, methods: string[]) {
  const upstream = await startNginx({ upstream: server.url, requestBuffering });
  const proxy = await startFaultProxy({ upstream, onRequest: dropFirstResponses(drops, methods) });
  onTestFinished(() => proxy.close());
  return proxy;
}

describe.for([true, false])('a stock client behind nginx with request buffering %s', (requestBuffering) => {
  const cases = ENDINGS.flatMap((ending) => DROPS.map((drops) => ({ ending, drops })));

  it.for(cases)('ends in $ending when $drops answers to PATCH and to HEAD are lost', async ({ ending, drops }) => {
    const server = await startVerdictServer(ending);
    const proxy = await startChain(server, requestBuffering, drops, ['PATCH', 'HEAD']);
    const bytes = await videoBytes(LENGTH);
    const told = await uploadWithStockClient(`${proxy.url}/files`, bytes, 'film.mp4', { retryDelays: QUICK_RETRIES });
    await expectTrueVerdict(server, ending, told, bytes);
  });

  it.for(ENDINGS)('ends in %s after an inspection longer than ten patience limits', async (ending) => {
    const server = await startVerdictServer(ending, { patience: PATIENCE }, PATIENCE * (ending === 'fault' ? 8 : 15));
    const proxy = await startChain(server, requestBuffering, 1, ['PATCH']);
    const bytes = await videoBytes(LENGTH);
    const told = await uploadWithStockClient(`${proxy.url}/files`, bytes, 'film.mp4', { retryDelays: QUICK_RETRIES });
    await expectTrueVerdict(server, ending, told, bytes);
  });

  it('gets an early refusal and does not send the file again and again', async () => {
    const server = await startVerdictServer('accept');
    const proxy = await startChain(server, requestBuffering, 0, []);
    const program = Buffer.concat([Buffer.from('\x7fELF\x02\x01\x01', 'latin1'), Buffer.alloc(30 * 1024 * 1024, 7)]);
    const told = await uploadWithStockClient(`${proxy.url}/files`, program, 'film.mp4', { retryDelays: QUICK_RETRIES });
    expect(told).toMatchObject({ outcome: 'error', status: 422 });
    expect(proxy.bytes).toBeLessThan(program.length * 1.5);
  });
});
