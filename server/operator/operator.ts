// Operators' commands for uploads, also while the server runs.
import { crc32 } from 'node:zlib';
import { UploadError } from '../../shared/errors.ts';
import { formatBytes, parseDuration } from '../../shared/units.ts';
import { type ApplicationRecord, UPLOAD_STATES, type UploadState } from '../../shared/upload.ts';
import { Downloads, downloadSecret } from '../access/downloads.ts';
import type { Config } from '../config/config.ts';
import { applicationRecord, toRecord } from '../finish/record.ts';
import { Removal } from '../finish/removal.ts';
import { signedDownload } from '../http/download.ts';
import { Facts } from '../ledger/facts.ts';
import { Ledger } from '../ledger/ledger.ts';
import { hasSqlite, openEngine } from '../ledger/open.ts';
import { BrokenRow, toUpload, type Upload, type UploadRow } from '../ledger/upload.ts';
import { parseUploadId, type UploadId } from '../ledger/upload-id.ts';
import { NO_CHECKSUM } from '../staging/running-checksum.ts';
import { type Backend, openBackend } from '../storage/backend.ts';
import type { Storage } from '../storage/storage.ts';
import { type AdoptFlags, adopt } from './adopt/command.ts';
import { runEventsCommand } from './events.ts';
import { endUnfinished } from './restored.ts';
import { type ListOptions, limitOf, type Output, UsageError, writePaced } from './usage.ts';

const COMMANDS = ['ls', 'show', 'rm', 'url', 'verify', 'restored', 'events', 'adopt'];
const PAGE = 200;

/** Runs one command and returns the exit code: 0, or 1 when an upload or file is missing or damaged. @throws UsageError */
export async function runOperatorCommand(
  command: string,
  operands: readonly string[],
  options: ListOptions & AdoptFlags,
  config: Config,
  output: Output,
): Promise<number> {
  if (!COMMANDS.includes(command)) throw new UsageError(`There is no command "${command}". See landfall-server --help.`);
  if (!['show', 'rm', 'url', 'events'].includes(command) && operands.length > 0)
    throw new UsageError(`"${command}" takes no "${operands[0]}". See landfall-server --help.`);
  if (command !== 'adopt' && config.databaseUrl === '' && !hasSqlite(config.dataDir))
    throw new UsageError(`There is no ledger in ${config.dataDir}. Name the data directory with --data-dir or LANDFALL_DATA_DIR.`);
  await using opened = new AsyncDisposableStack();
  const backend = await openBackend(config, { engine: () => engine });
  opened.defer(() => backend.close());
  const engine = await openEngine(config, command === 'restored' || command === 'adopt');
  const ledger = new Ledger(engine);
  opened.defer(() => ledger.close());
  const { storage } = backend;
  await ledger.migrate();
  switch (command) {
    case 'ls':
      return await list(ledger, backend, config, options, output);
    case 'show':
      return await show(ledger, backend, config, idOf(operands), output);
    case 'rm':
      return await remove(ledger, storage, config, idOf(operands), output);
    case 'url':
      return await printUrl(ledger, new Facts(engine), config, idOf(operands), options, output);
    case 'events':
      return await runEventsCommand(operands, options, engine, ledger, (upload) => recordOf(ledger, backend, config, upload), output);
    case 'restored':
      output.write(`${await endUnfinished(engine, ledger, config.keepRecordsForMs)} unfinished uploads ended\n`);
      return 0;
    case 'adopt':
      return await adopt(engine, ledger, backend, config, options, (line) => void output.write(line));
    default:
      return await verify(ledger, storage, output);
  }
}

async function list(ledger: Ledger, backend: Backend, config: Config, options: ListOptions, output: Output): Promise<number> {
  const { state, limit, after, json = false } = options;
  const wanted = UPLOAD_STATES.find((candidate) => candidate === state);
  if (state !== undefined && wanted === undefined) throw new UsageError(`--state is one of ${UPLOAD_STATES.join(', ')}.`);
  const lastId = after === undefined ? undefined : idOf([after]);
  const last = lastId && (await ledger.get(lastId));
  if (lastId !== undefined && last === undefined) return missing(lastId, output);
  let left = limitOf(limit);
  for await (const upload of all(ledger, wanted, last, left)) {
    const line = json ? JSON.stringify(await describeUpload(ledger, backend, config, toUpload(upload))) : lineOf(upload);
    await writePaced(output, `${line}\n`);
    if (--left === 0) break;
  }
  return 0;
}

function lineOf(upload: UploadRow): string {
  const size = upload.length === null ? '?' : formatBytes(upload.length);
  const time = new Date(upload.createdAt).toISOString().slice(0, 19);
  // File names have no control characters, so they are safe to print.
  return `${upload.id}  ${upload.state.padEnd(10)}  ${time}  ${size.padStart(10)}  ${upload.name ?? '-'}`;
}

async function show(ledger: Ledger, backend: Backend, config: Config, id: UploadId, output: Output): Promise<number> {
  const upload = await ledger.get(id);
  if (upload === undefined) return missing(id, output);
  output.write(`${JSON.stringify(await describeUpload(ledger, backend, config, upload), undefined, 2)}\n`);
  return 0;
}

