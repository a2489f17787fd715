// How tus-js-client 4.3.1 handles faults of networks and servers, and how our client handles the same fault. When one of these
// tests fails for the stock client, a release has fixed the defect, and our workaround can go.
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, onTestFinished, test } from 'vitest';
import { videoBytes } from '../support/content.ts';
import { dropFirstResponses, type Exchange, type Fault } from '../support/fault-proxy.ts';
import { failureOf, startSending } from './sending.ts';
import { isPending, offsetsOf, requestsOf, sendStock, statusOf } from './stock-defects.ts';

const MIB = 1024 * 1024;
const LENGTH = 2 * MIB;
/** Timeouts of our client, short to keep the tests short; the stock client has none. */
const QUICK = { connectMs: 400, stallMs: 300, answerMs: 600 };

type Plan = (exchange: Exchange) => Fault | undefined;

/** Starts a server and a proxy for each client; both proxies follow the same plan. */
async function both(plan: () => Plan, ...rest: [Parameters<typeof startSending>[1]?, (() => Parameters<typeof startSending>[2])?]) {
  const [config, hooks] = rest;
  const [forStock, forOurs, bytes] = await Promise.all([
    startSending(plan(), config, hooks?.()),
    startSending(plan(), config, hooks?.()),
    videoBytes(LENGTH),
  ]);
  return { forStock, forOurs, bytes, send: forOurs.send };
}

describe('a HEAD that fails when an upload is resumed', () => {
  const plan = (status: number): Plan => {
    return ({ method, nth }) => {
      if (nth !== 1) return undefined;
      if (method === 'PATCH') return { kind: 'cut', afterBytes: MIB, how: 'rst' };
      return method === 'HEAD' ? { kind: 'answer', status } : undefined;
    };
  };

  test.each([401, 503])('with %i makes the stock client start over at byte 0; ours resumes', async (status) => {
    const { forStock, forOurs, bytes, send } = await both(() => plan(status));
    expect(await sendStock(forStock, bytes).end).toBe('success');
    expect(requestsOf(forStock, 'POST')).toHaveLength(2);
    expect(offsetsOf(forStock)).toEqual([0, 0]);
    await send(bytes, { name: 'film.mp4', headers: () => ({ Authorization: 'Bearer x' }) }).handle.done;
    expect(requestsOf(forOurs, 'POST')).toHaveLength(1);
    expect(offsetsOf(forOurs).at(-1)).toBeGreaterThan(0);
  });

  test('with 401 makes the stock client forget the address of the upload; ours keeps its record', async () => {
    const refused: Plan = ({ method, nth }) => {
      if (method === 'PATCH' && nth === 1) return { kind: 'cut', afterBytes: MIB, how: 'rst' };
      return method === 'HEAD' ? { kind: 'answer', status: 401 } : undefined;
    };
    const { forStock, forOurs, bytes, send } = await both(() => refused);
    const removed: string[] = [];
    const urlStorage = {
      findAllUploads: async () => [],
      findUploadsByFingerprint: async () => [],
      addUpload: async (_fingerprint: string, { uploadUrl }: { uploadUrl: string | null }) => uploadUrl ?? '',
      removeUpload: async (key: string) => void removed.push(key),
    };
    await sendStock(forStock, bytes, { urlStorage, storeFingerprintForResuming: true }).end;
    expect(removed).toEqual([expect.stringContaining('/files/')]);
    expect(await failureOf(send(bytes, { name: 'film.mp4' }).handle)).toMatchObject({ state: 'failed', code: 'ERR_UNAUTHORIZED' });
    expect(await forOurs.store.list()).toEqual([expect.objectContaining({ url: expect.stringContaining('/files/') })]);
  });
});

