// Sends the rest of one upload in one PATCH, over TLS, from a separate process: `one-patch.ts URL FILE h1|h2`. Prints the seconds
// from the first byte of the request to the end of the answer, without the time to connect.
import { once } from 'node:events';
import { createReadStream, statSync } from 'node:fs';
import { connect } from 'node:http2';
import { Agent, request } from 'node:https';
import { text } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';

const [url = '', path = '', protocol = ''] = process.argv.slice(2);
const { origin, pathname, hostname, port } = new URL(url);
// A browser starts at the offset of the server, which is 0 here.
const headers = {
  'tus-resumable': '1.0.0',
  'upload-offset': '0',
  'content-type': 'application/offset+octet-stream',
  'content-length': String(statSync(path).size),
};
const seconds = protocol === 'h2' ? await overHttp2() : await overHttp1();
process.stdout.write(`${seconds}\n`);
process.exit(0);

async function overHttp2(): Promise<number> {
  const session = connect(origin, { rejectUnauthorized: false });
  await once(session, 'remoteSettings');
  const startedAt = performance.now();
  const stream = session.request({ ':method': 'PATCH', ':path': pathname, ...headers });
  const answered = once(stream, 'response');
  await pipeline(createReadStream(path), stream, { end: true }).catch(() => undefined);
  const [answer] = (await answered) as [Record<string, unknown>];
  requireAcknowledged(answer[':status']);
  return (performance.now() - startedAt) / 1000;
}

async function overHttp1(): Promise<number> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1, rejectUnauthorized: false });
  // The first request has no body, so that the measurement does not include the handshakes.
  await send('HEAD');
  const startedAt = performance.now();
  const status = await send('PATCH');
  requireAcknowledged(status);
  return (performance.now() - startedAt) / 1000;

  async function send(method: string): Promise<number | undefined> {
    const asked = request({
      hostname,
      port,
      path: pathname,
      method,
      agent,
      headers: method === 'PATCH' ? headers : { 'tus-resumable': '1.0.0' },
    });
    const answered = once(asked, 'response');
    if (method === 'PATCH') await pipeline(createReadStream(path), asked).catch(() => undefined);
    else asked.end();
    const [answer] = await answered;
    await text(answer);
    return answer.statusCode;
  }
}

function requireAcknowledged(status: unknown): void {
  if (Number(status) !== 204) throw new Error(`The server answered the PATCH with ${status}, not 204.`);
}
