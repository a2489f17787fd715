import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { CheckCrash } from '../../server/inspection/check.ts';
import { Detector, type DetectorOptions } from '../../server/inspection/detector.ts';
import { jpeg, noise, php, png } from '../support/fixtures.ts';

const HANGS = Buffer.from([1, 0]);
const EXITS = Buffer.from([2, 0]);
const THROWS = Buffer.from([3, 0]);

/** A worker whose behaviour the first byte chooses: parsers that hang and crash, without a file that does it to a real one. */
const TRICKY_WORKER = `
import { parentPort, threadId } from 'node:worker_threads';
parentPort.on('message', ({ number, content: head }) => {
  const answer = (content) => parentPort.postMessage({ number, content });
  if (head === 'ready?') return answer('ready');
  if (head[0] === 1) for (;;);
  if (head[0] === 2) process.exit(3);
  if (head[0] === 3) throw new Error('broken parser');
  answer({ ext: 'thread' + threadId, mime: String(head.length) });
});
`;

let directory: string;
let detector: Detector;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'landfall-detector-'));
});

afterEach(async () => {
  await detector?.close();
  await rm(directory, { recursive: true, force: true });
});

async function withWorker(source: string, options: DetectorOptions = {}): Promise<Detector> {
  const path = join(directory, 'worker.mjs');
  await writeFile(path, source);
  detector = new Detector({ timeLimitMs: 500, ...options, workerUrl: pathToFileURL(path) });
  return detector;
}

test('the detector names many contents at once, each its own', async () => {
  detector = new Detector();
  const contents = Array.from({ length: 60 }, (_, index) => [jpeg(), png(), php, noise(3000)][index % 4] ?? php);
  const found = await Promise.all(contents.map((content) => detector.detect(content)));
  expect(found.map(({ ext, magic }) => ext ?? magic)).toEqual(
    contents.map((_, index) => ['jpg', 'png', 'text/x-php', 'application/octet-stream'][index % 4]),
  );
});

test('the detector reads only the first 4100 bytes, and leaves the buffer with its owner', async () => {
  await withWorker(TRICKY_WORKER);
  const pool = Buffer.alloc(100_000);
  expect((await detector.detect(pool.subarray(50, 90_000))).mime).toBe('4100');
  expect((await detector.detect(pool.subarray(0, 10))).mime).toBe('10');
  expect(pool.length).toBe(100_000);
});

describe.each([
  ['hangs', HANGS],
  ['exits', EXITS],
  ['throws', THROWS],
])('content on which the parser %s', (_, content) => {
  test('fails alone, and the contents behind it are parsed in another thread', async () => {
    await withWorker(TRICKY_WORKER);
    const before = await detector.detect(Buffer.alloc(4));
    const bad = detector.detect(content);
    const behind = [detector.detect(Buffer.alloc(5)), detector.detect(Buffer.alloc(6))];
    await expect(bad).rejects.toThrow(CheckCrash);
    const after = await Promise.all(behind);
    expect(after.map(({ mime }) => mime)).toEqual(['5', '6']);
    expect(after[0]?.ext).not.toBe(before.ext);
    expect(after[0]?.ext).toBe(after[1]?.ext);
  });
});

test('a hanging parser does not hold up the event loop', async () => {
  await withWorker(TRICKY_WORKER);
  let ticks = 0;
  const ticking = setInterval(() => ticks++, 10);
  await expect(detector.detect(HANGS)).rejects.toThrow('more than 500 ms');
  clearInterval(ticking);
  expect(ticks).toBeGreaterThan(5);
});

test('a worker that cannot start is a server fault, not the file’s', async () => {
  await withWorker('throw new Error("no such library");');
  const waiting = [detector.detect(jpeg()), detector.detect(png())];
  for (const outcome of await Promise.allSettled(waiting)) {
    expect(outcome.status).toBe('rejected');
    if (outcome.status === 'rejected') expect(outcome.reason).not.toBeInstanceOf(CheckCrash);
  }
});

test('closing the detector rejects waiting work with that reason', async () => {
  await withWorker(TRICKY_WORKER, { timeLimitMs: 60_000 });
  await detector.detect(Buffer.alloc(4));
  const waiting = Promise.allSettled([detector.detect(HANGS), detector.detect(Buffer.alloc(4))]);
  await detector.close();
  for (const outcome of await waiting) expect(outcome.status).toBe('rejected');
  await expect(detector.detect(jpeg())).rejects.toThrow('closed');
});

test('an idle detector lets the process exit, and a busy one answers first', async () => {
  const source = new URL('../../server/inspection/detector.ts', import.meta.url).href;
  const script = `
    import { Detector } from ${JSON.stringify(source)};
    const detector = new Detector();
    detector.detect(Buffer.from('%PDF-1.7')).then((found) => console.log(found.ext));
  `;
  const child = spawn(process.execPath, ['--input-type=module', '--eval', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  child.stdout.on('data', (chunk) => {
    output += chunk;
  });
  const [code] = await once(child, 'close');
  expect([code, output.trim()]).toEqual([0, 'pdf']);
});
