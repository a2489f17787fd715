// Three equal processes behind nginx, which sends each request to the next process, on one ledger: killed, suspended, and cut
// off from the ledger, while clients of both kinds upload. The caller chooses where the bytes are stored.
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, onTestFinished } from 'vitest';
import { UploadError, upload } from '../../client/node.ts';
import { MAX_STRIKES } from '../../server/finish/inspection-runs.ts';
import { sha256, videoBytes } from '../support/content.ts';
import { LandfallProcess } from '../support/landfall-process.ts';
import { startNginx } from '../support/nginx.ts';
import type { Postgres } from '../support/postgres.ts';
import { uploadWithStockClient } from '../support/stock-client.ts';

export interface SharedPlace {
  dataDir: string;
  /** Settings that tell each process where to store the bytes. */
  env: Record<string, string>;
  /** Names of all staged objects or files. */
  staged(): Promise<string[]>;
  /** SHA-256 of each final file, and of any other file beside them, by its name. */
  published(): Promise<Map<string, string>>;
  /** Makes the store unreachable for a while, where that is possible. */
  fail?(): Promise<void>;
}

export interface Burden {
  uploads: number;
  atOnce: number;
  /** Size of the largest upload. */
  maxBytes: number;
  inspectionMs: number;
  killEveryMs: number;
  /** Limit of kills: on a busy machine, each one costs more time than it can show. */
  maxKills: number;
  /** Minimum of kills during a PATCH body, and during an inspection. */
  hits: number;
}

export interface Trouble {
  kills: number;
  /** Kills that hit a PATCH body, and kills that hit an inspection; one kill may hit both. */
  bodies: number;
  inspections: number;
  stops: number;
  restarts: number;
  outages: number;
}

const LEASE_MS = 2000;
const EXPIRE_MS = 20_000;
/** Its multiples modulo 1 are spread evenly, however many there are. */
const GOLDEN = (Math.sqrt(5) - 1) / 2;
const REFUSALS = ['ERR_CHECK_REFUSED', 'ERR_TYPE_MISMATCH'];

interface Outcome {
  name: string;
  hash: string;
  told: 'accepted' | 'refused' | string;
}

/** Runs until every upload has its outcome, then asserts the promises. Resolves with the number of kills by what they hit. */
export async function uploadThroughManyProcesses(place: SharedPlace, postgres: Postgres, burden: Burden): Promise<Trouble> {
  const database = await postgres.database();
  const processes = await startProcesses(place, database, burden);
  const endpoint = `${await startNginx({ upstream: processes.map(({ url }) => url), requestBuffering: false })}/files`;
  const over = new AbortController();
  const trouble = disrupt(processes, place, postgres, database, burden, over.signal);
  const outcomes = await uploadAll(endpoint, burden).finally(() => over.abort());
  const hits = await trouble;
  await expectPromises(place, postgres, database, outcomes);
  expect(hits.bodies).toBeGreaterThanOrEqual(burden.hits);
  expect(hits.inspections).toBeGreaterThanOrEqual(burden.hits);
  return hits;
}

async function startProcesses({ dataDir, env }: SharedPlace, database: string, { inspectionMs }: Burden): Promise<LandfallProcess[]> {
  const processes = [0, 1, 2].map(
    () =>
      new LandfallProcess({
        dataDir,
        program: 'test/support/slow-landfall.ts',
        env: {
          LANDFALL_DATABASE_URL: database,
          LANDFALL_DATABASE_CONNECTIONS: '5',
          LANDFALL_LEASE: `${LEASE_MS}ms`,
          LANDFALL_PATIENCE: '5s',
          LANDFALL_EXPIRE_AFTER: `${EXPIRE_MS}ms`,
          LANDFALL_SWEEP_INTERVAL: '1s',
          LANDFALL_LOG_LEVEL: 'fatal',
          INSPECTION_MS: String(inspectionMs),
          ...env,
        },
      }),
  );
  for (const server of processes) onTestFinished(() => server.kill());
  await Promise.all(processes.map((server) => server.start()));
  return processes;
}

/**
 * Our client sends every second upload, the stock client the others; every tenth is refused by its inspection or by its first
 * bytes.
 */
