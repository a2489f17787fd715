// Assertions that hold for uploads whatever happened to the server: every acknowledged byte is stored, each upload has one
// verdict and one event, its final file has the sender's bytes, and nothing else is left.
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { filesBelow, sha256, sha256OfFile } from '../support/content.ts';
import type { LandfallProcess } from '../support/landfall-process.ts';
import { ledgerEvents, ledgerRows } from '../support/sqlite-ledger.ts';
import { headUpload } from '../support/tus-requests.ts';

/** An upload from its sender's view. No two have the same name. */
export interface Sent {
  id: string;
  name: string;
  bytes: Buffer<ArrayBuffer>;
  /** The highest offset that the server acknowledged to the sender. */
  acknowledged: number;
  /** The verdict that the upload must get. */
  ending: 'accepted' | 'rejected';
}

const SOON = { timeout: 60_000, interval: 50 };
const UNDER_WAY = ['receiving', 'inspecting'];

/** Call while no sender sends: the server completes the inspections that it had started by itself, and changes nothing else. */
export async function expectPromisesKept(server: LandfallProcess, sent: readonly Sent[]): Promise<void> {
  for (const upload of sent) {
    const { id, name, bytes, acknowledged, ending } = upload;
    const offset = await offsetOf(server, id);
    expect(offset, `${name}: the offset went back behind the acknowledged one`).toBeGreaterThanOrEqual(acknowledged);
    upload.acknowledged = offset;
    if (offset === bytes.length) expect(ending, `${name}: accepted although it must be ${ending}`).toBe('accepted');
    const staged = await readHead(stagedPath(server.dataDir, id), offset);
    const row = ledgerRows(server.dataDir).find((candidate) => candidate.id === id);
    // The staged bytes of an ended upload may be deleted; `expectOneTruth` looks at the final file.
    if (row?.state === 'receiving') expect(staged.equals(bytes.subarray(0, offset)), `${name}: other bytes are stored`).toBe(true);
  }
  const unfinished = () => ledgerRows(server.dataDir).filter(({ state }) => state === 'inspecting');
  await expect.poll(unfinished, SOON).toEqual([]);
  const leftOver = async () => {
    const receiving = ledgerRows(server.dataDir).filter(({ state }) => state === 'receiving');
    const staged = await filesBelow(join(server.dataDir, 'staging'));
    return staged.filter((file) => !receiving.some(({ id }) => file.endsWith(`/${id}`)));
  };
  await expect.poll(leftOver, SOON).toEqual([]);
  await expectOneTruth(server, sent);
}

/** No upload has two verdicts or two events, and every final file belongs to an accepted upload, or to one under inspection. */
export async function expectOneTruth({ dataDir, env }: LandfallProcess, sent: readonly Sent[]): Promise<void> {
  // The order matters: an upload accepted meanwhile has its file by then.
  const rows = ledgerRows(dataDir);
  const events = ledgerEvents(dataDir);
  const files = await finalFiles(dataDir, env);
  for (const { id, state, name, originalName, errorCode } of rows) {
    const own = files.filter((file) => file.includes(id));
    if (!UNDER_WAY.includes(state)) expect(events.get(id), `${originalName}: its events are not exactly its verdict`).toEqual([state]);
    if (state === 'accepted')
      expect(own, `${originalName}: accepted without exactly one file`).toEqual([expect.stringMatching(`/${id}/${name}$`)]);
    const ending = sent.find((upload) => upload.id === id)?.ending;
    if (ending !== undefined) expect([...UNDER_WAY, ending], `${originalName}: wrong state (${errorCode ?? 'no error'})`).toContain(state);
  }
  const known = new Set(rows.map(({ id }) => id));
  expect(files.filter((file) => !known.has(idIn(file)))).toEqual([]);
}

/** Each upload has its verdict, and nothing else is left: no staged byte, no second file, and no file without an upload. */
export async function expectSettled(server: LandfallProcess, sent: readonly Sent[]): Promise<void> {
  const { dataDir, env } = server;
  const states = () => {
    const rows = ledgerRows(dataDir);
    return sent.map(({ id, name }) => `${name}: ${rows.find((row) => row.id === id)?.state}`);
  };
  await expect.poll(states, SOON).toEqual(sent.map(({ name, ending }) => `${name}: ${ending}`));
  const others = new Set(ledgerRows(dataDir).map(({ id }) => id));
  for (const { id } of sent) others.delete(id);
  const leftOver = async () => (await filesBelow(join(dataDir, 'staging'))).filter((file) => !others.has(file.split('/').at(-1) ?? ''));
  await expect.poll(leftOver, SOON).toEqual([]);
  await expectOneTruth(server, sent);
  const accepted = sent.filter(({ ending }) => ending === 'accepted');
  const files = (await finalFiles(dataDir, env)).filter((file) => !others.has(idIn(file)));
  expect(files.map(idIn).sort()).toEqual(accepted.map(({ id }) => id).sort());
  for (const { id, name, bytes } of accepted) {
    const file = files.find((candidate) => idIn(candidate) === id) ?? '';
    expect(await sha256OfFile(join(storageDir(dataDir, env), file)), `${name}: the final file has other bytes`).toBe(sha256(bytes));
  }
}

export function stagedPath(dataDir: string, id: string): string {
  return join(dataDir, 'staging', id.slice(0, 2), id);
}

/** The offset from HEAD, as soon as HEAD answers 200. */
async function offsetOf(server: LandfallProcess, id: string): Promise<number> {
  let offset = -1;
  const ask = async () => {
    const answer = await headUpload(`${server.files}/${id}`);
    offset = answer.offset ?? -1;
    return answer.status;
  };
  await expect.poll(ask, SOON).toBe(200);
  return offset;
}

function storageDir(dataDir: string, env: Record<string, string>): string {
  return env.LANDFALL_STORAGE_DIR ?? join(dataDir, 'files');
}

function finalFiles(dataDir: string, env: Record<string, string>): Promise<string[]> {
  return filesBelow(storageDir(dataDir, env));
}

/** The id in a path `YYYY/MM/DD/<id>/<name>`. */
function idIn(file: string): string {
  return file.split('/').at(-2) ?? '';
}

/** Reads as many bytes as there are; none when the file does not exist. */
async function readHead(path: string, length: number): Promise<Buffer> {
  const file = await open(path).catch(() => undefined);
  if (file === undefined) return Buffer.alloc(0);
  try {
    const buffer = Buffer.alloc(length);
    const { bytesRead } = await file.read(buffer, 0, length, 0);
    return buffer.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}
