// The command `landfall-server`: the environment, flags and signals end here.
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { parseArgs } from 'node:util';
import { pino } from 'pino';
import { requireChoice } from './access/open-access.ts';
import { isLoopbackName } from './access/origins.ts';
import { createLandfall } from './app.ts';
import { type Config, type ConfigInput, configFromEnvironment, summarize } from './config/config.ts';
import { describeSettings, flagName, isFlag } from './config/setting-names.ts';
import { SETTINGS, type SettingKey } from './config/settings.ts';
import { hasSqlite } from './ledger/open.ts';
import { isCredentialsCommand, runCredentialsCommand } from './operator/credentials-commands.ts';
import { ALSO_SETTINGS, LIMIT_OPTIONS, requireNoLimits, requireOwnFlags } from './operator/limit-options.ts';
import { runOperatorCommand } from './operator/operator.ts';
import { UsageError } from './operator/usage.ts';
import { pause } from './runtime/pause.ts';
import { StartError } from './runtime/start-error.ts';
import { terminalLog } from './runtime/terminal-log.ts';
import { boundYoungGeneration } from './runtime/young-generation.ts';
import { S3Fault } from './s3/fault.ts';

/** docs/operations.md names them. */
const RELATIVE_LOCATION =
  'LANDFALL_PUBLIC_URL is not set: addresses of uploads are told without a host, which aiotus and tus_async_client can not follow';

const USAGE = `landfall-server [serve] [options]    serve uploads, the page and the forms
landfall-server ls                   list uploads, newest first: --state STATE; --limit N of them, --after ID; --json, a line each
landfall-server show ID              everything known of one upload
landfall-server rm ID                remove an accepted file; its address answers 410 from then on
landfall-server url ID               print an address by which anybody downloads it for a while: --expires 1h
landfall-server verify               read every accepted file again and hold it against the ledger
landfall-server events ls            list events, newest first: --state pending or failed (of the webhook); --limit, --after, --json
landfall-server events redeliver ID  send events again, to the webhook
landfall-server events enable        send again to a webhook that answered 410, beginning with what was kept for it
landfall-server adopt PLACE          take over another server's uploads, that one stopped: --file-store DIR, --s3-store BUCKET[/PREFIX],
                                     or --tusd DIR or BUCKET[/PREFIX]; --dry-run says what it would do; --trust takes finished
                                     files as they are; --owner NAME; --delete what is durable here (docs/migration.md)
landfall-server restored             after a restore: end the uploads that were unfinished in the back-up
landfall-server key add OWNER        give out a key, printed this once: limits as below, --title TEXT
landfall-server key ls               list keys and what came by them: --json, a line each
landfall-server key rm ID            take a key back
landfall-server link TITLE           give out an address to upload by, printed this once: limits as below, --owner OWNER
landfall-server link ls              list links and what came by them: --json, a line each
landfall-server link rm ID           withdraw a link
landfall-server grant OWNER          sign a right to upload with LANDFALL_GRANT_SECRETS: limits as below, --expires 14d, --id ID
landfall-server grant revoke ID      take a grant back, by its id or as it was printed

Limits of what is given out: --max-uploads N, --max-size SIZE (of a file), --max-bytes SIZE (of all), --allow LIST (docs/policy.md),
--actions create,download,terminate, --metadata KEY=VALUE (as often as needed), --keep-files-for TIME, --expires TIME

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
      // `--allow-anonymous` alone says yes; what is off by default need not be told to be.
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
  const isOfCredentials = isCredentialsCommand(command);
  const flags: Record<string, unknown> = {};
  for (const key of keys) {
    const value = (values as Record<string, unknown>)[flagName(key).slice(2)];
    // What is allowed of what is given out is not what the server allows.
    if (value !== undefined && !(isOfCredentials && ALSO_SETTINGS.includes(key))) flags[key] = value;
  }
  if (isOfCredentials) requireOwnFlags(command, Object.keys(flags) as SettingKey[]);
  else requireNoLimits(command, values);
  const config = configFromEnvironment(process.env, flags as ConfigInput);
  if (command === 'serve' && operands.length > 0) throw new UsageError(`"serve" takes no "${operands[0]}". See landfall-server --help.`);
  if (command === 'serve') await serve(config);
  else if (isOfCredentials) {
    process.exitCode = await runCredentialsCommand(command, operands, values, config, { output: process.stdout, notes: process.stderr });
  } else process.exitCode = await runOperatorCommand(command, operands, values, config, process.stdout);
}

async function serve(config: Config): Promise<void> {
  // Where there is a ledger, it may have keys, which are a choice, too; a start that fails leaves none behind.
  if (config.databaseUrl === '' && !hasSqlite(config.dataDir)) requireChoice(config, true);
  boundYoungGeneration();
  // Written in the background: a log line for each file must not hold up the next.
  const destination = pino.destination({ sync: false });
  process.on('exit', () => destination.flushSync());
  const forPeople = process.stdout.isTTY ? terminalLog((text) => process.stdout.write(text)) : undefined;
  const log = pino({ level: config.logLevel }, forPeople ?? destination);
  const landfall = createLandfall(config, { logger: log, isStandalone: true });
  const server = createServer(landfall.handler);
  server.headersTimeout = 60_000;
  landfall.attach(server);
  await landfall.start();
  server.listen(config.port, config.host);
  await once(server, 'listening').catch(async (error: unknown) => {
    // Other processes need not wait for the lease of one that never served.
    await Promise.race([landfall.close(), pause(config.shutdownGraceMs, undefined, true)]);
    throw unusableAddress(error, config) ?? error;
  });
  // A connection that the system could not hand over: the next one is taken as before.
  server.on('error', (error) => log.error({ err: error }, 'fault while taking connections'));
  const { port } = server.address() as AddressInfo;
  const host = config.host.includes(':') ? `[${config.host}]` : config.host;
  const url = `http://${host}:${port}/`;
  log.info({ url, ...summarize(config) }, 'listening');
  if (config.publicUrl === '' && !isLoopbackName(config.host)) log.warn(RELATIVE_LOCATION);
  if (process.stderr.isTTY) process.stderr.write(`\n  Landfall takes uploads at ${url}\n  Files arrive in ${config.storageDir}\n\n`);

  let isStopping = false;
  const stop = (signal: NodeJS.Signals) => {
    if (isStopping) process.exit(1);
    isStopping = true;
    log.info({ signal }, 'draining');
    const deadline = setTimeout(() => {
      log.warn('grace time is over');
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
        log.error({ err: error }, 'fault while stopping');
        process.exit(1);
      });
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
}

