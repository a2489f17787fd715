// The client completes an upload in spite of faults of the network, proxies and servers.

import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { upload } from '../../client/node.ts';
import { filesBelow, sha256OfFile, videoBytes } from '../support/content.ts';
import type { Exchange, Fault } from '../support/fault-proxy.ts';
import { dropFirstResponses, startFaultProxy } from '../support/fault-proxy.ts';
import { embedLandfall } from '../support/landfall-embedded.ts';
import { startLandfall } from '../support/landfall-process.ts';
import { failureOf, reaches, reachesState, startSending, watch } from './sending.ts';

const MIB = 1024 * 1024;
/** Short time limits keep the tests short. */
const QUICK = { connectMs: 500, stallMs: 300, answerMs: 800 };

/** A plan with the fault for the first request of a method. */
const first = (wanted: string, fault: Fault) => (exchange: Exchange) =>
  exchange.method === wanted && exchange.nth === 1 ? fault : undefined;

describe('after a connection breaks, the client', () => {
  const faults: Fault[] = [
    { kind: 'cut', afterBytes: 2 * MIB, how: 'rst' },
    { kind: 'cut', afterBytes: 2 * MIB, how: 'fin' },
    { kind: 'stall', afterBytes: 2 * MIB },
    { kind: 'half-open', afterBytes: 2 * MIB },
    { kind: 'drop-response' },
    { kind: 'cut-response', afterBytes: 0, how: 'stall' },
  ];

  test.each(faults)('in a body ($kind $how), resumes and does not start over', async (fault) => {
    const { send, video, stored, proxy } = await startSending(first('PATCH', fault));
    const { path, sha256: sum } = await video(6 * MIB);
    const { handle } = send(path, { timeouts: QUICK });
    await handle.done;
    expect(await stored()).toEqual([sum]);
    // The client sends nothing again when the whole body was received. How much of a broken body the server reads depends on the system.
    const last = proxy.exchanges.findLast(({ method, status }) => method === 'PATCH' && status === 204);
    if ('afterBytes' in fault && fault.afterBytes > 0) expect(Number(last?.headers['upload-offset'])).toBeGreaterThan(0);
    expect(proxy.exchanges.filter(({ method }) => method === 'POST')).toHaveLength(1);
  });

  test.each(['POST', 'HEAD', 'PATCH', 'GET'])('before the answer to %s, once or repeatedly, keeps one upload', async (method) => {
    const drop = dropFirstResponses(2, method === 'HEAD' ? ['HEAD', 'PATCH'] : [method]);
    const { send, video, stored, proxy } = await startSending(drop);
    const { path, sha256: sum } = await video(3 * MIB);
    await send(path, { chunkSize: MIB }).handle.done;
    expect(await stored()).toEqual([sum]);
    const locations = proxy.exchanges.filter((exchange) => exchange.method === 'POST').map(({ answer }) => answer?.location);
    expect(new Set(locations).size).toBe(1);
  });

  test('again and again, resumes each time, however often it breaks', async () => {
    const { send, video, stored, proxy } = await startSending(({ method }) =>
      method === 'PATCH' ? { kind: 'cut', afterBytes: 200_000, how: 'rst' } : undefined,
    );
    const { path, sha256: sum } = await video(6 * MIB);
    const { handle } = send(path);
    await handle.done;
    expect(await stored()).toEqual([sum]);
    expect(handle.snapshot.attempt).toBeGreaterThan(25);
    const offsets = proxy.exchanges.filter(({ method }) => method === 'PATCH').map(({ headers }) => Number(headers['upload-offset']));
    expect(offsets).toEqual(offsets.toSorted((a, b) => a - b));
  });

  test('in the middle of an answer, does not hang', async () => {
    const { send, video, stored } = await startSending(first('GET', { kind: 'cut-response', afterBytes: 20, how: 'fin' }));
    const { path, sha256: sum } = await video(100_000);
    expect(await send(path).handle.done).toMatchObject({ type: 'video/mp4' });
    expect(await stored()).toEqual([sum]);
  });

  test.each(['POST', 'HEAD'])('silently before the answer to %s, notices it', async (method) => {
    const { send, video, stored } = await startSending((exchange) => {
      if (method === 'HEAD' && exchange.method === 'PATCH' && exchange.nth === 1) return { kind: 'cut', afterBytes: 1000, how: 'rst' };
      return first(method, { kind: 'cut-response', afterBytes: 0, how: 'stall' })(exchange);
    });
    const { path, sha256: sum } = await video(100_000);
    await send(path, { timeouts: QUICK }).handle.done;
    expect(await stored()).toEqual([sum]);
  });
});

