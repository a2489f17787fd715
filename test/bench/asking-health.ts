// A separate process that asks a server for /health/live again and again, each time on a new connection, as a load balancer does.
// Argument: port. On a message from its parent it answers with the longest wait for a response since the last message.
import { setTimeout as sleep } from 'node:timers/promises';
import { Connection } from './connection.ts';

const PAUSE_MS = 10;

const [port = 0] = process.argv.slice(2).map(Number);
let longestMs = 0;
let askedAt: number | undefined;

process.on('message', () => {
  // A request that is not answered yet counts, too.
  const waitedMs = askedAt === undefined ? 0 : performance.now() - askedAt;
  process.send?.(Math.max(longestMs, waitedMs));
  longestMs = 0;
});
process.on('disconnect', () => process.exit(0));

for (;;) {
  askedAt ??= performance.now();
  try {
    const connection = await Connection.open(port);
    await connection.request('GET', '/health/live', {});
    connection.close();
    longestMs = Math.max(longestMs, performance.now() - askedAt);
    askedAt = undefined;
  } catch {
    // A refused or broken connection is no response: the wait continues.
  }
  await sleep(PAUSE_MS);
}
