import { createServer } from 'node:http';
import { describe, expect, it, onTestFinished } from 'vitest';
import { dropFirstResponses, type Fault, startFaultProxy } from './fault-proxy.ts';
import { listenForTest } from './listen.ts';

/** Echoes and records requests. */
async function startEcho() {
  const got: string[] = [];
  const server = createServer(async (req, res) => {
    const chunks: Buffer[] = [];
    try {
      for await (const chunk of req) chunks.push(chunk as Buffer);
    } catch {
      got.push(`cut after ${Buffer.concat(chunks).length}`);
      return;
    }
    got.push(`${req.method} ${Buffer.concat(chunks)}`);
    res.end(`${req.method} ${Buffer.concat(chunks)}`);
  });
  const origin = await listenForTest(server);
  return { url: origin, got };
}

async function startBoth(onRequest: (nth: number) => Fault | undefined) {
  const echo = await startEcho();
  const proxy = await startFaultProxy({ upstream: echo.url, onRequest: ({ nth }) => onRequest(nth) });
  onTestFinished(() => proxy.close());
  return { echo, proxy };
}

const post = (url: string, body: string) => fetch(url, { method: 'POST', body });

describe('the fault proxy', () => {
  it('passes on what is not broken', async () => {
    const { proxy } = await startBoth(() => undefined);
    const answer = await post(`${proxy.url}/a`, 'hello');
    expect(await answer.text()).toBe('POST hello');
    expect(proxy.exchanges).toMatchObject([{ method: 'POST', path: '/a', nth: 1, bytes: 5, status: 200 }]);
  });

  it('drops an answer only after the server gave it', async () => {
    const plan = dropFirstResponses(1, ['POST']);
    const echo = await startEcho();
    const proxy = await startFaultProxy({ upstream: echo.url, onRequest: plan });
    onTestFinished(() => proxy.close());
    await expect(post(proxy.url, 'one')).rejects.toThrow();
    expect(echo.got).toEqual(['POST one']);
    expect(await (await post(proxy.url, 'two')).text()).toBe('POST two');
  });

  it('cuts a body after so many bytes, on both sides', async () => {
    const { echo, proxy } = await startBoth(() => ({ kind: 'cut', afterBytes: 3, how: 'rst' }));
    await expect(post(proxy.url, 'hello')).rejects.toThrow();
    await expect.poll(() => echo.got).toEqual(['cut after 3']);
  });

  it('keeps the sockets open in a stall and answers nothing', async () => {
    const { proxy } = await startBoth(() => ({ kind: 'stall', afterBytes: 3 }));
    await expect(fetch(proxy.url, { method: 'POST', body: 'hello', signal: AbortSignal.timeout(300) })).rejects.toThrow('timeout');
  });

  it('cuts an answer in the middle of its body', async () => {
    const { proxy } = await startBoth(() => ({ kind: 'cut-response', afterBytes: 6, how: 'fin' }));
    const answer = await post(proxy.url, 'hello');
    expect(answer.status).toBe(200);
    await expect(answer.text()).rejects.toThrow();
  });

  it('turns over one bit', async () => {
    const { echo, proxy } = await startBoth(() => ({ kind: 'flip', atByte: 1 }));
    await post(proxy.url, 'hello');
    expect(echo.got).toEqual(['POST hdllo']);
  });

  it('answers by itself, and is away until it listens again', async () => {
    const { echo, proxy } = await startBoth((nth) => (nth === 1 ? { kind: 'answer', status: 413, body: 'too much' } : undefined));
    expect((await post(proxy.url, 'hello')).status).toBe(413);
    expect(echo.got).toEqual([]);
    await proxy.goDown();
    await expect(post(proxy.url, 'hello')).rejects.toThrow();
    await proxy.listen();
    expect((await post(proxy.url, 'hello')).status).toBe(200);
  });
});