describe('a server', () => {
  test('that is killed in the middle and restarts gets the rest of the upload', async () => {
    const { directory, store, video } = await startSending();
    const server = await startLandfall({ dataDir: join(directory, 'landfall') });
    onTestFinished(() => server.kill());
    const proxy = await startFaultProxy({ upstream: server.url, bytesPerSecond: 8 * MIB });
    onTestFinished(() => proxy.close());
    const { path, sha256: sum } = await video(12 * MIB);
    const { handle } = watch(upload(path, { endpoint: `${proxy.url}/files`, store }));
    const { url } = await reaches(handle, ({ sent }) => sent > 5 * MIB);
    await server.kill();
    const { waiting } = await reachesState(handle, 'waiting');
    expect(waiting?.reason).toMatch(/^(unreachable|interrupted)$/);
    proxy.bytesPerSecond = Number.POSITIVE_INFINITY;
    await server.start();
    await handle.done;
    expect(handle.snapshot.url).toBe(url);
    const files = join(server.dataDir, 'files');
    expect(await Promise.all((await filesBelow(files)).map((name) => sha256OfFile(join(files, name))))).toEqual([sum]);
  });

  test('that is unreachable is asked again every few seconds', async () => {
    const { send, video, stored, proxy } = await startSending();
    const { path, sha256: sum } = await video(100_000);
    await proxy.goDown();
    const { handle, told } = send(path);
    await reaches(handle, ({ attempt }) => attempt >= 4);
    for (const { waiting } of told) {
      if (waiting === undefined) continue;
      expect(waiting.reason).toBe('unreachable');
      expect((waiting.until ?? 0) - Date.now()).toBeLessThanOrEqual(5000);
    }
    expect(told.find(({ state }) => state === 'waiting')?.error?.code).toBe('ERR_NETWORK');
    await proxy.listen();
    handle.resume();
    await handle.done;
    expect(await stored()).toEqual([sum]);
  });

  test('that sends Retry-After is asked again then, not before', async () => {
    const { send, video, stored } = await startSending(first('PATCH', { kind: 'answer', status: 503, headers: { 'Retry-After': '1' } }));
    const { path, sha256: sum } = await video(100_000);
    const startedAt = Date.now();
    const { handle } = send(path);
    const { waiting } = await reachesState(handle, 'waiting');
    expect(waiting?.reason).toBe('busy');
    expect((waiting?.until ?? 0) - startedAt).toBeGreaterThanOrEqual(1000);
    await handle.done;
    expect(Date.now() - startedAt).toBeGreaterThanOrEqual(1000);
    expect(await stored()).toEqual([sum]);
  });

  test('that takes no more uploads for now is asked again later, and the sender learns why', async () => {
    const { url } = await embedLandfall({ ownerMaxRate: 1 }, { authenticate: () => 'anna' });
    const send = (name: string) => upload(Buffer.from('0123456789'), { endpoint: `${url}/files`, name, resume: false });
    await send('a.txt').done;
    const startedAt = Date.now();
    const handle = send('b.txt');
    onTestFinished(() => handle.cancel());
    const { waiting, error } = await reachesState(handle, 'waiting');
    expect(waiting?.reason).toBe('too-many');
    expect((waiting?.until ?? 0) - startedAt).toBeGreaterThanOrEqual(1000);
    expect(error).toMatchObject({ code: 'ERR_TOO_MANY_UPLOADS', detail: 'At most 1 new uploads a minute are allowed.' });
  });

  test.each([401, 403, 500, 503])('that answers HEAD with %i during an upload never makes the client start over', async (status) => {
    const { send, video, stored, proxy } = await startSending(({ method, nth }) => {
      if (method === 'PATCH' && nth === 1) return { kind: 'cut', afterBytes: 2 * MIB, how: 'rst' };
      return method === 'HEAD' && nth === 1 ? { kind: 'answer', status } : undefined;
    });
    const { path, sha256: sum } = await video(4 * MIB);
    const { handle } = send(path, { headers: () => ({ Authorization: 'Bearer x' }) });
    if (status === 403) expect(await failureOf(handle)).toMatchObject({ state: 'failed', code: 'ERR_FORBIDDEN' });
    else await handle.done;
    expect(proxy.exchanges.filter(({ method }) => method === 'POST')).toHaveLength(1);
    if (status === 403) return;
    expect(await stored()).toEqual([sum]);
    const last = proxy.exchanges.findLast((exchange) => exchange.method === 'PATCH' && exchange.status === 204);
    expect(Number(last?.headers['upload-offset'])).toBeGreaterThan(0);
  });

  test('that acknowledges a body without moving its offset is asked with pauses, not in a loop', async () => {
    let answers = 0;
    const { send, video, stored } = await startSending(({ method }) => {
      if (method !== 'PATCH' || answers >= 4) return undefined;
      answers += 1;
      return { kind: 'answer', status: 204, headers: { 'Upload-Offset': '0', 'Tus-Resumable': '1.0.0' } };
    });
    const { path, sha256: sum } = await video(100_000);
    const { handle } = send(path);
    await reaches(handle, ({ waiting }) => waiting !== undefined);
    await handle.done;
    expect(handle.snapshot.attempt).toBe(5);
    expect(await stored()).toEqual([sum]);
  });

  test('that never moves its offset is given up, and the record stays', async () => {
    const { send, video, store } = await startSending(({ method }) =>
      method === 'PATCH' ? { kind: 'answer', status: 204, headers: { 'Upload-Offset': '0', 'Tus-Resumable': '1.0.0' } } : undefined,
    );
    const { path } = await video(100_000);
    expect(await failureOf(send(path, { budgetMs: 1000 }).handle)).toMatchObject({ state: 'failed', code: 'ERR_GAVE_UP' });
    expect(await store.list()).toHaveLength(1);
  });

  test('whose verdict never reaches the client is given up', async () => {
    const verdict = Promise.withResolvers<undefined>();
    const check = { name: 'endless', run: () => verdict.promise };
    const { send, video } = await startSending(
      ({ method }) => (method === 'PATCH' ? { kind: 'drop-response' } : undefined),
      {},
      { checks: [check] },
    );
    // The server stops only after its inspections end.
    onTestFinished(() => verdict.resolve(undefined));
    const { path } = await video(100_000);
    const { handle } = send(path, { budgetMs: 1500, timeouts: QUICK });
    expect(await failureOf(handle)).toMatchObject({ state: 'failed', code: 'ERR_GAVE_UP' });
  });

  test('that is unreachable for longer than the budget is given up', async () => {
    const { send, video, proxy } = await startSending();
    const { path } = await video(100_000);
    await proxy.goDown();
    expect(await failureOf(send(path, { budgetMs: 1000 }).handle)).toMatchObject({ state: 'failed', code: 'ERR_GAVE_UP' });
  });

  test('that no longer knows the upload gets it again as a new one, once, and the client reports that', async () => {
    const { send, video, stored, server, proxy } = await startSending();
    const { path, sha256: sum } = await video(4 * MIB);
    proxy.bytesPerSecond = 4 * MIB;
    const { handle, told } = send(path);
    const { url = '' } = await reaches(handle, ({ sent }) => sent > MIB);
    handle.pause();
    const upstream = new URL(new URL(url ?? '').pathname, server.url);
    await expect
      .poll(async () => (await fetch(upstream, { method: 'DELETE', headers: { 'Tus-Resumable': '1.0.0' } })).status, {
        timeout: 60_000,
      })
      .toBeOneOf([204, 410]);
    proxy.bytesPerSecond = Number.POSITIVE_INFINITY;
    handle.resume();
    await handle.done;
    expect(told.filter(({ waiting }) => waiting?.reason === 'restarted').length).toBeGreaterThan(0);
    expect(handle.snapshot.url).not.toBe(url);
    expect(await stored()).toEqual([sum]);
  });

  test('that never knows the upload is not asked forever', async () => {
    const unknown: Fault = { kind: 'answer', status: 404, headers: { 'Tus-Resumable': '1.0.0' } };
    const { send, video, proxy } = await startSending(({ method }) => (method === 'PATCH' ? unknown : undefined));
    const { path } = await video(100_000);
    expect(await failureOf(send(path).handle)).toMatchObject({ state: 'failed', code: 'ERR_UPLOAD_NOT_FOUND' });
    expect(proxy.exchanges.filter(({ method }) => method === 'POST')).toHaveLength(2);
  });

  test('that does not exist at this address is reported at once', async () => {
    const { send, video, server } = await startSending();
    const { path } = await video(100_000);
    const { handle } = send(path, { endpoint: `${server.url}/nowhere` });
    expect(await failureOf(handle)).toMatchObject({ state: 'failed' });
    expect(handle.snapshot.error?.status).toBeOneOf([404, 405]);
  });

  test('that runs out of disk space is asked again later', async () => {
    const { send, video } = await startSending(first('PATCH', { kind: 'answer', status: 507 }));
    const { path } = await video(100_000);
    const { handle, told } = send(path);
    await handle.done;
    expect(told.some(({ waiting }) => waiting?.reason === 'no-space')).toBe(true);
  });
});

