// The finish without a server: states that crashes leave, checks that misbehave, server faults.
import { existsSync } from 'node:fs';
import { chmod, link, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { awaitVerdict } from '../../server/finish/await-verdict.ts';
import { MAX_STRIKES } from '../../server/finish/inspection-runs.ts';
import { type Check, CheckCrash, type Inspectable } from '../../server/inspection/check.ts';
import { newUploadId, type UploadId } from '../../server/ledger/upload-id.ts';
import { uploadId } from '../support/upload-ids.ts';
import { DAY, type FinishBed, interrupted, openFinishBed } from './finish-bed.ts';
import { PATIENT } from './patient.ts';

const CONTENT = Buffer.from('what was sent\n');

function check(run: Check['run']): Check {
  return { name: 'of the test', run };
}

/** Makes timers run as fast as their waits allow. */
function speedUpTimers(): void {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'] });
  const ticks = setInterval(() => vi.advanceTimersByTime(500), 5);
  onTestFinished(() => {
    clearInterval(ticks);
    vi.useRealTimers();
  });
}

async function expectAccepted(bed: FinishBed, id: UploadId, published: string): Promise<void> {
  expect(await bed.verdict(id)).toMatchObject({ state: 'accepted' });
  await vi.waitFor(async () => expect(await bed.staged()).toEqual([]), PATIENT);
  expect(await bed.published()).toEqual([published]);
  expect(await readFile(join(bed.dataDir, 'files', published))).toEqual(CONTENT);
}

describe('an inspection without a running process', () => {
  it.for([
    { whose: 'whose lease this process has without knowing it', leaseOwner: 'this process' },
    { whose: 'that has no lease', leaseOwner: null },
  ])('$whose is resumed, long after the start', async ({ leaseOwner }) => {
    const bed = await openFinishBed();
    await bed.finisher.start();
    const id = await bed.put(CONTENT, interrupted(newUploadId(), { leaseOwner }));
    await expectAccepted(bed, id, `${DAY}/${id}/name.txt`);
    await vi.waitFor(() => expect(bed.verdictEvents()).toEqual([id]), PATIENT);
  });

  it('is resumed by a caller that finds it already started, whatever the ledger knows about its bytes', async () => {
    const bed = await openFinishBed();
    const id = await bed.put(CONTENT, interrupted(newUploadId(), { leaseOwner: 'this process' }));
    expect(await bed.finisher.inspectionStarts.start(id, CONTENT.byteLength, 'byte', { proof: 'unknown' })).toBe(false);
    await expectAccepted(bed, id, `${DAY}/${id}/name.txt`);
  });
});

describe('a start of the finisher', () => {
  it('resumes an inspection that a crash broke off before publishing', async () => {
    const bed = await openFinishBed();
    const id = await bed.put(CONTENT, interrupted(newUploadId()));
    await bed.finisher.start();
    await expectAccepted(bed, id, `${DAY}/${id}/name.txt`);
    await vi.waitFor(() => expect(bed.verdictEvents()).toEqual([id]), PATIENT);
    expect(await bed.ledger.get(id)).toMatchObject({ attempt: 2, strikes: 0, leaseOwner: null });
  });

  it('resumes after a crash between the link and the verdict', async () => {
    const bed = await openFinishBed();
    const id = newUploadId();
    await bed.put(CONTENT, interrupted(id));
    await mkdir(join(bed.dataDir, 'files', DAY, id), { recursive: true });
    await link(bed.staging.path(id), join(bed.dataDir, 'files', DAY, id, 'name.txt'));
    await bed.finisher.start();
    await expectAccepted(bed, id, `${DAY}/${id}/name.txt`);
  });

  it('leaves no final file when the second inspection refuses a file that the first had published', async () => {
    const bed = await openFinishBed({ checks: [check(async () => ({ code: 'ERR_CHECK_REFUSED' }))] });
    const id = newUploadId();
    await bed.put(CONTENT, interrupted(id));
    await mkdir(join(bed.dataDir, 'files', DAY, id), { recursive: true });
    await link(bed.staging.path(id), join(bed.dataDir, 'files', DAY, id, 'name.txt'));
    await bed.finisher.start();
    expect(await bed.verdict(id)).toMatchObject({ state: 'rejected', errorCode: 'ERR_CHECK_REFUSED', policyHash: 'a policy' });
    await vi.waitFor(async () => expect([...(await bed.published()), ...(await bed.staged())]).toEqual([]), PATIENT);
  });

  it('inspects complete uploads without an inspection, and discards empty ones whose creation was never answered', async () => {
    const bed = await openFinishBed();
    const id = await bed.put(CONTENT);
    const half = await bed.put(CONTENT, { length: 1000 });
    const deferred = await bed.put(CONTENT, { length: null });
    const empty = await bed.put(Buffer.alloc(0), { createdAt: Date.now() - 1000 });
    await bed.finisher.start();
    expect(await bed.verdict(id)).toMatchObject({ state: 'accepted' });
    await vi.waitFor(async () => expect(await bed.ledger.get(empty)).toBeUndefined(), PATIENT);
    expect((await bed.ledger.get(half))?.state).toBe('receiving');
    expect((await bed.ledger.get(deferred))?.state).toBe('receiving');
    await vi.waitFor(
      async () => expect((await bed.staged()).map((path) => path.slice(3)).sort()).toEqual([half, deferred].sort()),
      PATIENT,
    );
  });

  it('leaves an upload to its active writer', async () => {
    const bed = await openFinishBed();
    const id = await bed.put(CONTENT);
    const other = await bed.put(CONTENT);
    const token = Symbol('a running PATCH');
    await bed.locker.acquire(id, token, () => undefined, 0);
    await bed.finisher.start();
    await bed.verdict(other);
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect((await bed.ledger.get(id))?.state).toBe('receiving');
    bed.locker.release(id, token);
  });

  it('is not delayed by an upload whose bytes cannot be proved', async () => {
    const bed = await openFinishBed();
    // Ids are in order: a directory stands in place of the first upload's bytes.
    const [broken, last] = [uploadId('0'), uploadId('f')];
    await mkdir(bed.staging.path(broken));
    await bed.put(undefined, { id: broken, length: await bed.staging.size(broken) });
    const sound = await bed.put(CONTENT, { id: last });
    await bed.finisher.start();
    expect(await bed.verdict(sound)).toMatchObject({ state: 'accepted' });
  });

  it('resumes hundreds of inspections, each once', async () => {
    const bed = await openFinishBed();
    const ids: UploadId[] = [];
    for (let n = 0; n < 150; n++) ids.push(await bed.put(CONTENT, n % 2 === 0 ? {} : interrupted(newUploadId())));
    await bed.finisher.start();
    for (const id of ids) expect(await bed.verdict(id)).toMatchObject({ state: 'accepted' });
    await vi.waitFor(() => expect(bed.verdictEvents().sort()).toEqual(ids.sort()), PATIENT);
    expect(await bed.published()).toHaveLength(150);
  });
});

describe('starting an inspection', () => {
  it('repeatedly runs one inspection', async () => {
    let runs = 0;
    const bed = await openFinishBed({
      checks: [
        check(async () => {
          runs += 1;
          return undefined;
        }),
      ],
    });
    const id = await bed.put(CONTENT);
    await Promise.all(Array.from({ length: 10 }, () => bed.finisher.inspectionStarts.start(id, CONTENT.byteLength, 'byte')));
    await bed.verdict(id);
    expect(runs).toBe(1);
    await vi.waitFor(() => expect(bed.verdictEvents()).toHaveLength(1), PATIENT);
  });

  it('after the verdict changes nothing', async () => {
    const bed = await openFinishBed();
    const id = await bed.put(CONTENT);
    await bed.finisher.inspectionStarts.start(id, CONTENT.byteLength, 'byte');
    await bed.verdict(id);
    await vi.waitFor(async () => expect(await bed.staged()).toEqual([]), PATIENT);
    expect(await bed.finisher.inspectionStarts.start(id, CONTENT.byteLength, 'byte')).toBe(false);
    expect(await bed.staged()).toEqual([]);
  });
});

describe('a check', () => {
  const MISBEHAVIOURS: [string, Check['run']][] = [
    ['throws an error', () => Promise.reject(new Error('the scanner is away'))],
    [
      'throws at once',
      () => {
        throw new TypeError('a mistake');
      },
    ],
    ['throws what is no error', () => Promise.reject('no')],
    ['throws nothing', () => Promise.reject(undefined)],
  ];
  it.for(MISBEHAVIOURS)('that %s is repeated until it succeeds', async ([, misbehave]) => {
    speedUpTimers();
    let runs = 0;
    const bed = await openFinishBed({
      checks: [check((upload) => (++runs <= MAX_STRIKES + 3 ? misbehave(upload) : Promise.resolve(undefined)))],
    });
    const id = await bed.put(CONTENT);
    await bed.finisher.inspectionStarts.start(id, CONTENT.byteLength, 'byte');
    expect(await bed.verdict(id)).toMatchObject({ state: 'accepted', strikes: 0 });
    expect(runs).toBe(MAX_STRIKES + 4);
  });

  it('that crashes five times refuses the file', async () => {
    speedUpTimers();
    let runs = 0;
    const crash = async () => {
      runs += 1;
      throw new CheckCrash('The worker died.');
    };
    const bed = await openFinishBed({ checks: [check(crash)] });
    const id = await bed.put(CONTENT);
    await bed.finisher.inspectionStarts.start(id, CONTENT.byteLength, 'byte');
    expect(await bed.verdict(id)).toMatchObject({ state: 'rejected', errorCode: 'ERR_UNINSPECTABLE' });
    expect(runs).toBe(MAX_STRIKES);
    await vi.waitFor(async () => expect(await bed.staged()).toEqual([]), PATIENT);
  });

  it('that hangs is stopped at the time limit, with that reason, and refuses the file the fifth time', async () => {
    speedUpTimers();
    const signals: AbortSignal[] = [];
    const hang: Check['run'] = ({ signal }) => {
      signals.push(signal);
      return new Promise(() => {});
    };
    const bed = await openFinishBed({ checks: [check(hang)], checkTimeoutMs: 1000 });
    const id = await bed.put(CONTENT);
    await bed.finisher.inspectionStarts.start(id, CONTENT.byteLength, 'byte');
    expect(await bed.verdict(id)).toMatchObject({ errorCode: 'ERR_UNINSPECTABLE' });
    expect(signals.map(({ aborted }) => aborted)).toEqual(Array(MAX_STRIKES).fill(true));
  });

  const AT_WORK: [string, (upload: Inspectable) => unknown][] = [
    ['reads ranges', (upload) => upload.read(0, 4)],
    ['tells of its progress', (upload) => upload.progress()],
  ];
  it.for(AT_WORK)('that exceeds its limit many times and meanwhile %s may complete', async ([, goOn]) => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    onTestFinished(() => void vi.useRealTimers());
    let runs = 0;
    const long: Check['run'] = async (upload) => {
      runs += 1;
      for (let step = 0; step < 10; step++) {
        vi.advanceTimersByTime(1200);
        await goOn(upload);
      }
      return undefined;
    };
    const bed = await openFinishBed({ checks: [check(long)], checkTimeoutMs: 2000 });
    const id = await bed.put(CONTENT);
    await bed.finisher.inspectionStarts.start(id, CONTENT.byteLength, 'byte');
    expect(await bed.verdict(id)).toMatchObject({ state: 'accepted' });
    expect(runs).toBe(1);
  });

  it('that falls silent after progress is stopped, and its progress counts no more', async () => {
    speedUpTimers();
    let progress = () => {};
    let runs = 0;
    const hang: Check['run'] = (upload) => {
      runs += 1;
      upload.progress();
      progress = upload.progress;
      upload.signal.addEventListener('abort', progress);
      return new Promise(() => {});
    };
    const bed = await openFinishBed({ checks: [check(hang)], checkTimeoutMs: 1000 });
    const id = await bed.put(CONTENT);
    await bed.finisher.inspectionStarts.start(id, CONTENT.byteLength, 'byte');
    expect(await bed.verdict(id)).toMatchObject({ errorCode: 'ERR_UNINSPECTABLE' });
    progress();
    expect(runs).toBe(MAX_STRIKES);
  });

  it('that continues after its time can no longer read', async () => {
    speedUpTimers();
    const late: string[] = [];
    const hang: Check['run'] = (upload) => {
      upload.signal.addEventListener('abort', () => {
        setImmediate(() =>
          upload
            .read(0, 4)
            .then(String, (error: Error) => error.message)
            .then((outcome) => late.push(outcome)),
        );
      });
      return new Promise(() => {});
    };
    const bed = await openFinishBed({ checks: [check(hang)], checkTimeoutMs: 1000 });
    const id = await bed.put(CONTENT);
    await bed.finisher.inspectionStarts.start(id, CONTENT.byteLength, 'byte');
    await bed.verdict(id);
    await vi.waitFor(() => expect(late).toEqual(Array(MAX_STRIKES).fill('The inspection is over.')), PATIENT);
  });

  it('that crashed four times and then passes the file clears the count', async () => {
    speedUpTimers();
    let runs = 0;
    const crash = async () => {
      if (++runs < MAX_STRIKES) throw new CheckCrash('The worker died.');
      return undefined;
    };
    const bed = await openFinishBed({ checks: [check(crash)] });
    const id = await bed.put(CONTENT);
    await bed.finisher.inspectionStarts.start(id, CONTENT.byteLength, 'byte');
    expect(await bed.verdict(id)).toMatchObject({ state: 'accepted', strikes: 0 });
  });

  it('that crashed its process five times refuses the file without running again', async () => {
    let runs = 0;
    const bed = await openFinishBed({
      checks: [
        check(async () => {
          runs += 1;
          return undefined;
        }),
      ],
    });
    const id = await bed.put(CONTENT, interrupted(newUploadId(), { attempt: 5, strikes: MAX_STRIKES }));
    await bed.finisher.start();
    expect(await bed.verdict(id)).toMatchObject({ state: 'rejected', errorCode: 'ERR_UNINSPECTABLE' });
    expect(runs).toBe(0);
  });

  it('broken off by a planned shutdown does not count against the file', async () => {
    const running = Promise.withResolvers<void>();
    const end = Promise.withResolvers<undefined>();
    const slow = () => {
      running.resolve();
      return end.promise;
    };
    const bed = await openFinishBed({ checks: [check(slow)] });
    const id = await bed.put(CONTENT);
    await bed.finisher.inspectionStarts.start(id, CONTENT.byteLength, 'byte');
    await running.promise;
    const closed = bed.finisher.close();
    // The state when the grace time and the process end.
    await vi.waitFor(async () => expect(await bed.ledger.get(id)).toMatchObject({ state: 'inspecting', strikes: 0 }), PATIENT);
    end.resolve(undefined);
    await closed;
    expect(await bed.ledger.get(id)).toMatchObject({ state: 'accepted' });
  });

  it('reads the staged bytes, in ranges and in order', async () => {
    const read: string[] = [];
    const bed = await openFinishBed({
      checks: [
        check(async (upload) => {
          read.push(Buffer.from(upload.head).toString(), Buffer.from(await upload.read(5, 8)).toString());
          for await (const chunk of upload.stream()) read.push(Buffer.from(chunk).toString());
          return undefined;
        }),
      ],
    });
    const id = await bed.put(CONTENT);
    await bed.finisher.inspectionStarts.start(id, CONTENT.byteLength, 'byte');
    await bed.verdict(id);
    expect(read).toEqual([String(CONTENT), 'was', String(CONTENT)]);
  });
});

