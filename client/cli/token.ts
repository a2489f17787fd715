// Reads the access token from the environment, a file or standard input. An argument would be visible in the list of processes.
import { readFile } from 'node:fs/promises';
import { text } from 'node:stream/consumers';
import type { UploadHeaders, UploadOptions } from '../options.ts';
import { UsageError } from './arguments.ts';

/** Stands for standard input. */
const STDIN = '-';
/** RFC 6750, 2.1: the syntax of a bearer token. */
const TOKEN = /^[\w.~+/-]+=*$/;

/**
 * The headers with the token; undefined when there is no token. A file is read again when the server refuses its token, because
 * another program may have renewed it.
 *
 * @param file from `--token-file`; takes precedence over the environment
 * @throws UsageError when the text is not a token
 */
export async function tokenHeaders(
  file: string | undefined,
  environment: Readonly<Record<string, string | undefined>>,
): Promise<UploadOptions['headers']> {
  const { LANDFALL_TOKEN: fromEnvironment = '' } = environment;
  if (file === undefined) return fromEnvironment === '' ? undefined : bearer(fromEnvironment, 'LANDFALL_TOKEN');
  const first = bearer(await read(file), '--token-file');
  if (file === STDIN) return first;
  let current = first;
  return async ({ reason }) => {
    if (reason === 'unauthorized') current = bearer(await read(file), '--token-file');
    return current;
  };
}

/** Headers from `--header` take precedence. */
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
  // The message does not show the text, which may be a mistyped secret.
  if (!TOKEN.test(token)) throw new UsageError(`${source}: not a token. A token is one line of letters, digits and “-._~+/”.`);
  return { Authorization: `Bearer ${token}` };
}