describe('a proxy', () => {
  test('that takes only 1 MiB in a body makes all later chunks smaller', async () => {
    const { send, video, stored, proxy } = await startSending(({ method, headers }) =>
      method === 'PATCH' && Number(headers['content-length']) > MIB ? { kind: 'answer', status: 413, body: '<h1>nginx</h1>' } : undefined,
    );
    const { path, sha256: sum } = await video(5 * MIB);
    const { handle } = send(path);
    await handle.done;
    expect(await stored()).toEqual([sum]);
    expect(proxy.exchanges.filter(({ status }) => status === 413).length).toBeLessThanOrEqual(4);
  });

  test('that answers with its own page does not end the upload', async () => {
    const page: Fault = { kind: 'answer', status: 200, headers: { 'Content-Type': 'text/html' }, body: '<h1>Sign in to the hotel</h1>' };
    const { send, video, stored } = await startSending(({ method, nth }) => {
      if (method === 'PATCH' && nth === 1) return page;
      return method === 'HEAD' && nth === 1 ? page : undefined;
    });
    const { path, sha256: sum } = await video(100_000);
    await send(path).handle.done;
    expect(await stored()).toEqual([sum]);
  });
});

describe('a proxy without its server', () => {
  const answer = (status: number): Fault => ({ kind: 'answer', status, headers: { 'Content-Type': 'text/plain' }, body: 'not found' });

  test.each([404, 410])('that answers %i does not make the client start over', async (status) => {
    const { send, video, stored, proxy, log } = await startSending();
    const { path, sha256: sum } = await video(8 * MIB);
    proxy.bytesPerSecond = 8 * MIB;
    const { handle, told } = send(path, { chunkSize: MIB });
    await reaches(handle, ({ confirmed }) => confirmed >= 2 * MIB);
    proxy.onRequest = () => answer(status);
    await expect
      .poll(() => proxy.exchanges.filter(({ method, fault }) => method === 'HEAD' && fault !== undefined).length)
      .toBeGreaterThan(1);
    proxy.onRequest = () => undefined;
    await handle.done;
    expect(told.some(({ waiting }) => waiting?.reason === 'busy')).toBe(true);
    expect(log().filter((line) => line.startsWith('POST'))).toEqual(['POST 201']);
    expect(await stored()).toEqual([sum]);
  });

  test('that answers 404 for longer than the budget leaves the upload to a later visit', async () => {
    const { send, video, stored, proxy, store } = await startSending();
    const { path, sha256: sum } = await video(8 * MIB);
    proxy.bytesPerSecond = 8 * MIB;
    const { handle } = send(path, { chunkSize: MIB, budgetMs: 1000 });
    await reaches(handle, ({ confirmed }) => confirmed >= 2 * MIB);
    proxy.onRequest = () => answer(404);
    const { state, code, detail } = await failureOf(handle);
    expect({ state, code }).toEqual({ state: 'failed', code: 'ERR_GAVE_UP' });
    expect(detail).toMatch(/answered HEAD with 404/);
    expect(await store.list()).toHaveLength(1);
    proxy.onRequest = () => undefined;
    expect(await send(path).handle.done).toMatchObject({ resumed: true });
    expect(await stored()).toEqual([sum]);
  });

  test('is not taken for a server that deleted the upload', async () => {
    const { send, video, server, proxy } = await startSending();
    const { path } = await video(8 * MIB);
    proxy.bytesPerSecond = 4 * MIB;
    const { handle } = send(path, { chunkSize: MIB });
    const { url = '' } = await reaches(handle, ({ confirmed }) => confirmed >= MIB);
    const page: Fault = { kind: 'answer', status: 200, headers: { 'Content-Type': 'text/html' }, body: '<h1>Sign in to the hotel</h1>' };
    proxy.onRequest = ({ method, nth }) => (method === 'DELETE' ? [answer(404), page][nth - 1] : undefined);
    await handle.cancel({ deleteRemote: true });
    const head = await fetch(new URL(new URL(url ?? '').pathname, server.url), { method: 'HEAD', headers: { 'Tus-Resumable': '1.0.0' } });
    expect(head.status).toBe(410);
  });
});

