// Operators' commands that create, list and revoke keys, upload links and grants, also while the server runs.
import { randomUUID } from 'node:crypto';
import { formatBytes, formatDuration } from '../../shared/units.ts';
import { isOwner } from '../access/application.ts';
import { GRANT_ID } from '../access/grants.ts';
import { claimsOf } from '../access/jwt-claims.ts';
import type { Config } from '../config/config.ts';
import { createGrant } from '../grants.ts';
import { type Credential, Credentials } from '../ledger/credentials.ts';
import { Ledger } from '../ledger/ledger.ts';
import type { Limits } from '../ledger/limits.ts';
import { hasSqlite, openEngine } from '../ledger/open.ts';
import { Quotas } from '../ledger/quotas.ts';
import { expiryOfOptions, type LimitOptions, limitsOfOptions } from './limit-options.ts';
import { serverUrl } from './operator.ts';
import { UsageError } from './usage.ts';

const COMMANDS = ['key', 'link', 'grant'];

interface Output {
  write(text: string): unknown;
}

export interface Outputs {
  /** For scripts: a token, and nothing beside it. */
  output: Output;
  /** For people: what the token is. */
  notes: Output;
}

export function isCredentialsCommand(command: string): boolean {
  return COMMANDS.includes(command);
}

/** Runs one command and returns the exit code: 0, or 1 when the key or link does not exist. @throws UsageError */
export async function runCredentialsCommand(
  command: string,
  operands: readonly string[],
  options: LimitOptions,
  config: Config,
  outputs: Outputs,
): Promise<number> {
  const [first, second] = operands;
  if (operands.length > 2) throw new UsageError(`"${command}" takes no "${operands[2]}". See landfall-server --help.`);
  if (command === 'grant') {
    if (first !== 'revoke') return grant(ownerOf('grant', first, second), options, config, outputs);
    const jti = jtiOf(second);
    return withLedger(config, true, (credentials) => revoke(credentials, jti, outputs));
  }
  if (command !== 'link' && options.owner !== undefined) throw new UsageError(`"${command}" takes no --owner. See landfall-server --help.`);
  if (command === 'link' && first !== 'ls' && first !== 'rm') {
    const title = titleOf(first, second);
    return withLedger(config, false, (credentials) => addLink(credentials, title, options, config, outputs));
  }
  const kind = command === 'link' ? 'link' : 'key';
  switch (first) {
    case 'add': {
      const owner = ownerOf('key add', second);
      return withLedger(config, false, (credentials) => addKey(credentials, owner, options, outputs));
    }
    case 'rm':
      return withLedger(config, true, (credentials) => remove(kind, credentials, second, outputs));
    case 'ls':
      if (second !== undefined) throw new UsageError(`"${command} ls" takes no "${second}". See landfall-server --help.`);
      return withLedger(config, true, (credentials, quotas) => list(kind, credentials, quotas, options, outputs));
    default:
      throw new UsageError('Write "key add OWNER", "key ls" or "key rm ID". See landfall-server --help.');
  }
}

async function addKey(credentials: Credentials, owner: string, options: LimitOptions, { output, notes }: Outputs): Promise<number> {
  const { title = '' } = options;
  const { id, token } = await credentials.add('key', { owner, title, limits: limitsOfOptions(options), endsAt: expiryOfOptions(options) });
  notes.write(`Key ${nameOf(id)} of ${owner}. It is shown only once:\n`);
  output.write(`${token}\n`);
  return 0;
}

/** Guests may upload and cancel, and read nothing, unless the operator says otherwise. */
const GUEST_ACTIONS = ['create', 'terminate'] as const;

async function addLink(
  credentials: Credentials,
  title: string,
  options: LimitOptions,
  config: Config,
  { output, notes }: Outputs,
): Promise<number> {
  const { owner = '' } = options;
  if (owner !== '' && !isOwner(owner)) throw new UsageError('--owner: Write a name of up to 255 characters, without control characters.');
  const limits = { actions: GUEST_ACTIONS, ...limitsOfOptions(options) };
  const { id, token } = await credentials.add('link', { owner, title, limits, endsAt: expiryOfOptions(options) });
  notes.write(`Link ${nameOf(id)}, “${title}”. Anyone with this address may upload; it is shown only once:\n`);
  if (config.publicUrl === '') notes.write('LANDFALL_PUBLIC_URL is not set: other machines may need another host name in this address.\n');
  output.write(`${serverUrl(config)}/link#${token}\n`);
  return 0;
}

async function remove(kind: 'key' | 'link', credentials: Credentials, name: string | undefined, { output }: Outputs): Promise<number> {
  if (name === undefined || !/^[0-9a-f]{12}$/.test(name)) throw new UsageError(`Name a ${kind} by its id, as "${kind} ls" lists it.`);
  const isRemoved = await credentials.remove(`${kind}:${name}`);
  output.write(isRemoved ? `${name} removed\n` : `There is no valid ${kind} ${name}.\n`);
  return isRemoved ? 0 : 1;
}

async function list(
  kind: 'key' | 'link',
  credentials: Credentials,
  quotas: Quotas,
  { json = false }: LimitOptions,
  { output }: Outputs,
): Promise<number> {
  for (const { secretHash, ...key } of await credentials.list(kind)) {
    const quota = await quotas.get(key.id);
    const uses = { uploads: quota?.uploads ?? 0, bytes: quota?.bytes ?? 0 };
    output.write(`${json ? JSON.stringify({ ...key, id: nameOf(key.id), ...uses }) : lineOf({ secretHash, ...key }, uses)}\n`);
  }
  return 0;
}

