// Tests the configuration that docs/operations.md shows for a reverse proxy: the proxy accepts it and behaves as the page says.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { connect as connectHttp2 } from 'node:http2';
import { request } from 'node:https';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it, onTestFinished } from 'vitest';
import { videoBytes } from '../support/content.ts';
import { DOCUMENTED_PROXIES, type DocumentedProxy, pathOf } from '../support/documented-proxies.ts';
import { freePort } from '../support/free-port.ts';
import { embedLandfall } from '../support/landfall-embedded.ts';
import { testDirectory } from '../support/temp-dir.ts';
import { createUpload, headUpload, idOf } from '../support/tus-requests.ts';

export function testDocumentedProxy(name: DocumentedProxy['name']): void {
  const proxy = DOCUMENTED_PROXIES.find((each) => each.name === name);
  if (proxy === undefined) throw new Error(`docs/operations.md has no configuration for ${name}.`);
  const program = pathOf(proxy) ?? proxy.program;

  it(`${name} accepts its documented configuration`, async () => {
    const path = proxy.configure({ directory: testDirectory(), port: await freePort(), upstream: await freePort() });
    const { status, stdout, stderr } = spawnSync(program, proxy.check(path), { encoding: 'utf8' });
    // Caddy also warns about the test's own set-up: a certificate without OCSP, no redirects.
    expect(stdout + stderr).not.toMatch(/\[(?:emerg|warn|alert|warning)\]|"level":"error"|"level":"warn".*caddyfile/i);
    expect(status).toBe(0);
  });

  it(`${name} delays HEAD while no server answers, and fails every other method`, async () => {
    const port = await serve(await freePort());
    const head = await answerTo(port, 'HEAD');
    expect(head).toMatchObject({ status: 423, headers: { 'tus-resumable': '1.0.0', 'retry-after': '2' } });
    // Stock clients repeat a PATCH on any 5xx and on 423.
    expect([423, 502, 503, 504]).toContain((await answerTo(port, 'PATCH')).status);
  });

  it(`${name} passes on an upload over HTTP/2, and the answers of the server`, async () => {
    const { url: server, files } = await embedLandfall();
    const port = await serve(Number(new URL(server).port));
    const bytes = await videoBytes(3_000_000);
    const { url } = await createUpload(files, { length: bytes.length, name: 'film.mp4' });
    const session = connectHttp2(`https://127.0.0.1:${port}`, { rejectUnauthorized: false });
    onTestFinished(() => session.destroy());
    const path = `/files/${idOf(url)}`;
    const patch = async (offset: number, body: Buffer) => {
      const headers = { 'tus-resumable': '1.0.0', 'upload-offset': offset, 'content-type': 'application/offset+octet-stream' };
      const stream = session.request({ ':method': 'PATCH', ':path': path, ...headers, 'content-length': body.length });
      stream.end(body);
      const [answer] = (await once(stream, 'response')) as [Record<string, unknown>];
      await text(stream);
      return answer;
    };
    expect(await patch(0, bytes.subarray(0, 2_000_000))).toMatchObject({ ':status': 204, 'upload-offset': '2000000' });
    // The refusal comes from the server, with its code.
    expect(await patch(0, bytes.subarray(0, 1000))).toMatchObject({ ':status': 409 });
    expect(await patch(2_000_000, bytes.subarray(2_000_000))).toMatchObject({ ':status': 204, 'upload-offset': '3000000' });
    expect(await headUpload(url)).toMatchObject({ status: 200, offset: bytes.length });
  });

  async function serve(upstream: number): Promise<number> {
    const port = await freePort();
    const directory = testDirectory();
    const child = spawn(program, proxy?.serve(proxy.configure({ directory, port, upstream })) ?? [], { cwd: directory, stdio: 'ignore' });
    onTestFinished(async () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      // nginx and HAProxy end their workers when they end.
      child.kill('SIGTERM');
      await once(child, 'exit');
    });
    for (let attempt = 0; attempt < 1200; attempt++) {
      if (child.exitCode !== null) throw new Error(`${name} ended by itself.`);
      if (await answerTo(port, 'GET').catch(() => undefined)) return port;
      await sleep(50);
    }
    throw new Error(`${name} does not answer.`);
  }
}

async function answerTo(port: number, method: string): Promise<{ status: number | undefined; headers: object }> {
  const asked = request({ host: '127.0.0.1', port, method, path: `/files/${'0'.repeat(32)}`, rejectUnauthorized: false, agent: false });
  asked.end();
  const [answer] = await once(asked, 'response');
  answer.resume();
  await once(answer, 'end');
  return { status: answer.statusCode, headers: answer.headers };
}