async function uploadAll(endpoint: string, { uploads, atOnce, maxBytes }: Burden): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  let next = 0;
  const work = async () => {
    for (let n = next++; n < uploads; n = next++) {
      const name = n % 10 === 3 ? `refuse-${n}.mp4` : n % 10 === 6 ? `refuse-${n}.png` : `film-${n}.mp4`;
      // From 100 bytes to the largest, each order of magnitude equally likely, large and small in turn.
      const bytes = await videoBytes(Math.round(100 * (maxBytes / 100) ** ((n * GOLDEN) % 1)), n);
      const told = n % 2 === 0 ? await uploadWithOurs(endpoint, bytes, name) : await uploadWithStock(endpoint, bytes, name);
      outcomes.push({ name, hash: sha256(bytes), told });
    }
  };
  await Promise.all(Array.from({ length: atOnce }, work));
  return outcomes;
}

async function uploadWithOurs(endpoint: string, bytes: Buffer<ArrayBuffer>, name: string): Promise<Outcome['told']> {
  try {
    await upload(bytes, { endpoint, name, resume: false, chunkSize: 8 * 1024 * 1024 }).done;
    return 'accepted';
  } catch (error) {
    return error instanceof UploadError && REFUSALS.includes(error.code) ? 'refused' : String(error);
  }
}

async function uploadWithStock(endpoint: string, bytes: Buffer, name: string): Promise<Outcome['told']> {
  const retryDelays = Array.from({ length: 200 }, () => 300);
  /** Keyed by address, since a creation whose answer was lost is repeated. */
  const acknowledged = new Map<string, number>();
  let wentBack = '';
  const { outcome, status, body } = await uploadWithStockClient(endpoint, bytes, name, {
    retryDelays,
    chunkSize: 16 * 1024 * 1024,
    onAfterResponse: (request, response) => {
      const told = response.getHeader('Upload-Offset');
      if (told === undefined || response.getStatus() >= 300) return;
      const url = request.getURL();
      const before = acknowledged.get(url) ?? 0;
      if (Number(told) < before) wentBack = `${request.getMethod()} took the offset back from ${before} to ${told}.`;
      acknowledged.set(url, Number(told));
    },
  });
  if (wentBack !== '') return wentBack;
  if (outcome === 'success') return 'accepted';
  return status === 422 && REFUSALS.some((code) => body.includes(code)) ? 'refused' : `${status} ${body}`;
}

/**
 * Kills one process after the other and starts it again. On the way, one process is suspended past its lease, the ledger is
 * restarted, and the store becomes unreachable where it can. A file whose inspection crashed five times in a row is rightly
 * refused, since no server can tell a kill from a file that crashes it: no process is killed during a fifth attempt.
 */
async function disrupt(
  processes: readonly LandfallProcess[],
  place: SharedPlace,
  postgres: Postgres,
  database: string,
  { killEveryMs, maxKills, hits: wanted }: Burden,
  over: AbortSignal,
): Promise<Trouble> {
  const hits: Trouble = { kills: 0, bodies: 0, inspections: 0, stops: 0, restarts: 0, outages: 0 };
  /** Processes that restart while others are killed. */
  const returning = new Map<LandfallProcess, Promise<void>>();
  for (let n = 0; !over.aborted && hits.kills < maxKills; n++) {
    await sleep(killEveryMs);
    const server = processes[n % processes.length];
    if (server === undefined || over.aborted) break;
    await returning.get(server);
    if (n === 2) {
      await postgres.restart();
      hits.restarts += 1;
    } else if (n === 1) {
      server.signal('SIGSTOP');
      returning.set(
        server,
        sleep(LEASE_MS * 2.5).then(() => {
          server.signal('SIGCONT');
          hits.stops += 1;
        }),
      );
    } else if (n === 6 && place.fail) {
      await place.fail();
      hits.outages += 1;
    } else {
      // Alternates between a PATCH body and an inspection, where one starts soon.
      const aim = n % 2 === 0 ? 'bodies' : 'inspections';
      const { pid } = server;
      for (let look = 0; !over.aborted; look++) {
        // While the process is suspended, it keeps what the ledger shows, up to the kill.
        server.signal('SIGSTOP');
        const held = await currentWork(postgres, database, server, pid);
        if (held.fifths === 0 && (held[aim] > 0 || look >= 100)) break;
        server.signal('SIGCONT');
        await sleep(10);
      }
      await server.kill();
      // The ledger still shows its locks and leases: the other processes notice the death only when the lease expires.
      const held = await currentWork(postgres, database, server, pid);
      hits.kills += 1;
      if (held.bodies > 0) hits.bodies += 1;
      if (held.inspections > 0) hits.inspections += 1;
      returning.set(server, startAgain(server));
    }
  }
  await Promise.all(returning.values());
  expect(hits.stops, `no process was suspended: all uploads ended after ${hits.kills} of ${wanted} kills`).toBe(1);
  expect(hits.restarts).toBe(1);
  expect(hits.outages).toBe(place.fail ? 1 : 0);
  return hits;
}

