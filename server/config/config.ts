// Resolves the settings: read once by `main` from the environment and flags, or passed to `createLandfall` as an object.
import { resolve } from 'node:path';
import type { z } from 'zod';
import { type Policy, parsePolicy } from '../../shared/policy.ts';
import { formatBytes, formatDuration } from '../../shared/units.ts';
import { StartError } from '../runtime/start-error.ts';
import { type Setting, schemaOf, type Values } from './setting-kinds.ts';
import { environmentName } from './setting-names.ts';
import { SETTINGS, type SettingKey, type Settings } from './settings.ts';

/** S3's limits: parts of one object, and bytes of one part. */
const MAX_PARTS = 10_000;
const MAX_PART_BYTES = 5 * 1024 ** 3;

/** The name of a setting in the resolved configuration. */
type ResolvedName<K extends SettingKey> = Settings[K] extends { readonly as: infer Name extends string } ? Name : K;
type ResolvedValue<K extends SettingKey> = Settings[K] extends { readonly words: readonly (infer Word)[] }
  ? Word
  : Values[Settings[K]['kind']][0];
type WrittenValue<K extends SettingKey> = Settings[K] extends { readonly words: readonly (infer Word)[] }
  ? Word
  : Values[Settings[K]['kind']][1];

type ResolvedSettings = { readonly [K in SettingKey as ResolvedName<K>]: ResolvedValue<K> };

/**
 * The resolved settings: frozen, each size and time with its unit in its name.
 *
 * @example
 * ```ts
 * import { createLandfall } from 'landfall-server';
 *
 * const { config } = createLandfall({ maxUploadSize: '5 GiB', patience: '10s' });
 * console.log(config.maxUploadBytes, config.patienceMs); // 5368709120 10000
 * ```
 */
export interface Config extends ResolvedSettings {
  /** The settings `allow…`, `archive…` and `maxUploadBytes`, parsed for the checks. */
  readonly policy: Policy;
}

/**
 * The settings as a caller writes them, in camel case: numbers in bytes and milliseconds, or text with a unit. docs/settings.md lists
 * every name with its default.
 *
 * @example
 * ```ts
 * import type { ConfigInput } from 'landfall-server';
 *
 * const settings: ConfigInput = { dataDir: '/srv/uploads', maxUploadSize: '50 GiB', expireAfter: '3d', sha256: true };
 * ```
 */
export type ConfigInput = { [K in SettingKey]?: WrittenValue<K> };

/** Variables of the command `landfall`: a machine with a server may be a client, too. */
const CLIENT_VARIABLES = new Set(['LANDFALL_TOKEN']);

const RESOLVED = new WeakSet<object>();

/**
 * A setting is invalid. The message names it and says what to write.
 *
 * @example
 * ```ts
 * import { ConfigError, createLandfall } from 'landfall-server';
 *
 * try {
 *   createLandfall({ maxUploadSize: 'huge' });
 * } catch (error) {
 *   if (error instanceof ConfigError) console.error(error.message);
 * }
 * ```
 */
export class ConfigError extends StartError {
  override readonly name = 'ConfigError';
  override readonly code = 'ERR_CONFIG';
}

/** @throws ConfigError naming the setting and its mistake */
export function resolveConfig(input: ConfigInput = {}, nameOf: (key: SettingKey) => string = (key) => key): Config {
  for (const key of Object.keys(input)) {
    if (!Object.hasOwn(SETTINGS, key)) throw new ConfigError(`There is no setting called ${key}.`);
  }
  const values: Record<string, unknown> = {};
  for (const key of Object.keys(SETTINGS) as SettingKey[]) {
    const setting: Setting = SETTINGS[key];
    const given = input[key] ?? setting.default;
    const parsed = schemaOf(setting).safeParse(given);
    if (!parsed.success) throw new ConfigError(`${nameOf(key)}: ${messageOf(parsed.error)} (given: ${JSON.stringify(redact(key, given))})`);
    values[setting.as ?? key] = parsed.data;
  }
  const config = values as unknown as ResolvedSettings;
  if (config.storageBackend === 's3') requireS3Settings(config, nameOf);
  else if (config.staging === 's3-store') requireBucket(config, nameOf);
  if (config.databaseUrl !== '' && config.durability === 'finish') {
    throw new ConfigError(
      `${nameOf('durability')}: With several processes, a crash of one process cannot be told from a power loss of its machine. Write chunk. (given: "finish")`,
    );
  }
  if (config.webhookUrl !== '' && config.webhookSecret.length === 0) {
    throw new ConfigError(
      `${nameOf('webhookSecret')}: Write a secret: without one, receivers cannot tell this server's events from forged ones. Write whsec_ and the output of \`openssl rand -base64 32\`.`,
    );
  }
  if (config.checkUrl !== '' && config.internalUrl === '' && /^(?:0\.0\.0\.0|::|\[::\])$/.test(config.internalHost)) {
    throw new ConfigError(
      `${nameOf('internalUrl')}: Write the address at which the application can read the bytes that it checks. (given: "")`,
    );
  }
  const dataDir = resolve(config.dataDir);
  const resolved = Object.freeze({
    ...config,
    dataDir,
    policy: parsePolicy(config.allow, { ...config, maxBytes: config.maxUploadBytes }),
    storageDir: config.storageDir === '' ? resolve(dataDir, 'files') : resolve(config.storageDir),
    fileStoreDir: config.fileStoreDir === '' ? resolve(dataDir, 'file-store') : resolve(config.fileStoreDir),
    publicUrl: config.publicUrl.replace(/\/+$/, ''),
    internalUrl: config.internalUrl.replace(/\/+$/, ''),
    s3Prefix: config.s3Prefix === '' ? '' : `${config.s3Prefix.replace(/\/+$/, '')}/`,
  });
  RESOLVED.add(resolved);
  return resolved;
}

