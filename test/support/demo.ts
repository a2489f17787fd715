// `npm run demo`: sends a large file over a connection that is cut at random, to a server that is killed once meanwhile.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { upload } from '../../client/node.ts';
import { formatBytes, parseBytes } from '../../shared/units.ts';
import { filesBelow, sha256OfFile, writeVideo } from './content.ts';
import { startFaultProxy } from './fault-proxy.ts';
import { startLandfall } from './landfall-process.ts';

const { values } = parseArgs({ options: { size: { type: 'string', default: '1 GiB' } } });
const size = parseBytes(values.size);
const directory = await mkdtemp(join(tmpdir(), 'landfall-demo-'));
const dataDir = join(directory, 'data');
const say = (text: string) => process.stdout.write(`${text}\n`);

try {
  say(`Making a video of ${formatBytes(size)} …`);
  const source = join(directory, 'holiday.mp4');
  const sent = await writeVideo(source, size);

  await using server = await startLandfall({ dataDir });
  let cuts = 0;
  await using proxy = await startFaultProxy({
    upstream: server.url,
    // No body passes completely: each is cut at some point, by reset or by close.
    onRequest: ({ method }) => {
      if (method !== 'PATCH') return undefined;
      cuts += 1;
      return { kind: 'cut', afterBytes: Math.floor((0.05 + Math.random() * 0.1) * size), how: Math.random() < 0.5 ? 'rst' : 'fin' };
    },
  });
  say(`The server runs; between it and the client, every connection is cut somewhere.\n`);

  const handle = upload(source, { endpoint: `${proxy.url}/files`, resume: false });
  let isKilled = false;
  let lastLine = 0;
  for await (const snapshot of handle) {
    const percent = Math.floor((snapshot.sent / size) * 100);
    if (Date.now() - lastLine > 250 || snapshot.state === 'accepted') {
      lastLine = Date.now();
      const bar = '█'.repeat(Math.floor(percent / 4)).padEnd(25, '░');
      say(
        `  ${bar} ${String(percent).padStart(3)} %  confirmed ${formatBytes(snapshot.confirmed).padStart(9)}  ${snapshot.state}, ${cuts} cuts`,
      );
    }
    if (!isKilled && percent >= 40) {
      isKilled = true;
      say('\n  The server is killed (SIGKILL), and started again.\n');
      void server.kill().then(() => server.start());
    }
  }
  const result = await handle.done;
  const [stored = ''] = await filesBelow(join(dataDir, 'files'));
  const received = await sha256OfFile(join(dataDir, 'files', stored));
  say(`\nAccepted as ${result.name}, after ${cuts} cuts and one crash.`);
  say(`  sent      ${sent}\n  received  ${received}`);
  if (sent !== received || !isKilled) throw new Error('The received file is not the file that was sent, or the server was not killed.');
  say('The same bytes.');
} finally {
  await rm(directory, { recursive: true, force: true });
}