/** The address is somebody else's, or there is none like it here. */
class AddressUnusable extends StartError {
  override readonly name = 'AddressUnusable';
  override readonly code = 'ERR_ADDRESS_UNUSABLE';
}

/** Undefined for a fault that has nothing to do with what was set. */
function unusableAddress(error: unknown, { host, port }: Config): AddressUnusable | undefined {
  const words: Readonly<Record<string, string>> = {
    EADDRINUSE: `LANDFALL_PORT: another process listens on port ${port} of ${host}. Stop it, or choose another port.`,
    EACCES: `LANDFALL_PORT: port ${port} is not for this user to listen on. Choose one from 1024 on.`,
    EADDRNOTAVAIL: `LANDFALL_HOST: this machine has no address ${host}.`,
    ENOTFOUND: `LANDFALL_HOST: there is no host “${host}”.`,
  };
  const text = error instanceof Error && 'code' in error ? words[String(error.code)] : undefined;
  return text === undefined ? undefined : new AddressUnusable(text, { cause: error });
}

/** Of a directory that is not there to be written: somebody has to change something. */
const UNWRITABLE = new Set(['EACCES', 'EPERM', 'EROFS', 'ENOTDIR', 'EEXIST', 'ENAMETOOLONG', 'ELOOP']);

/** What is to be changed when the system does not let the server make its directories; undefined for any other fault. */
function unwritablePlace(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error) || !('path' in error)) return undefined;
  const isNoPlace = error.code === 'ENOENT' && 'syscall' in error && error.syscall === 'mkdir';
  if (!isNoPlace && !UNWRITABLE.has(String(error.code))) return undefined;
  return `${error.path} cannot be written to (${error.code}). Name another place with LANDFALL_DATA_DIR or LANDFALL_STORAGE_DIR, or let this user write there.`;
}

main().catch((error: unknown) => {
  const isArgument = error instanceof TypeError && 'code' in error && String(error.code).startsWith('ERR_PARSE_ARGS');
  // Of what the system refuses (an address in use, a directory that is not ours) its words say enough.
  const isKnown = error instanceof StartError || error instanceof S3Fault || isArgument || (error instanceof Error && 'syscall' in error);
  const place = unwritablePlace(error);
  if (place !== undefined || isKnown) process.stderr.write(`landfall-server: ${place ?? (error as Error).message}\n`);
  else console.error(error);
  process.exit(place !== undefined || isArgument || (error instanceof StartError && error.isMistake) ? 2 : 1);
});
