import { parseArgs } from 'node:util';
import { parseBytes, parseDuration } from '../../shared/units.ts';
import { METADATA_KEY } from '../handle/checked-options.ts';
import type { QueueOptions, UploadHeaders } from '../options.ts';
import { sendableHeaders } from '../transfer/headers.ts';

export const USAGE = `landfall FILE... --to URL [options]

Uploads files and exits when the server has accepted or refused each of them. If it is interrupted,
run the same command again to resume. Prints the address of each accepted file to standard output,
one a line, and everything else to standard error.

  --to URL               the server, http://host:1080, or its upload endpoint, http://host/files
  --json                 print a line of JSON for each file when it ends, and a "summary" at the end
  --name NAME            store the file under this name (one file only)
  --meta KEY=VALUE       metadata for the server; may be repeated
  --token-file FILE      read your access token from FILE, or from standard input with -
                         (default: the environment variable LANDFALL_TOKEN)
  --header 'NAME: VALUE' send this header with every request; may be repeated
  --concurrency N        number of files to upload at once (default 3)
  --chunk-size SIZE      largest body of a request, such as 16MiB (default: the whole file)
  --direct               upload directly to the server's S3 bucket, if it has one
  --give-up-after TIME   fail after this time without progress, such as 10m or 2h (default 30m)
  --no-resume            start from the first byte, and keep no record to resume from
  --no-checksum          do not compute a checksum for the server to verify
  --verify-source        read each file again before the upload completes, and fail if it changed
                         (default: files up to 256 MiB)
  --no-progress          show no progress
  --quiet, -q            print only errors to standard error
  --help, -h             show this help
  --version              show the version

Exit codes: 0 all files accepted; 1 some refused or failed; 2 wrong usage; 3 a file is missing or
changed; 4 not allowed; 5 the server is unreachable or busy; 130 or 143 stopped by a signal. After
5, 130 and 143 run the same command again to resume.`;

/** A mistake in the command line. The message is for the person who typed it. */
export class UsageError extends Error {}

export interface CommandLine {
  files: string[];
  options: QueueOptions;
  headers: UploadHeaders;
  json: boolean;
  quiet: boolean;
  progress: boolean;
  tokenFile: string | undefined;
}

/** @throws UsageError */
export function parseCommandLine(parameters: readonly string[]): CommandLine | 'help' | 'version' {
  const { values, positionals: files } = parse(parameters);
  if (values.help) return 'help';
  if (values.version) return 'version';
  if (files.length === 0) throw new UsageError('Name at least one file.');
  if (values.to === undefined) throw new UsageError('Name the server with --to URL.');
  if (values.name !== undefined && files.length > 1) throw new UsageError('--name works with one file only.');
  const chunkSize = parseOption('--chunk-size', values['chunk-size'], parseBytes);
  const budgetMs = parseOption('--give-up-after', values['give-up-after'], parseDuration);
  const concurrency = parseOption('--concurrency', values.concurrency, parseCount);
  if (chunkSize === 0) throw new UsageError('--chunk-size: must be more than 0 bytes.');
  return {
    files,
    json: values.json,
    quiet: values.quiet,
    progress: values.progress && !values.quiet,
    headers: Object.fromEntries(values.header.map(parseHeader)),
    tokenFile: values['token-file'],
    options: {
      endpoint: endpointOf(values.to),
      resume: values.resume,
      checksum: values.checksum,
      via: values.direct ? 'direct' : 'server',
      metadata: Object.fromEntries(values.meta.map(parseMeta)),
      ...(values['verify-source'] === undefined ? {} : { verifySource: values['verify-source'] }),
      ...(values.name === undefined ? {} : { name: values.name }),
      ...(chunkSize === undefined ? {} : { chunkSize }),
      ...(budgetMs === undefined ? {} : { budgetMs }),
      ...(concurrency === undefined ? {} : { concurrency }),
    },
  };
}

function parse(parameters: readonly string[]) {
  try {
    return parseArgs({
      args: [...parameters],
      allowPositionals: true,
      allowNegative: true,
      options: {
        to: { type: 'string' },
        json: { type: 'boolean', default: false },
        name: { type: 'string' },
        meta: { type: 'string', multiple: true, default: [] },
        'token-file': { type: 'string' },
        header: { type: 'string', multiple: true, default: [] },
        concurrency: { type: 'string' },
        'chunk-size': { type: 'string' },
        direct: { type: 'boolean', default: false },
        'give-up-after': { type: 'string' },
        resume: { type: 'boolean', default: true },
        checksum: { type: 'boolean', default: true },
        'verify-source': { type: 'boolean' },
        progress: { type: 'boolean', default: true },
        quiet: { type: 'boolean', short: 'q', default: false },
        help: { type: 'boolean', short: 'h', default: false },
        version: { type: 'boolean', default: false },
      },
    });
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

/** Adds the usual path to an address without one. @throws UsageError */
function endpointOf(text: string): string {
  // `new URL` would take `host:1080` for an address with the scheme `host`.
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || (url.protocol !== 'http:' && url.protocol !== 'https:')) {
    throw new UsageError(`--to: “${text}” is not an address such as http://host:1080.`);
  }
  if (url.pathname === '/') url.pathname = '/files';
  return url.href;
}

function parseHeader(text: string): [string, string] {
  const colon = text.indexOf(':');
  if (colon < 1) throw new UsageError(`--header: “${text}” does not have the form 'NAME: VALUE'.`);
  const [name, value] = [text.slice(0, colon).trim(), text.slice(colon + 1).trim()];
  parseOption('--header', name, () => sendableHeaders({ [name]: value }));
  return [name, value];
}

function parseMeta(text: string): [string, string] {
  const [key = ''] = text.split('=', 1);
  if (key === text || !METADATA_KEY.test(key))
    throw new UsageError(`--meta: “${text}” does not have the form KEY=VALUE, with a key of ASCII characters without spaces and commas.`);
  return [key, text.slice(key.length + 1)];
}

function parseCount(text: string): number {
  const count = Number(text);
  if (!Number.isSafeInteger(count) || count < 1) throw new Error(`“${text}” is not a whole number of at least 1.`);
  return count;
}

function parseOption<T>(flag: string, text: string | undefined, read: (text: string) => T): T | undefined {
  if (text === undefined) return undefined;
  try {
    return read(text);
  } catch (error) {
    throw new UsageError(`${flag}: ${error instanceof Error ? error.message : error}`);
  }
}
