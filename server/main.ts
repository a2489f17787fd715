// The command `landfall-server`: reads the environment and the flags, and handles signals.
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { parseArgs } from 'node:util';
import { pino } from 'pino';
import { requireAccessRule } from './access/open-access.ts';
import { isLoopbackName } from './access/origins.ts';
import { createLandfall } from './app.ts';
import { type Config, type ConfigInput, configFromEnvironment, summarize } from './config/config.ts';
import { describeSettings, flagName, isFlag } from './config/setting-names.ts';
import { SETTINGS, type SettingKey } from './config/settings.ts';
import { hasSqlite } from './ledger/open.ts';
import { isCredentialsCommand, runCredentialsCommand } from './operator/credentials-commands.ts';
import { LIMIT_OPTIONS, requireNoLimits, requireOwnFlags, SETTINGS_NAMED_LIKE_LIMITS } from './operator/limit-options.ts';
import { runOperatorCommand } from './operator/operator.ts';
import { UsageError } from './operator/usage.ts';
import { BatchedLog } from './runtime/batched-log.ts';
import { boundHeapGrowth } from './runtime/heap-growth.ts';
import { pause } from './runtime/pause.ts';
import { StartError } from './runtime/start-error.ts';
import { terminalLog } from './runtime/terminal-log.ts';
import { S3Fault } from './s3/fault.ts';

/** docs/operations.md names these clients. */
const RELATIVE_LOCATION =
  'LANDFALL_PUBLIC_URL is not set: upload addresses have no host, and aiotus and tus_async_client cannot follow them';

const USAGE = `landfall-server [serve] [options]    serve uploads, the page and the forms
landfall-server ls                   list uploads, newest first: --state STATE, --limit N, --after ID, --json (one line each)
landfall-server show ID              print everything known of one upload
landfall-server rm ID                remove an accepted file; its address then answers 410
landfall-server url ID               print an address at which anyone can download it for a while: --expires 1h
landfall-server verify               read every accepted file again and compare it with the ledger
landfall-server events ls            list events, newest first: --state pending or failed (webhook), --limit, --after, --json
landfall-server events redeliver ID  send events to the webhook again
landfall-server events enable        send to a webhook again that answered 410, starting with the events that were kept
landfall-server adopt                take over the uploads of another, stopped server: --file-store DIR, --s3-store BUCKET[/PREFIX],
                                     or --tusd DIR or BUCKET[/PREFIX]; --dry-run prints what it would do; --trust accepts
                                     finished files unchecked; --owner NAME; --delete removes adopted originals (docs/migration.md)
landfall-server restored             after a restore: end the uploads that were unfinished in the backup
landfall-server key add OWNER        create a key, printed only once: limits as below, --title TEXT
landfall-server key ls               list keys and what was uploaded with them: --json (one line each)
landfall-server key rm ID            revoke a key
landfall-server link TITLE           create an upload link, printed only once: limits as below, --owner OWNER
landfall-server link ls              list links and what was uploaded with them: --json (one line each)
landfall-server link rm ID           revoke a link
landfall-server grant OWNER          sign a right to upload with LANDFALL_GRANT_SECRETS: limits as below, --expires 14d, --id ID
landfall-server grant revoke ID      revoke a grant, by its id or by the printed token

Limits of keys, links and grants: --max-uploads N, --max-size SIZE (one file), --max-bytes SIZE (all files),
--allow LIST (docs/policy.md), --actions create,download,terminate, --metadata KEY=VALUE (repeatable), --keep-files-for TIME, --expires TIME

Options, each also an environment variable:
`;

async function main(): Promise<void> {
  const keys = Object.keys(SETTINGS) as SettingKey[];
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      help: { type: 'boolean', short: 'h' },
      state: { type: 'string' },
      limit: { type: 'string' },
      after: { type: 'string' },
      json: { type: 'boolean' },
      ...LIMIT_OPTIONS,
      'file-store': { type: 'string' },
      's3-store': { type: 'string' },
      tusd: { type: 'string' },
      trust: { type: 'boolean' },
      'dry-run': { type: 'boolean' },
      delete: { type: 'boolean' },
      // `--allow-anonymous` alone means yes; a flag that is off by default need not be set to false.
      ...Object.fromEntries(
        keys.map((key) => [flagName(key).slice(2), { type: isFlag(key) ? ('boolean' as const) : ('string' as const) }]),
      ),
    },
  });
  if (values.help) {
    process.stdout.write(`${USAGE}${describeSettings()}\n`);
    return;
  }
  const [command = 'serve', ...operands] = positionals;
  const isForCredentials = isCredentialsCommand(command);
  const flags: Record<string, unknown> = {};
  for (const key of keys) {
    const value = (values as Record<string, unknown>)[flagName(key).slice(2)];
    // A limit of a key, link or grant is not the server's setting of the same name.
    if (value !== undefined && !(isForCredentials && SETTINGS_NAMED_LIKE_LIMITS.includes(key))) flags[key] = value;
  }
  if (isForCredentials) requireOwnFlags(command, Object.keys(flags) as SettingKey[]);
  else requireNoLimits(command, values);
  const config = configFromEnvironment(process.env, flags as ConfigInput);
  if (command === 'serve' && operands.length > 0) throw new UsageError(`"serve" takes no "${operands[0]}". See landfall-server --help.`);
  if (command === 'serve') await serve(config);
  else if (isForCredentials) {
    process.exitCode = await runCredentialsCommand(command, operands, values, config, { output: process.stdout, notes: process.stderr });
  } else process.exitCode = await runOperatorCommand(command, operands, values, config, process.stdout);
}

