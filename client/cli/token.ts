// The token of the command line: from the environment, a file or standard input. An argument would be everybody's who lists processes.
import { readFile } from 'node:fs/promises';
import { text } from 'node:stream/consumers';
import type { UploadHeaders, UploadOptions } from '../options.ts';
import { UsageError } from './arguments.ts';

/** Standard input. */
const STDIN = '-';
/** RFC 6750, 2.1: what a bearer token is made of. */
const TOKEN = /^[\w.~+/-]+=*$/;

/**
 * Undefined: there is none. A file is read again when what was in it is refused: whatever renews it writes it there.
 *
 * @param file as named with `--token-file`; it wins over the environment
 * @throws UsageError when there is no token in it
 */
export async function tokenHeaders(
  file: string | undefined,
  environment: Readonly<Record<string, string | undefined>>,
): Promise<UploadOptions['headers']> {
  const { LANDFALL_TOKEN: given = '' } = environment;
  if (file === undefined) return given === '' ? undefined : bearer(given, 'LANDFALL_TOKEN');
  const first = bearer(await read(file), '--token-file');
  if (file === STDIN) return first;
  let current = first;
  return async ({ reason }) => {
    if (reason === 'unauthorized') current = bearer(await read(file), '--token-file');
    return current;
  };
}

/** What was named with `--header` wins. */
export function withToken(named: UploadHeaders, token: UploadOptions['headers']): NonNullable<UploadOptions['headers']> {
  if (typeof token !== 'function') return { ...token, ...named };
  return async (request) => ({ ...(await token(request)), ...named });
}

async function read(file: string): Promise<string> {
  try {
    return file === STDIN ? await text(process.stdin) : await readFile(file, 'utf8');
  } catch (error) {
    throw new UsageError(`--token-file: ${error instanceof Error ? error.message : error}`);
  }
}

function bearer(text: string, source: string): UploadHeaders {
  const token = text.trim();
  // It is not shown: it may be a secret with a mistake in it.
  if (!TOKEN.test(token)) throw new UsageError(`${source}: that is no token: letters, digits and “-._~+/” in one line.`);
  return { Authorization: `Bearer ${token}` };
}