test('the record of an upload that the server lost stays until the server has created the next one', async () => {
  const { send, video, stored, server, proxy, store } = await startSending();
  const { path, sha256: sum } = await video(4 * MIB);
  proxy.bytesPerSecond = 4 * MIB;
  const { handle } = send(path, { chunkSize: MIB });
  await reaches(handle, ({ confirmed }) => confirmed >= MIB);
  handle.pause();
  const url = handle.snapshot.url ?? '';
  await expect
    .poll(
      async () =>
        (await fetch(new URL(new URL(url).pathname, server.url), { method: 'DELETE', headers: { 'Tus-Resumable': '1.0.0' } })).status,
    )
    .toBeOneOf([204, 410]);
  proxy.bytesPerSecond = Number.POSITIVE_INFINITY;
  proxy.onRequest = ({ method }) => (method === 'POST' ? { kind: 'answer', status: 404 } : undefined);
  handle.resume();
  expect(await failureOf(handle)).toMatchObject({ state: 'failed', code: 'ERR_NOT_FOUND' });
  expect(await store.list()).toMatchObject([{ url }]);
  proxy.onRequest = () => undefined;
  await send(path).handle.done;
  expect(await store.list()).toEqual([]);
  expect(await stored()).toEqual([sum]);
});

describe('request headers', () => {
  test('from a function are requested again after a 401, and the upload resumes', async () => {
    let token = 0;
    const { send, video, stored } = await startSending(
      undefined,
      {},
      { authenticate: ({ headers }) => (Number(headers.authorization) > 2 ? 'me' : null) },
    );
    const { path, sha256: sum } = await video(100_000);
    const reasons: string[] = [];
    const headers = async ({ reason }: { reason: string }) => {
      reasons.push(reason);
      if (reason === 'unauthorized') token = 3;
      return { Authorization: String(token) };
    };
    await send(path, { headers }).handle.done;
    expect(await stored()).toEqual([sum]);
    expect(reasons).toEqual(['request', 'unauthorized', 'request', 'request']);
  });

  test('that are refused twice in a row end the upload', async () => {
    const { send, video, log } = await startSending(undefined, {}, { authenticate: () => null });
    const { path } = await video(100_000);
    expect(await failureOf(send(path, { headers: () => ({ Authorization: 'no' }) }).handle)).toMatchObject({
      state: 'failed',
      code: 'ERR_UNAUTHORIZED',
    });
    expect(log()).toEqual(['POST 401', 'POST 401']);
    expect(await failureOf(send(path, { headers: { Authorization: 'no' } }).handle)).toMatchObject({ code: 'ERR_UNAUTHORIZED' });
    expect(log()).toHaveLength(3);
  });

  test('are requested again when the function that makes them fails', async () => {
    let calls = 0;
    const { send, video } = await startSending();
    const { path } = await video(100_000);
    const headers = () => {
      calls += 1;
      if (calls === 1) throw new Error('The token server is unreachable.');
      return {};
    };
    await send(path, { headers }).handle.done;
    expect(calls).toBeGreaterThan(1);
  });
});

describe('a transient fault in the inspection', () => {
  test('ends with one accepted upload', async () => {
    let runs = 0;
    const check = {
      name: 'faulty',
      run: async () => {
        runs += 1;
        if (runs <= 2) throw new Error('The scanner is unreachable.');
        return undefined;
      },
    };
    const { send, stored } = await startSending(dropFirstResponses(2, ['PATCH', 'HEAD']), { patience: 100 }, { checks: [check] });
    await send(await videoBytes(300_000), { name: 'film.mp4' }).handle.done;
    expect(await stored()).toHaveLength(1);
    expect(runs).toBe(3);
  });
});