/** An upload in an event. */
function recordOf(ledger: Ledger, { placeOf }: Backend, config: Config, upload: Upload): ApplicationRecord {
  return applicationRecord(upload, toRecord(ledger, upload, 0, `${config.publicUrl}/files/${upload.id}`), placeOf);
}

/** Everything known of an upload. */
async function describeUpload(ledger: Ledger, { staging, describe, placeOf }: Backend, config: Config, upload: Upload): Promise<object> {
  const { id } = upload;
  const stored = upload.state === 'receiving' ? await staging.size(id) : 0;
  const record = toRecord(ledger, upload, stored, `${config.publicUrl}/files/${id}`);
  const file = upload.state === 'accepted' ? describe(upload.target, upload.name) : undefined;
  const { source, credential } = upload;
  return { ...applicationRecord(upload, record, placeOf), source, credential, file };
}

async function remove(ledger: Ledger, storage: Storage, config: Config, id: UploadId, output: Output): Promise<number> {
  const upload = await ledger.get(id);
  if (upload === undefined) return missing(id, output);
  if (upload.state !== 'accepted' && upload.state !== 'removed') {
    output.write(`${id} is ${upload.state}; only an accepted file can be removed.\n`);
    return 1;
  }
  // Removes the file at once, also while it is downloaded. After a crash in between, this command or a running server removes the rest.
  const removal = new Removal({ ledger, storage, keepRecordsForMs: config.keepRecordsForMs, lingerMs: 0 });
  if (upload.state === 'accepted') await removal.remove(upload);
  else await removal.finish(upload);
  output.write(`${id} removed\n`);
  return 0;
}

async function printUrl(
  ledger: Ledger,
  facts: Facts,
  config: Config,
  id: UploadId,
  { expires }: ListOptions,
  output: Output,
): Promise<number> {
  const lifetimeMs = expires === undefined ? config.downloadLifetimeMs : durationOf('--expires', expires);
  const downloads = new Downloads({ rule: config.downloads, secret: await downloadSecret(facts), lifetimeMs });
  try {
    output.write(`${await signedDownload({ ledger, downloads }, id, `${serverUrl(config)}/files`)}\n`);
    return 0;
  } catch (error) {
    if (!(error instanceof UploadError)) throw error;
    output.write(`${id}: ${error.message}\n`);
    return 1;
  }
}

/** The server's address: as configured, else as this machine reaches it. Without a slash at the end. */
export function serverUrl({ publicUrl, host, port }: Config): string {
  if (publicUrl !== '') return publicUrl;
  const name = host === '0.0.0.0' || host === '::' ? 'localhost' : host.includes(':') ? `[${host}]` : host;
  return `http://${name}:${port}`;
}

function durationOf(option: string, text: string): number {
  try {
    return parseDuration(text);
  } catch (error) {
    throw new UsageError(`${option}: ${(error as Error).message}`);
  }
}

async function verify(ledger: Ledger, storage: Storage, output: Output): Promise<number> {
  let files = 0;
  let faults = 0;
  for await (const upload of all(ledger, 'accepted')) {
    files += 1;
    const fault = await faultOfFile(storage, upload);
    if (fault === undefined) continue;
    faults += 1;
    output.write(`${upload.id}  ${upload.name ?? '-'}  ${fault}\n`);
  }
  output.write(`${files} files, ${faults} faults\n`);
  return faults === 0 ? 0 : 1;
}

async function faultOfFile(storage: Storage, row: UploadRow): Promise<string | undefined> {
  let upload: Upload;
  try {
    upload = toUpload(row);
  } catch (error) {
    if (error instanceof BrokenRow) return error.message;
    throw error;
  }
  if (upload.state !== 'accepted') return undefined;
  const size = await storage.size(upload.target, upload.name);
  if (size === undefined) return 'missing';
  if (size !== upload.length) return `${size} bytes instead of ${upload.length}`;
  // A direct upload: the ledger has no checksum of its content.
  if (upload.checksumOffset === NO_CHECKSUM) return undefined;
  let checksum = 0;
  for await (const chunk of storage.read(upload.target, upload.name)) checksum = crc32(chunk as Buffer, checksum);
  return checksum === upload.checksum ? undefined : 'the content has changed';
}

/** Reads a page at a time, and at most `limit` rows. */
async function* all(
  ledger: Ledger,
  state: UploadState | undefined,
  after?: Pick<UploadRow, 'createdAt' | 'id'>,
  limit = PAGE,
): AsyncIterable<UploadRow> {
  let before: { createdAt: number; id: UploadId } | undefined = after && { createdAt: after.createdAt, id: after.id };
  for (;;) {
    const page = await ledger.uploads.newest({ limit: Math.min(PAGE, limit), ...(state && { state }), ...(before && { before }) });
    yield* page;
    const last = page.at(-1);
    if (last === undefined || page.length < PAGE) return;
    before = { createdAt: last.createdAt, id: last.id };
  }
}

function idOf(operands: readonly string[]): UploadId {
  const id = parseUploadId(operands[0]);
  if (id === undefined || operands.length > 1) throw new UsageError('Name one upload by its id: 32 hexadecimal digits.');
  return id;
}

function missing(id: UploadId, output: Output): number {
  output.write(`There is no upload ${id}.\n`);
  return 1;
}
