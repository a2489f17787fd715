import { parseArgs } from 'node:util';
import { parseBytes, parseDuration } from '../../shared/units.ts';
import type { QueueOptions, UploadHeaders } from '../options.ts';

export const USAGE = `landfall FILE... --to URL [options]

Uploads files and ends when the server has accepted or refused each. Interrupted and run again, it
goes on where it stopped. The address of each accepted file goes to standard output, a line each;
everything else goes to standard error.

  --to URL               where to: http://host:1080, or where uploads are created: http://host/files
  --json                 a line of JSON for each file as it ends, and a "summary" at the end
  --name NAME            store it under this name; for one file
  --meta KEY=VALUE       tell the server this too; may be given more than once
  --token-file FILE      what the server knows you by, from a file, or from standard input with -;
                         default: the environment variable LANDFALL_TOKEN
  --header 'NAME: VALUE' send this with every request; may be given more than once
  --concurrency N        how many at once (default 3)
  --chunk-size SIZE      no more than this in one request, such as 16MiB (default: all there is)
  --direct               past the server into its bucket, where it has one; else through it
  --give-up-after TIME   stop trying after so long without progress, such as 10m or 2h (default 30m)
  --no-resume            upload from the first byte, and leave nothing to go on with
  --no-checksum          do not compute a checksum for the server to compare
  --verify-source        read each file again before its end is sent: it must not have changed
                         (default: files up to 256 MiB)
  --no-progress          no progress on standard error
  --quiet, -q            nothing on standard error but what went wrong
  --help, -h             this text
  --version              the version

Exit code: 0 all accepted, 1 some refused or failed, 2 wrong usage, 3 a file is missing or was
changed, 4 not allowed, 5 the server could not be reached or is busy: run it again, 130 or 143
stopped by a signal: run it again.`;

/** Whoever typed it should read the message. */
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

/** `help` and `version` ask for a text. @throws UsageError */
export function parseCommandLine(parameters: readonly string[]): CommandLine | 'help' | 'version' {
  const { values, positionals: files } = parse(parameters);
  if (values.help) return 'help';
  if (values.version) return 'version';
  if (files.length === 0) throw new UsageError('Name at least one file.');
  if (values.to === undefined) throw new UsageError('Say where to upload with --to URL.');
  if (values.name !== undefined && files.length > 1) throw new UsageError('--name is for one file.');
  const chunkSize = understood('--chunk-size', values['chunk-size'], parseBytes);
  const budgetMs = understood('--give-up-after', values['give-up-after'], parseDuration);
  const concurrency = understood('--concurrency', values.concurrency, parseCount);
  if (chunkSize === 0) throw new UsageError('--chunk-size: 0 bytes would never arrive.');
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

/** The address of a server alone means its usual place for uploads. @throws UsageError */
function endpointOf(text: string): string {
  // `host:1080` would be read as an address of the scheme `host`.
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || (url.protocol !== 'http:' && url.protocol !== 'https:')) {
    throw new UsageError(`--to: “${text}” is not an address such as http://host:1080.`);
  }
  if (url.pathname === '/') url.pathname = '/files';
  return url.href;
}

/** RFC 9110, 5.1: a token. Values are checked by Node when they are sent. */
const HEADER_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

function parseHeader(text: string): [string, string] {
  const colon = text.indexOf(':');
  const name = text.slice(0, colon).trim();
  if (colon < 1 || !HEADER_NAME.test(name)) throw new UsageError(`--header: “${text}” is not of the form 'NAME: VALUE'.`);
  return [name, text.slice(colon + 1).trim()];
}

function parseMeta(text: string): [string, string] {
  const [key = ''] = text.split('=', 1);
  if (key === '' || key === text || /[\s,]/.test(key)) throw new UsageError(`--meta: “${text}” is not of the form KEY=VALUE.`);
  return [key, text.slice(key.length + 1)];
}

function parseCount(text: string): number {
  const count = Number(text);
  if (!Number.isSafeInteger(count) || count < 1) throw new Error(`“${text}” is not a number of files.`);
  return count;
}

function understood<T>(flag: string, text: string | undefined, read: (text: string) => T): T | undefined {
  if (text === undefined) return undefined;
  try {
    return read(text);
  } catch (error) {
    throw new UsageError(`${flag}: ${error instanceof Error ? error.message : error}`);
  }
}
