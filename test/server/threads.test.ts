// Work in other threads: requests to a thread that ends are rejected, and the next thread knows nothing of them.
import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, it, onTestFinished } from 'vitest';
import { DiskThread } from '../../server/disk/disk-thread.ts';
import { Sha256 } from '../../server/inspection/sha256.ts';
import { ThreadOnDemand } from '../../server/runtime/worker.ts';
import { REPOSITORY } from '../support/repository.ts';
import { testDirectory } from '../support/temp-dir.ts';

const CHUNK = Buffer.alloc(1 << 20, 7);
const WHOLE = createHash('sha256').update(CHUNK).update(CHUNK).update(CHUNK).digest('hex');

async function* chunks(between: () => Promise<void> = async () => {}) {
  yield CHUNK;
  await between();
  yield CHUNK;
  yield CHUNK;
}

function hashing(): Sha256 {
  const sha256 = new Sha256();
  onTestFinished(() => sha256.close());
  return sha256;
}

/** Ends the hashing thread, like an abort or a lack of memory in it. */
async function endHashingThread(sha256: Sha256): Promise<void> {
  async function* content() {
    yield { not: 'bytes' } as unknown as Uint8Array;
  }
  await expect(sha256.digest(content())).rejects.toThrow();
}

describe('a digest in the hashing thread', () => {
  it('is rejected when its thread ends between two chunks, and right when it is computed again', async () => {
    const sha256 = hashing();
    await expect(sha256.digest(chunks(() => endHashingThread(sha256)))).rejects.toThrow();
    expect(await sha256.digest(chunks())).toBe(WHOLE);
  });

  it('that starts right after a thread broke is not ended with that thread', async () => {
    const sha256 = hashing();
    for (let round = 0; round < 5; round++) {
      await endHashingThread(sha256);
      expect(await sha256.digest(chunks())).toBe(WHOLE);
    }
  });

  it('stays its own among concurrent ones, also when one of them is abandoned', async () => {
    const sha256 = hashing();
    const given = sha256.digest(
      chunks(async () => {
        throw new Error('the disk');
      }),
    );
    const whole = Array.from({ length: 5 }, () => sha256.digest(chunks()));
    await expect(given).rejects.toThrow('the disk');
    expect(new Set(await Promise.all(whole))).toEqual(new Set([WHOLE]));
  });
});

/** Answers with the number of its requests, `late` last; `break` ends it, and `hang` stops it. */
const COUNTING_WORKER = `
import { setTimeout } from 'node:timers/promises';
import { answerRequests } from ${JSON.stringify(pathToFileURL(join(REPOSITORY, 'server/runtime/worker.ts')))};
let count = 0;
answerRequests(async (request) => {
  const number = ++count;
  if (request === 'break') throw new Error('broken');
  if (request === 'exit') process.exit(3);
  if (request === 'hang') for (;;);
  if (request === 'late') await setTimeout(100);
  return number;
});
`;

function counting(): ThreadOnDemand<unknown, number> {
  const path = join(testDirectory(), 'worker.mjs');
  writeFileSync(path, COUNTING_WORKER);
  const threads = new ThreadOnDemand<unknown, number>(pathToFileURL(path), { name: 'counting' });
  onTestFinished(() => threads.close());
  return threads;
}

describe('a thread', () => {
  it('answers each request, whichever answer comes first', async () => {
    const thread = counting().current;
    const answered: number[] = [];
    const late = thread.ask('late').then((number) => answered.push(number));
    expect(await Promise.all([thread.ask('b'), thread.ask('c')])).toEqual([2, 3]);
    expect(answered).toEqual([]);
    await late;
    expect(answered).toEqual([1]);
  });

  it.for(['break', 'exit'])(
    'that ends by itself (%s) rejects all of its past and later requests; a new thread starts without them',
    async (end) => {
      const threads = counting();
      const thread = threads.current;
      expect(await thread.ask('a')).toBe(1);
      const outcomes = await Promise.allSettled([thread.ask(end), thread.ask('b')]);
      expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
      await expect(thread.ask('c')).rejects.toThrow();
      expect(threads.current).not.toBe(thread);
      expect(await threads.current.ask('d')).toBe(1);
    },
  );

  it('that is stopped while it hangs rejects with the reason of the stop', async () => {
    const threads = counting();
    const hanging = threads.current.ask('hang');
    void threads.current.end(new Error('too long'));
    await expect(hanging).rejects.toThrow('too long');
    expect(await threads.current.ask('a')).toBe(1);
  });

  it('continues after a request that can not be sent to it', async () => {
    const thread = counting().current;
    await expect(thread.ask(() => undefined)).rejects.toThrow('could not be cloned');
    expect(await thread.ask('a')).toBe(1);
  });

  it('does not start again once it is closed', async () => {
    const threads = counting();
    const waiting = threads.current.ask('hang');
    await Promise.all([expect(waiting).rejects.toThrow('closed'), threads.close()]);
    expect(() => threads.current).toThrow('closed');
  });
});

describe('the disk thread', () => {
  it('answers each request', async () => {
    const root = testDirectory();
    const thread = new DiskThread();
    onTestFinished(() => thread.close());
    await mkdir(join(root, 'day'));
    const make = async (name: string) => {
      for (let step = 0; step < 20; step++) await thread.do({ root, folder: join(root, 'day', `${name}${step}`) });
    };
    await Promise.all([make('a'), make('b'), make('c')]);
    expect(await readdir(join(root, 'day'))).toHaveLength(60);
  });

  it('rejects requests after it was closed', async () => {
    const thread = new DiskThread();
    await thread.close();
    await expect(thread.do({ unlink: '/nowhere' })).rejects.toThrow('closed');
  });
});
