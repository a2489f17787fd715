// Random kills, one after the other, while senders send: during a body, after the last byte, during publication, during the
// start after a kill, and during the first start after a power cut. All promises are checked after each.
import { type FSWatcher, watch } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { onTestFinished } from 'vitest';
import { MAX_STRIKES } from '../../server/finish/inspection-runs.ts';
import { filesBelow } from '../support/content.ts';
import { LandfallProcess } from '../support/landfall-process.ts';
import { type Random, randomFrom, testSeed } from '../support/random.ts';
import { forgetBoot, ledgerRows } from '../support/sqlite-ledger.ts';
import { type Moment, sendInsistently } from './insistent-sender.ts';
import { expectPromisesKept, expectSettled, type Sent, stagedPath } from './truth.ts';

export interface Machine {
  /** The server's data directory; it may be another one after a power cut. */
  dataDir(): string;
  /** Called while the server is suspended; the server is killed afterwards. */
  cutPower(): Promise<void>;
}

export interface Course {
  kills: number;
  /** One in this many kills is a power cut. */
  powerCutEvery: number;
  atOnce: number;
  maxBytes: number;
}

/** How many kills were aimed at each target, and what they hit. */
type Counts = Record<string, number>;

/** A sender's moment, or the creation of a final file's directory. */
type Aim = Moment | 'publish';

const AIMS: readonly Aim[] = ['body', 'last byte', 'publish'];
/** Longest wait from the moment to the kill: a whole finish on a fast disk. */
const DELAY_MS = 12;
/** When the moment does not occur within this time, the server is killed anyway. */
const MOMENT_MS = 5000;
const TAIL_BYTES = 64 * 1024;

export async function runMarathon(machine: Machine, course: Course): Promise<void> {
  const seed = testSeed();
  console.log(`Marathon of ${course.kills} kills; LANDFALL_TEST_SEED=${seed} repeats it.`);
  const marathon = new Marathon(machine, course, randomFrom(seed));
  try {
    await marathon.run();
  } catch (error) {
    throw new Error(`With LANDFALL_TEST_SEED=${seed}, after ${JSON.stringify(marathon.counts)}: ${messageOf(error)}`, { cause: error });
  }
  console.log(`Marathon: ${JSON.stringify(marathon.counts)}`);
}

class Marathon {
  readonly counts: Counts = {};
  readonly #machine: Machine;
  readonly #course: Course;
  readonly #random: Random;
  readonly #server: LandfallProcess;
  readonly #sent: Sent[] = [];
  #gate = Promise.withResolvers<void>();
  #isOver = false;
  #number = 0;
  #moment: { aim: Aim; reached: () => void } | undefined;
  #watcher: FSWatcher | undefined;
  /** Duration of the last start that was not killed. */
  #startMs = 1000;