describe('a silent connection', () => {
  test.each(['POST', 'HEAD', 'PATCH'])('after %s hangs the stock client forever; ours notices and resumes', async (silent) => {
    const plan: Plan = ({ method, nth }) => {
      if (nth !== 1) return undefined;
      if (method === silent) return { kind: 'delay', ms: 120_000 };
      // A failed PATCH makes the client send a HEAD.
      return silent === 'HEAD' && method === 'PATCH' ? { kind: 'cut', afterBytes: MIB, how: 'rst' } : undefined;
    };
    const { forStock, forOurs, bytes, send } = await both(() => plan);
    const { end } = sendStock(forStock, bytes);
    await expect.poll(() => requestsOf(forStock, silent).length).toBe(1);
    expect(await send(bytes, { name: 'film.mp4', timeouts: QUICK }).handle.done).toMatchObject({ size: LENGTH });
    expect(await isPending(end)).toBe(true);
    expect(requestsOf(forStock, silent)).toHaveLength(1);
    expect(await forOurs.stored()).toHaveLength(1);
  });

  test('in the middle of a body hangs the stock client forever; ours notices and resumes', async () => {
    const { forStock, forOurs, bytes, send } = await both(
      () =>
        ({ method, nth }) =>
          method === 'PATCH' && nth === 1 ? { kind: 'half-open', afterBytes: MIB } : undefined,
    );
    const { end } = sendStock(forStock, bytes);
    await expect.poll(() => requestsOf(forStock, 'PATCH')[0]?.bytes).toBe(MIB);
    await send(bytes, { name: 'film.mp4', timeouts: QUICK }).handle.done;
    expect(await isPending(end)).toBe(true);
    expect(await forOurs.stored()).toHaveLength(1);
  });

  test('with an answer that is cut in its body hangs the stock client forever; ours asks again', async () => {
    const { forStock, forOurs, bytes, send } = await both(
      () =>
        ({ method, nth }) =>
          method === 'POST' && nth === 1 ? { kind: 'cut-response', afterBytes: 20, how: 'fin' } : undefined,
      {},
      () => {
        let asked = 0;
        // The refusal gives the answer a body.
        return { authenticate: () => (asked++ === 0 ? null : 'me') };
      },
    );
    const { end } = sendStock(forStock, bytes);
    await expect.poll(() => requestsOf(forStock, 'POST')[0]?.status).toBe(401);
    expect(await send(bytes, { name: 'film.mp4' }).handle.done).toMatchObject({ size: LENGTH });
    expect(await isPending(end)).toBe(true);
    expect(requestsOf(forStock, 'POST')).toHaveLength(1);
    expect(requestsOf(forOurs, 'POST')).toHaveLength(2);
  });
});

describe('a temporary failure', () => {
  test('such as an offline device ends the upload of the stock client at once; ours waits for the network', async () => {
    const { forStock, forOurs, bytes, send } = await both(() => () => undefined);
    await Promise.all([forStock.proxy.goDown(), forOurs.proxy.goDown()]);
    Object.defineProperty(navigator, 'onLine', { value: false, configurable: true });
    onTestFinished(() => void Reflect.deleteProperty(navigator, 'onLine'));
    expect(await sendStock(forStock, bytes, { retryDelays: [60_000] }).end).toBeInstanceOf(Error);
    const { handle } = send(bytes, { name: 'film.mp4' });
    await expect.poll(() => handle.snapshot.state).toBe('waiting');
    Reflect.deleteProperty(navigator, 'onLine');
    await forOurs.proxy.listen();
    await handle.done;
  });

  test.each([408, 425, 429, 460])('with %i is final for the stock client; ours tries again', async (status) => {
    const { forStock, bytes, send, forOurs } = await both(
      () =>
        ({ method, nth }) =>
          method === 'PATCH' && nth === 1 ? { kind: 'answer', status } : undefined,
    );
    expect(statusOf(await sendStock(forStock, bytes).end)).toBe(status);
    await send(bytes, { name: 'film.mp4' }).handle.done;
    expect(await forOurs.stored()).toHaveLength(1);
  });

  test('with Retry-After is repeated too early by the stock client; ours waits as long as the server asks', async () => {
    const comeBack = 2;
    const times = new Map<string, number[]>();
    const planFor = (client: string): Plan => {
      times.set(client, []);
      return ({ method, nth }) => {
        if (method !== 'PATCH' && method !== 'HEAD') return undefined;
        times.get(client)?.push(performance.now());
        return method === 'PATCH' && nth === 1 ? { kind: 'answer', status: 503, headers: { 'Retry-After': String(comeBack) } } : undefined;
      };
    };
    const clients = ['stock', 'ours'];
    const { forStock, bytes, send } = await both(() => planFor(clients.shift() ?? ''));
    expect(await sendStock(forStock, bytes).end).toBe('success');
    await send(bytes, { name: 'film.mp4' }).handle.done;
    const waited = (client: string) => {
      const [asked = 0, again = 0] = times.get(client) ?? [];
      return again - asked;
    };
    expect(waited('stock')).toBeLessThan(comeBack * 1000);
    expect(waited('ours')).toBeGreaterThanOrEqual(comeBack * 1000);
  });

  test('of a server that lasts longer than four pauses ends the stock client; ours counts time, not attempts', async () => {
    const { forStock, forOurs, bytes, send } = await both(
      () =>
        ({ method, nth }) =>
          method === 'POST' && nth <= 6 ? { kind: 'answer', status: 503 } : undefined,
    );
    expect(statusOf(await sendStock(forStock, bytes).end)).toBe(503);
    const { handle } = send(bytes, { name: 'film.mp4' });
    // The test calls `resume` often, which ends each pause early.
    const resuming = setInterval(() => handle.resume(), 50);
    await handle.done.finally(() => clearInterval(resuming));
    expect(requestsOf(forOurs, 'POST')).toHaveLength(7);
  });
});

