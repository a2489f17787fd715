// A stock client behind a network that loses answers still gets the true verdict.
import { describe, expect, it, onTestFinished } from 'vitest';
import { videoBytes } from '../support/content.ts';
import { dropFirstResponses, startFaultProxy } from '../support/fault-proxy.ts';
import { QUICK_RETRIES, uploadWithStockClient } from '../support/stock-client.ts';
import { ENDINGS, type Ending, expectTrueVerdict, startVerdictServer, type VerdictServer } from '../support/verdicts.ts';

const LENGTH = 300_000;
const CHUNK = 128 * 1024;

async function startProxy(server: VerdictServer, drops: number, methods: readonly string[], isWanted?: (bytes: number) => boolean) {
  const proxy = await startFaultProxy({
    upstream: server.url,
    onRequest: dropFirstResponses(drops, methods, ({ headers }) => isWanted?.(Number(headers['upload-offset'] ?? 0)) ?? true),
  });
  onTestFinished(() => proxy.close());
  return proxy;
}

const matrix: { ending: Ending; drops: number; method: string }[] = [];
for (const ending of ENDINGS) {
  matrix.push({ ending, drops: 0, method: 'PATCH' });
  for (const method of ['POST', 'PATCH', 'HEAD']) for (const drops of [1, 2]) matrix.push({ ending, drops, method });
}

describe('tus-js-client with lost answers', () => {
  it.for(matrix)('ends in $ending when $drops answers to $method are lost', async ({ ending, drops, method }) => {
    const server = await startVerdictServer(ending);
    // The client sends HEAD only after an answer was lost.
    const methods = method === 'HEAD' ? ['HEAD', 'PATCH'] : [method];
    const proxy = await startProxy(server, drops, methods);
    const bytes = await videoBytes(LENGTH);
    const told = await uploadWithStockClient(`${proxy.url}/files`, bytes, 'film.mp4', { retryDelays: QUICK_RETRIES });
    await expectTrueVerdict(server, ending, told, bytes);
    const dropped = proxy.exchanges.filter((exchange) => exchange.method === method && exchange.fault?.kind === 'drop-response');
    // If the first HEAD after a loss already shows acceptance, there is no second PATCH to lose.
    expect(dropped.length).toBeGreaterThanOrEqual(Math.min(drops, 1));
    expect(dropped.length).toBeLessThanOrEqual(drops);
  });

  it.for(matrix.filter(({ method, drops }) => method === 'PATCH' && drops > 0))(
    'ends in $ending when $drops answers to the last chunk of several are lost',
    async ({ ending, drops }) => {
      const server = await startVerdictServer(ending);
      const proxy = await startProxy(server, drops, ['PATCH'], (offset) => offset >= CHUNK * 2);
      const bytes = await videoBytes(LENGTH);
      const told = await uploadWithStockClient(`${proxy.url}/files`, bytes, 'film.mp4', { retryDelays: QUICK_RETRIES, chunkSize: CHUNK });
      await expectTrueVerdict(server, ending, told, bytes);
    },
  );

  it.for(ENDINGS.flatMap((ending) => [0, 1, 2].map((drops) => ({ ending, drops }))))(
    'ends in $ending with all bytes in the creation and $drops answers lost',
    async ({ ending, drops }) => {
      const server = await startVerdictServer(ending);
      // The proxy lets the answer to the creation pass: without an Idempotency-Key its loss causes a second upload.
      const proxy = await startProxy(server, drops, ['HEAD', 'PATCH']);
      const bytes = await videoBytes(LENGTH);
      const told = await uploadWithStockClient(`${proxy.url}/files`, bytes, 'film.mp4', {
        retryDelays: QUICK_RETRIES,
        uploadDataDuringCreation: true,
      });
      await expectTrueVerdict(server, ending, told, bytes);
    },
  );

  it.for(ENDINGS)('ends in %s with its default retry delays', async (ending) => {
    const server = await startVerdictServer(ending);
    const proxy = await startProxy(server, 2, ['PATCH']);
    const bytes = await videoBytes(LENGTH);
    const told = await uploadWithStockClient(`${proxy.url}/files`, bytes, 'film.mp4');
    await expectTrueVerdict(server, ending, told, bytes);
  });
});
