// A line (line.ts) in a process of its own, for a network namespace: `line-process.ts HOST UPSTREAM_PORT DELAY_MS`. Prints a line of
// JSON when it listens, and then ten times a second how many bytes have passed.
import { Line } from './line.ts';

const [host = '', upstream = '', delayMs = '0'] = process.argv.slice(2);
const line = await Line.open({ host, upstream: Number(upstream), delayMs: Number(delayMs) });
const say = (what: object) => process.stdout.write(`${JSON.stringify(what)}\n`);
say({ port: line.port });
let told = -1;
setInterval(() => {
  if (line.passed !== told) say({ at: Date.now(), passed: line.passed });
  told = line.passed;
}, 100);