describe('starting and stopping an upload', () => {
  test('the stock client uploads although it was aborted right after the start; ours sends nothing', async () => {
    const { forStock, forOurs, bytes, send } = await both(() => () => undefined);
    const { upload } = sendStock(forStock, bytes);
    void upload.abort();
    await expect.poll(async () => (await forStock.stored()).length, { timeout: 60_000 }).toBe(1);
    const { handle } = send(bytes, { name: 'film.mp4' });
    handle.pause();
    await sleep(200);
    expect(forOurs.log()).toEqual([]);
    await handle.cancel();
    expect(forOurs.log()).toEqual([]);
  });

  test('the stock client creates two uploads after start, abort, start; ours creates one', async () => {
    const { forStock, forOurs, bytes, send } = await both(() => () => undefined);
    const { upload, end } = sendStock(forStock, bytes);
    void upload.abort();
    upload.start();
    await end;
    await expect.poll(() => requestsOf(forStock, 'POST').map(({ status }) => status)).toEqual([201, 201]);
    const { handle } = send(bytes, { name: 'film.mp4' });
    handle.pause();
    handle.resume();
    await handle.done;
    expect(requestsOf(forOurs, 'POST')).toHaveLength(1);
    expect(await forOurs.stored()).toHaveLength(1);
  });

  test('the stock client leaves an orphan when the answer to the creation was lost; ours finds the same upload', async () => {
    const { forStock, forOurs, bytes, send } = await both(() => dropFirstResponses(1, ['POST']));
    expect(await sendStock(forStock, bytes).end).toBe('success');
    await send(bytes, { name: 'film.mp4' }).handle.done;
    const locations = (sending: typeof forStock) => new Set(requestsOf(sending, 'POST').map(({ answer }) => answer?.location));
    expect(locations(forStock).size).toBe(2);
    expect(locations(forOurs).size).toBe(1);
  });
});

test('an answer of success without progress makes the stock client loop without a pause; ours pauses, and gives up in the end', async () => {
  const { forStock, forOurs, bytes, send } = await both(
    () =>
      ({ method }) =>
        method === 'PATCH' ? { kind: 'answer', status: 204, headers: { 'Upload-Offset': '0', 'Tus-Resumable': '1.0.0' } } : undefined,
  );
  const { upload } = sendStock(forStock, bytes.subarray(0, 1000));
  await expect.poll(() => requestsOf(forStock, 'PATCH').length, { timeout: 60_000 }).toBeGreaterThan(100);
  await upload.abort();
  const { handle } = send(bytes, { name: 'film.mp4', budgetMs: 1000 });
  expect(await failureOf(handle)).toMatchObject({ state: 'failed', code: 'ERR_GAVE_UP' });
  expect(requestsOf(forOurs, 'PATCH').length).toBeLessThan(20);
});
