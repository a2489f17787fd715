import { definedOnly, type UploadOptions } from '../options.ts';
import type { Platform } from '../ports.ts';
import { sendableHeaders } from '../transfer/headers.ts';

/** tus 1.0.0, Creation: ASCII without spaces and commas, and not empty. */
export const METADATA_KEY: RegExp = /^[\x21-\x2b\x2d-\x7e]+$/;

/**
 * The options with the resolved endpoint, whole numbers, and without undefined values of `metadata` and `headers`.
 *
 * @throws TypeError when no upload could succeed with them
 */
export function checkOptions<T extends UploadOptions>(options: T, platform: Pick<Platform, 'baseUrl'>): T & { endpoint: string } {
  const { chunkSize = 'adaptive', budgetMs, timeouts = {}, name, type, relativePath, metadata, headers } = options;
  if (chunkSize !== 'adaptive' && !isAtLeast(1, chunkSize))
    throw new TypeError('`chunkSize` must be a number of bytes of at least 1, or “adaptive”.');
  for (const [option, ms] of Object.entries(definedOnly({ budgetMs, ...timeouts })))
    if (!isAtLeast(0, ms)) throw new TypeError(`\`${option}\` must be a number of milliseconds of at least 0.`);
  for (const [option, text] of Object.entries({ name, type, relativePath }))
    if (typeof (text ?? '') !== 'string') throw new TypeError(`\`${option}\` must be text.`);
  for (const key of Object.keys(metadata ?? {}))
    if (!METADATA_KEY.test(key)) throw new TypeError(`The key “${key}” of \`metadata\` must be ASCII text without spaces and commas.`);
  return {
    ...options,
    endpoint: resolveEndpoint(options.endpoint, platform.baseUrl),
    ...(chunkSize !== 'adaptive' && { chunkSize: Math.floor(chunkSize) }),
    ...(metadata && { metadata: definedOnly(metadata) }),
    ...(headers && typeof headers !== 'function' && { headers: sendableHeaders(headers) }),
  };
}

function resolveEndpoint(endpoint: unknown, base: string | undefined): string {
  // In a page, `new URL` would take a missing endpoint for the relative address “undefined”.
  const isAddress = typeof endpoint === 'string' ? endpoint !== '' : endpoint instanceof URL;
  if (!isAddress) throw new TypeError('`endpoint` must be the address at which uploads are created.');
  const url = new URL(String(endpoint), base);
  if (url.protocol !== 'http:' && url.protocol !== 'https:') throw new TypeError(`“${url.href}” is not an http address.`);
  // The server never receives a fragment, but addresses resolved from the endpoint would keep it.
  url.hash = '';
  return url.href;
}

/** False for NaN and for text, which `>=` would convert. */
export function isAtLeast(least: number, value: unknown): value is number {
  return typeof value === 'number' && value >= least;
}