  constructor(machine: Machine, course: Course, random: Random) {
    this.#machine = machine;
    this.#course = course;
    this.#random = random;
    this.#server = new LandfallProcess({ dataDir: machine.dataDir(), env: { LANDFALL_PATIENCE: '5s', LANDFALL_LOG_LEVEL: 'info' } });
    onTestFinished(() => this.#server.kill());
    onTestFinished(() => this.#watcher?.close());
  }

  async run(): Promise<void> {
    await this.#start();
    this.#open();
    const senders = Promise.all(Array.from({ length: this.#course.atOnce }, () => this.#sendOneAfterTheOther()));
    const kills = this.#killAll().finally(() => {
      this.#isOver = true;
      this.#open();
    });
    await Promise.all([senders, kills]);
    await expectPromisesKept(this.#server, this.#sent);
    await expectSettled(this.#server, this.#sent);
    this.counts.uploads = this.#sent.length;
  }

  async #sendOneAfterTheOther(): Promise<void> {
    while (!this.#isOver) {
      this.#number += 1;
      await sendInsistently({
        number: this.#number,
        random: randomFrom(this.#random.between(0, 2 ** 31)),
        maxBytes: this.#course.maxBytes,
        whenOpen: async () => {
          await this.#gate.promise;
          return this.#server.files;
        },
        onMoment: (moment) => this.#reach(moment),
        onCreated: (sent) => this.#sent.push(sent),
      });
    }
  }

  async #killAll(): Promise<void> {
    const { kills, powerCutEvery } = this.#course;
    for (let kill = 1; kill <= kills; kill++) {
      const aim = AIMS[kill % AIMS.length] ?? 'body';
      do await this.#whenReached(aim);
      while (!(await this.#holdStill()));
      this.#gate = Promise.withResolvers();
      this.#count(`aimed at ${aim}`);
      await this.#countHits();
      const isPowerCut = kill % powerCutEvery === 0;
      if (isPowerCut) await this.#cutPower();
      else await this.#server.kill();
      if (isPowerCut || this.#random.happens(0.4)) await this.#killStarts(isPowerCut ? 'first start after a power cut' : 'start');
      if (!this.#server.isRunning) await this.#start();
      await expectPromisesKept(this.#server, this.#sent);
      this.#open();
    }
  }

  /**
   * Suspends the server at a random point, so that its state stays as seen until the kill. Resolves to false, and lets the
   * server continue, when a fifth crash in a row during one inspection would refuse the file: no server can tell a kill from a
   * file that crashes it.
   */
  async #holdStill(): Promise<boolean> {
    await sleep(this.#random.fraction() * DELAY_MS);
    this.#server.signal('SIGSTOP');
    const rows = ledgerRows(this.#server.dataDir);
    if (!rows.some(({ state, strikes }) => state === 'inspecting' && strikes >= MAX_STRIKES)) return true;
    this.#server.signal('SIGCONT');
    return false;
  }

  async #cutPower(): Promise<void> {
    this.#count('power cuts');
    await this.#machine.cutPower();
    await this.#server.kill();
    const dataDir = this.#machine.dataDir();
    this.#server.dataDir = dataDir;
    await spoilUnproved(dataDir);
    forgetBoot(dataDir);
  }

  async #killStarts(name: string): Promise<void> {
    for (let left = this.#random.between(1, 2); left > 0; left--) {
      const starting = this.#start().catch(() => undefined);
      await sleep(this.#random.fraction() * this.#startMs);
      if (!(await this.#holdStill())) return starting;
      await this.#server.kill();
      await starting;
      this.#count(`killed in the ${name}`);
    }
  }

  async #start(): Promise<void> {
    const beganMs = performance.now();
    await this.#server.start();
    this.#startMs = performance.now() - beganMs;
    this.#watcher?.close();
    this.#watcher = watch(join(this.#server.dataDir, 'files'), { recursive: true }, () => this.#reach('publish'));
    // A directory was deleted while it was being watched.
    this.#watcher.on('error', () => undefined);
  }

  #open(): void {
    this.#gate.resolve();
  }

  #reach(aim: Aim): void {
    if (this.#moment?.aim === aim) this.#moment.reached();
  }

  async #whenReached(aim: Aim): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#moment = { aim, reached: resolve };
    const over = new AbortController();
    await Promise.race([promise, sleep(MOMENT_MS, undefined, { signal: over.signal })]);
    over.abort();
    this.#moment = undefined;
  }

  async #countHits(): Promise<void> {
    const rows = ledgerRows(this.#server.dataDir);
    const files = await filesBelow(join(this.#server.dataDir, 'files'));
    const staged = await filesBelow(join(this.#server.dataDir, 'staging'));
    const has = (names: readonly string[], id: string) => names.some((name) => name.includes(id));
    if (rows.some(({ state }) => state === 'receiving')) this.#count('hit receiving');
    if (rows.some(({ state, id }) => state === 'inspecting' && !has(files, id))) this.#count('hit an inspection');
    if (rows.some(({ state, id }) => state === 'inspecting' && has(files, id))) this.#count('hit a publication');
    if (rows.some(({ state, id }) => state === 'accepted' && has(staged, id))) this.#count('hit the clearing after a verdict');
  }

  #count(what: string): void {
    this.counts[what] = (this.counts[what] ?? 0) + 1;
  }
}

/** After a power cut, the file system may show anything for bytes that were not durable: here it is zeros. */
async function spoilUnproved(dataDir: string): Promise<void> {
  for (const { id, state, provenOffset } of ledgerRows(dataDir)) {
    if (state !== 'receiving') continue;
    const file = await open(stagedPath(dataDir, id), 'r+').catch(() => undefined);
    if (file === undefined) continue;
    const { size } = await file.stat();
    for (let at = provenOffset; at < size; at += TAIL_BYTES) await file.write(Buffer.alloc(Math.min(TAIL_BYTES, size - at)), 0, null, at);
    await file.close();
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