/** True for a result of `resolveConfig`, false for any other frozen object. */
export function isResolved(config: ConfigInput | Config): config is Config {
  return RESOLVED.has(config);
}

/**
 * Flags override the environment. An unknown `LANDFALL_*` is refused: a misspelt limit must not silently be no limit.
 * @throws ConfigError
 */
export function configFromEnvironment(environment: Readonly<Record<string, string | undefined>>, flags: ConfigInput = {}): Config {
  const keys = new Map((Object.keys(SETTINGS) as SettingKey[]).map((key) => [environmentName(key), key]));
  const input: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(environment)) {
    if (!name.startsWith('LANDFALL_') || value === undefined || CLIENT_VARIABLES.has(name)) continue;
    const key = keys.get(name);
    if (key === undefined) throw new ConfigError(`${name} is not a setting. \`landfall-server --help\` lists them.`);
    input[key] = value;
  }
  return resolveConfig({ ...input, ...flags } as ConfigInput, environmentName);
}

/** The main settings in human units, for the log line at start. */
export function summarize(config: Config): Record<string, string> {
  return {
    maxUploadSize: formatBytes(config.maxUploadBytes),
    expireAfter: formatDuration(config.expireAfterMs),
    dataDir: config.dataDir,
    ...(config.storageBackend === 's3' ? { bucket: config.s3Bucket } : {}),
  };
}

/** Checks that need several settings. @throws ConfigError */
function requireS3Settings(config: ResolvedSettings, nameOf: (key: SettingKey) => string): void {
  const { s3MemoryBytes, s3PartBytes, maxUploadBytes } = config;
  requireBucket(config, nameOf);
  if (maxUploadBytes > MAX_PARTS * MAX_PART_BYTES) {
    throw new ConfigError(
      `${nameOf('maxUploadSize')}: Write at most ${formatBytes(MAX_PARTS * MAX_PART_BYTES)}, the most that S3 takes in ${MAX_PARTS} parts. (given: ${formatBytes(maxUploadBytes)})`,
    );
  }
  const largestBytes = Math.max(s3PartBytes, Math.ceil(maxUploadBytes / MAX_PARTS));
  if (s3MemoryBytes >= 2 * largestBytes) return;
  throw new ConfigError(
    `${nameOf('s3Memory')}: Write at least ${formatBytes(2 * largestBytes)}, two parts of an upload of ${formatBytes(maxUploadBytes)}. (given: ${formatBytes(s3MemoryBytes)})`,
  );
}

/** @throws ConfigError */
function requireBucket({ s3Bucket }: ResolvedSettings, nameOf: (key: SettingKey) => string): void {
  if (s3Bucket === '') throw new ConfigError(`${nameOf('s3Bucket')}: Write the name of a bucket.`);
}

/** Hides secrets in messages: an address may contain a password, or a token in its query, also an invalid address. */
function redact(key: SettingKey, given: unknown): unknown {
  if ((SETTINGS[key] as Setting).isSecret) return '…';
  return typeof given === 'string' ? given.replace(/[^\s,/]*@|(?<=[?#]).*/g, '…') : given;
}

function messageOf(error: z.ZodError): string {
  const issue = error.issues[0];
  if (issue?.code === 'invalid_union') {
    // A setting can be written in several ways: this is the error of the one that was meant.
    const nested = issue.errors.flat().find((candidate) => candidate.code !== 'invalid_type') ?? issue.errors.flat()[0];
    return nested?.message ?? issue.message;
  }
  return issue?.message ?? 'The value is not valid.';
}
