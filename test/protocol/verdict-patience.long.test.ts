// The inspection takes many times as long as one request may wait for the verdict.
import { describe, expect, it, onTestFinished } from 'vitest';
import { videoBytes } from '../support/content.ts';
import { dropFirstResponses, startFaultProxy } from '../support/fault-proxy.ts';
import { QUICK_RETRIES, uploadWithStockClient } from '../support/stock-client.ts';
import { ENDINGS, expectTrueVerdict, startVerdictServer } from '../support/verdicts.ts';

const LENGTH = 300_000;

describe('an inspection longer than ten patience limits', () => {
  const PATIENCE = 100;
  const INSPECTION = 25 * PATIENCE;

  it.for(ENDINGS.flatMap((ending) => [0, 1, 2].map((drops) => ({ ending, drops }))))(
    'ends in $ending for a stock client that loses $drops answers',
    async ({ ending, drops }) => {
      const inspectionMs = ending === 'fault' ? INSPECTION / 2 : INSPECTION;
      // A slow machine takes longer for each request, so the inspection waits for them.
      const server = await startVerdictServer(ending, { patience: PATIENCE }, inspectionMs, () => asked() > 10);
      const proxy = await startFaultProxy({ upstream: server.url, onRequest: dropFirstResponses(drops, ['PATCH']) });
      onTestFinished(() => proxy.close());
      const asked = () => proxy.exchanges.filter(({ method }) => method === 'PATCH').length;
      const bytes = await videoBytes(LENGTH);
      const told = await uploadWithStockClient(`${proxy.url}/files`, bytes, 'film.mp4', { retryDelays: QUICK_RETRIES });
      await expectTrueVerdict(server, ending, told, bytes);
      // The client asked repeatedly, at the pace of our Retry-After.
      expect(asked()).toBeGreaterThan(10);
      expect(asked()).toBeLessThan(60);
    },
  );

  it.for(ENDINGS)('ends in %s with the default retry delays', async (ending) => {
    const server = await startVerdictServer(ending, { patience: PATIENCE }, INSPECTION);
    const bytes = await videoBytes(LENGTH);
    const told = await uploadWithStockClient(server.files, bytes, 'film.mp4');
    await expectTrueVerdict(server, ending, told, bytes);
  });

  it.for(ENDINGS)('ends in %s for a client that sends everything with the creation', async (ending) => {
    const server = await startVerdictServer(ending, { patience: PATIENCE }, INSPECTION);
    const bytes = await videoBytes(LENGTH);
    const told = await uploadWithStockClient(server.files, bytes, 'film.mp4', { uploadDataDuringCreation: true });
    await expectTrueVerdict(server, ending, told, bytes);
  });
});