describe('a server fault', () => {
  it('that stalls hashing is repeated, and does not count against the file', async () => {
    speedUpTimers();
    let runs = 0;
    const digest = () => (++runs <= MAX_STRIKES + 1 ? new Promise<never>(() => {}) : Promise.resolve('a digest'));
    const bed = await openFinishBed({ digest, checkTimeoutMs: 1000 });
    const id = await bed.put(CONTENT);
    await bed.finisher.inspectionStarts.start(id, CONTENT.byteLength, 'byte');
    expect(await bed.verdict(id)).toMatchObject({ state: 'accepted', sha256: 'a digest', strikes: 0 });
  });

  it('in publishing keeps the file until it can be published', async () => {
    speedUpTimers();
    const bed = await openFinishBed();
    // A file takes the place of the final directory: no user can make anything there.
    await rm(join(bed.dataDir, 'files'), { recursive: true });
    await writeFile(join(bed.dataDir, 'files'), '');
    const id = await bed.put(CONTENT);
    await bed.finisher.inspectionStarts.start(id, CONTENT.byteLength, 'byte');
    await vi.waitFor(async () => expect((await bed.ledger.get(id))?.attempt).toBeGreaterThan(MAX_STRIKES + 2), { timeout: 60_000 });
    expect(await bed.ledger.get(id)).toMatchObject({ state: 'inspecting' });
    await rm(join(bed.dataDir, 'files'));
    expect(await bed.verdict(id)).toMatchObject({ state: 'accepted', strikes: 0 });
    expect(await bed.published()).toHaveLength(1);
  });

  it.runIf(existsSync('/dev/shm'))('on another device leaves a whole copy, and removes the half copy of an earlier attempt', async () => {
    const storageDir = await mkdtemp('/dev/shm/landfall-test-');
    onTestFinished(() => rm(storageDir, { recursive: true, force: true }));
    const bed = await openFinishBed({ storageDir });
    const id = newUploadId();
    await bed.put(CONTENT, interrupted(id));
    await mkdir(join(storageDir, DAY, id), { recursive: true });
    await writeFile(join(storageDir, DAY, id, `${id}.1.part`), 'half');
    await chmod(join(storageDir, DAY, id, `${id}.1.part`), 0o640);
    await bed.finisher.start();
    expect(await bed.verdict(id)).toMatchObject({ state: 'accepted' });
    expect(await bed.published()).toEqual([`${DAY}/${id}/name.txt`]);
    await vi.waitFor(async () => expect(await bed.staged()).toEqual([]), PATIENT);
  });
});