/** Like systemd, tries again: a process can't start while the ledger is unreachable. */
async function startAgain(server: LandfallProcess): Promise<void> {
  for (let attempt = 0; ; attempt++) {
    try {
      await server.start();
      return;
    } catch (error) {
      if (attempt === 10) throw error;
      await sleep(300);
    }
  }
}

/**
 * The current work of a process. Bodies: PATCH requests that it has not answered, to uploads whose lock it holds. Inspections:
 * all that it runs, and how many of them would crash for the fifth time.
 */
async function currentWork(postgres: Postgres, database: string, server: LandfallProcess, pid: number) {
  const [row] = await postgres.query(
    `select array(select "uploadId"::text from locks where owner like '${pid}-%') as locked,
      (select count(*)::int from uploads where state = 'inspecting' and "leaseOwner" like '${pid}-%') as inspections,
      (select count(*)::int from uploads where state = 'inspecting' and "leaseOwner" like '${pid}-%' and strikes >= ${MAX_STRIKES}) as fifths`,
    database,
  );
  const patched = new Map<unknown, number>();
  for (const { msg, pid: of, upload: id } of server.log) {
    if (of !== pid || (msg !== 'PATCH begins' && msg !== 'PATCH ends')) continue;
    patched.set(id, (patched.get(id) ?? 0) + (msg === 'PATCH begins' ? 1 : -1));
  }
  const locked = row?.locked as string[];
  return {
    bodies: locked.filter((id) => (patched.get(id) ?? 0) > 0).length,
    inspections: Number(row?.inspections),
    fifths: Number(row?.fifths),
  };
}

async function expectPromises(place: SharedPlace, postgres: Postgres, database: string, outcomes: readonly Outcome[]): Promise<void> {
  expect(outcomes.map(({ name, told }) => [name, told])).toEqual(
    outcomes.map(({ name }) => [name, name.startsWith('refuse') ? 'refused' : 'accepted']),
  );
  // The stock client repeats a creation whose answer a kill lost: no client knows the first upload, which expires.
  const states = () =>
    postgres.query(`select state, count(*)::int as count from uploads where state in ('receiving', 'inspecting') group by state`, database);
  await expect.poll(states, { timeout: EXPIRE_MS * 3, interval: 500 }).toEqual([]);
  await expect.poll(() => place.staged(), { timeout: 60_000, interval: 500 }).toEqual([]);
  await expect.poll(() => postgres.query('select * from locks', database), { timeout: 60_000 }).toEqual([]);
  const rows = await postgres.query(`select id, "originalName" as name, state from uploads`, database);
  const published = await place.published();
  const accepted = rows.filter(({ state }) => state === 'accepted');
  expect([...published.keys()].sort()).toEqual(accepted.map(({ id, name }) => `${id}/${name}`).sort());
  for (const { name, hash } of outcomes) {
    const own = accepted.filter((row) => row.name === name);
    expect(own, name).toHaveLength(name.startsWith('refuse') ? 0 : 1);
    for (const { id } of own) expect(published.get(`${id}/${name}`), name).toBe(hash);
    if (own.length === 0) expect(rows.filter((row) => row.name === name && row.state === 'rejected').length, name).toBeGreaterThan(0);
  }
  // Each upload has one verdict event.
  const told = await postgres.query(`select "uploadId" from events group by "uploadId", type having count(*) > 1`, database);
  expect(told).toEqual([]);
}