function lineOf({ id, owner, title, limits, createdAt, endsAt, removedAt }: Credential, uses: { uploads: number; bytes: number }): string {
  const end =
    removedAt !== null
      ? `removed ${day(removedAt)}`
      : endsAt === null
        ? 'no end'
        : endsAt <= Date.now()
          ? `ended ${day(endsAt)}`
          : `until ${day(endsAt)}`;
  const used = `${uses.uploads} uploads, ${formatBytes(uses.bytes)}`;
  return [nameOf(id), day(createdAt), end.padEnd(18), used, owner, ...describe(limits), ...(title === '' ? [] : [`“${title}”`])].join('  ');
}

/** Limits as an operator types them. */
function describe({ allow, maxUploadBytes, maxUploads, maxBytes, metadata = {}, actions, keepFilesForMs }: Limits): string[] {
  return [
    ...(maxUploads === undefined ? [] : [`--max-uploads ${maxUploads}`]),
    ...(maxUploadBytes === undefined ? [] : [`--max-size ${formatBytes(maxUploadBytes)}`]),
    ...(maxBytes === undefined ? [] : [`--max-bytes ${formatBytes(maxBytes)}`]),
    ...(allow === undefined ? [] : [`--allow ${allow}`]),
    ...(actions === undefined ? [] : [`--actions ${actions.join(',')}`]),
    ...Object.entries(metadata).map(([key, value]) => `--metadata ${key}=${value}`),
    ...(keepFilesForMs === undefined ? [] : [`--keep-files-for ${formatDuration(keepFilesForMs)}`]),
  ];
}

/** Signed with the secret alone: the ledger learns of a grant when it is used. */
function grant(owner: string, options: LimitOptions, config: Config, { output, notes }: Outputs): number {
  const [secret] = config.grantSecrets;
  if (secret === undefined) {
    throw new UsageError(
      'Set LANDFALL_GRANT_SECRETS to sign grants. With a private key, your application signs them: createGrant of landfall-server/grants.',
    );
  }
  const { maxUploadBytes, keepFilesForMs, ...limits } = limitsOfOptions(options);
  const endsAt = expiryOfOptions(options);
  if (endsAt === null || endsAt <= Date.now()) throw new UsageError('The grant has no end. Write one, such as --expires 14d.');
  const { id = randomUUID() } = options;
  if (!GRANT_ID.test(id)) throw new UsageError('--id: Write 1 to 128 letters, digits and “-._~:”.');
  const given = Object.fromEntries(
    Object.entries({ ...limits, maxUploadSize: maxUploadBytes, keepFilesFor: keepFilesForMs }).filter(([, value]) => value !== undefined),
  );
  const token = createGrant(secret, { owner, expires: new Date(endsAt), id, ...given });
  notes.write(`Grant ${id} for ${owner}, until ${new Date(endsAt).toISOString()}:\n`);
  output.write(`${token}\n`);
  return 0;
}

async function revoke(credentials: Credentials, jti: string, { output }: Outputs): Promise<number> {
  await credentials.revokeGrant(jti);
  output.write(`${jti} revoked\n`);
  return 0;
}

/** @throws UsageError */
async function withLedger(
  config: Config,
  mustExist: boolean,
  act: (credentials: Credentials, quotas: Quotas) => Promise<number>,
): Promise<number> {
  // The first key may be created before the first start, which then finds it.
  if (mustExist && config.databaseUrl === '' && !hasSqlite(config.dataDir)) {
    throw new UsageError(`There is no ledger in ${config.dataDir}. Name the data directory with --data-dir or LANDFALL_DATA_DIR.`);
  }
  await using opened = new AsyncDisposableStack();
  const engine = await openEngine(config, false);
  const ledger = new Ledger(engine);
  opened.defer(() => ledger.close());
  await ledger.migrate();
  return await act(new Credentials(engine), new Quotas(engine, () => ledger.now()));
}

/** @throws UsageError */
function ownerOf(command: string, owner: string | undefined, more?: string): string {
  if (owner !== undefined && isOwner(owner) && more === undefined) return owner;
  throw new UsageError(`Write "${command} OWNER": a name of up to 255 characters, without control characters.`);
}

/** @throws UsageError */
function titleOf(title: string | undefined, more?: string): string {
  if (title !== undefined && more === undefined && /^[^\p{Cc}]{1,200}$/u.test(title.trim())) return title.trim();
  throw new UsageError('Write "link TITLE", "link ls" or "link rm ID"; a title of several words in quotes. See landfall-server --help.');
}

/** From the id, or from the grant itself. @throws UsageError */
function jtiOf(text = ''): string {
  const jti = claimsOf(text)?.jti ?? text;
  if (typeof jti === 'string' && GRANT_ID.test(jti)) return jti;
  throw new UsageError('Write "grant revoke ID": the claim jti of the grant, or the grant itself.');
}

function nameOf(id: string): string {
  return id.slice(id.indexOf(':') + 1);
}

function day(time: number): string {
  return new Date(time).toISOString().slice(0, 10);
}