describe('waiting for the verdict', () => {
  it('ends with it, at the patience limit, or when its caller gives up', async () => {
    const end = Promise.withResolvers<undefined>();
    const bed = await openFinishBed({ checks: [check(() => end.promise)] });
    const id = await bed.put(CONTENT);
    const never = new AbortController().signal;
    const { ledger, finisher } = bed;
    const { inspectionStarts } = finisher;
    const settle = (id: UploadId, patienceMs: number, signal: AbortSignal) =>
      awaitVerdict({ ledger, inspectionStarts }, id, patienceMs, signal);
    await inspectionStarts.start(id, CONTENT.byteLength, 'byte');
    expect(await settle(id, 20, never)).toMatchObject({ state: 'inspecting' });
    const leaving = new AbortController();
    const left = settle(id, 60_000, leaving.signal);
    leaving.abort();
    expect(await left).toMatchObject({ state: 'inspecting' });
    const waiting = Array.from({ length: 10 }, () => settle(id, 60_000, never));
    end.resolve(undefined);
    for (const settled of await Promise.all(waiting)) expect(settled).toMatchObject({ state: 'accepted' });
    expect(await settle(id, 60_000, never)).toMatchObject({ state: 'accepted' });
    expect(await settle(newUploadId(), 60_000, never)).toBeUndefined();
  });
});