async function serve(config: Config): Promise<void> {
  // Read at the first use of the thread pool. Its threads wait for disks, not for processors, and a disk groups syncs that run at the
  // same time.
  process.env.UV_THREADPOOL_SIZE ??= '16';
  // An existing ledger may have keys, which also decide who may upload; a failed start must not create a ledger.
  if (config.databaseUrl === '' && !hasSqlite(config.dataDir)) requireAccessRule(config, true);
  boundHeapGrowth();
  // Asynchronous: writing one upload's log line must not delay the next upload.
  const destination = new BatchedLog(pino.destination({ sync: false }));
  process.on('exit', () => destination.flushSync());
  const terminal = process.stdout.isTTY ? terminalLog((text) => process.stdout.write(text)) : undefined;
  const log = pino({ level: config.logLevel }, terminal ?? destination);
  const landfall = createLandfall(config, { logger: log, isStandalone: true });
  const server = createServer(landfall.handler);
  server.headersTimeout = 60_000;
  landfall.attach(server);
  await landfall.start();
  server.listen(config.port, config.host);
  await once(server, 'listening').catch(async (error: unknown) => {
    // Other processes need not wait for this process's lease to run out.
    await Promise.race([landfall.close(), pause(config.shutdownGraceMs, undefined, true)]);
    throw unusableAddress(error, config) ?? error;
  });
  // The system could not hand over a connection; the next ones are accepted as before.
  server.on('error', (error) => log.error({ err: error }, 'accepting a connection failed'));
  const { port } = server.address() as AddressInfo;
  const host = config.host.includes(':') ? `[${config.host}]` : config.host;
  const url = `http://${host}:${port}/`;
  log.info({ url, ...summarize(config) }, 'listening');
  if (config.publicUrl === '' && !isLoopbackName(config.host)) log.warn(RELATIVE_LOCATION);
  if (process.stderr.isTTY)
    process.stderr.write(`\n  Landfall accepts uploads at ${url}\n  Accepted files are kept in ${config.storageDir}\n\n`);

  let isStopping = false;
  const stop = (signal: NodeJS.Signals) => {
    if (isStopping) process.exit(1);
    isStopping = true;
    log.info({ signal }, 'draining');
    const deadline = setTimeout(() => {
      log.warn('the shutdown grace time is over');
      process.exit(0);
    }, config.shutdownGraceMs);
    deadline.unref();
    server.close();
    landfall
      .close()
      .then(() => {
        server.closeIdleConnections();
        server.closeAllConnections();
        log.info('stopped');
        process.exit(0);
      })
      .catch((error) => {
        log.error({ err: error }, 'stopping failed');
        process.exit(1);
      });
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
}

/** The address to listen on is in use, or this machine does not have it. */
class AddressUnusable extends StartError {
  override readonly name = 'AddressUnusable';
  override readonly code = 'ERR_ADDRESS_UNUSABLE';
}

/** Undefined for an error that no setting caused. */
function unusableAddress(error: unknown, { host, port }: Config): AddressUnusable | undefined {
  const words: Readonly<Record<string, string>> = {
    EADDRINUSE: `LANDFALL_PORT: another process listens on port ${port} of ${host}. Stop it, or choose another port.`,
    EACCES: `LANDFALL_PORT: this user may not listen on port ${port}. Choose a port from 1024 on.`,
    EADDRNOTAVAIL: `LANDFALL_HOST: this machine has no address ${host}.`,
    ENOTFOUND: `LANDFALL_HOST: there is no host “${host}”.`,
  };
  const text = error instanceof Error && 'code' in error ? words[String(error.code)] : undefined;
  return text === undefined ? undefined : new AddressUnusable(text, { cause: error });
}

/** Errors of directories that the server cannot write until an operator changes something. */
const UNWRITABLE = new Set(['EACCES', 'EPERM', 'EROFS', 'ENOTDIR', 'EEXIST', 'ENAMETOOLONG', 'ELOOP']);

/** What to change when the server cannot create its directories; undefined for any other error. */
function unwritableDirectory(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error) || !('path' in error)) return undefined;
  const isNoPlace = error.code === 'ENOENT' && 'syscall' in error && error.syscall === 'mkdir';
  if (!isNoPlace && !UNWRITABLE.has(String(error.code))) return undefined;
  return `${error.path} cannot be written to (${error.code}). Name another directory with LANDFALL_DATA_DIR or LANDFALL_STORAGE_DIR, or let this user write there.`;
}

main().catch((error: unknown) => {
  const isArgument = error instanceof TypeError && 'code' in error && String(error.code).startsWith('ERR_PARSE_ARGS');
  // The message of a system error, such as an address in use, is enough without a stack.
  const isKnown = error instanceof StartError || error instanceof S3Fault || isArgument || (error instanceof Error && 'syscall' in error);
  const problem = unwritableDirectory(error);
  if (problem !== undefined || isKnown) process.stderr.write(`landfall-server: ${problem ?? (error as Error).message}\n`);
  else console.error(error);
  process.exit(problem !== undefined || isArgument || (error instanceof StartError && error.isMistake) ? 2 : 1);
});
