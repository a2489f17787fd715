// Settings: one schema, read once from the environment and flags by `main`, or given as an object to `createLandfall`.
import { resolve } from 'node:path';
import { z } from 'zod';
import { DEFAULT_ALLOW, type Policy, parsePolicy } from '../shared/policy.ts';
import { formatBytes, formatDuration, parseBytes, parseDuration } from '../shared/units.ts';
import { StartError } from './start-error.ts';

const bytes = z.union([z.number().int().nonnegative(), z.string().transform(sentence(parseBytes))]);
const durationMs = z.union([z.number().nonnegative(), z.string().transform(sentence(parseDuration))]);
/** Timers of Node count in 31 bits: one that is set for longer goes off at once. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;
const waitMs = durationMs.refine((ms) => ms <= LONGEST_TIMER_MS, 'Write at most 24d.');
const timerMs = waitMs.refine((ms) => ms >= 1, 'Write at least 1ms.');
const flag = z.union([z.boolean(), z.enum(['true', 'false'], { error: 'Write true or false.' }).transform((value) => value === 'true')]);
const list = z.union([z.array(z.string()), z.string().transform((value) => value.split(',').map((item) => item.trim()))]);
const origins = list
  .transform((items) => items.filter((item) => item !== ''))
  .refine((items) => items.every(isOrigin), 'Write * or origins as browsers send them, such as https://app.example, without a path.');
const PORT = 'Write a whole number from 0 to 65535.';
const CONNECTIONS = 'Write a whole number from 1 to 999.';

/** S3 takes no smaller parts than 5 MiB and no more than 10,000 of them. */
const MIN_PART_BYTES = 5 * 1024 * 1024;
const MAX_PART_BYTES = 5 * 1024 ** 3;
const MAX_PARTS = 10_000;
const count = z
  .union([
    z.number(),
    z
      .string()
      .regex(/^\d{1,6}$/, 'Write a whole number.')
      .transform(Number),
  ])
  .refine(isCount, 'Write a whole number from 1 on.');

const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const;

interface Setting {
  schema: z.ZodType;
  /** In human units, as a person would write it. */
  default: string;
  help: string;
}

/** Each setting once: key → schema, default, and what `--help` and the README say of it. */
export const SETTINGS = {
  host: {
    schema: z.string().min(1, 'Write an address or a name.'),
    default: '127.0.0.1',
    help: 'Address to listen on. Any but loopback needs an access rule.',
  },
  port: {
    schema: z
      .union([
        z.number(),
        z
          .string()
          .regex(/^\d{1,5}$/, PORT)
          .transform(Number),
      ])
      .refine(isPort, PORT),
    default: '1080',
    help: 'Port to listen on; 0 takes a free one.',
  },
  dataDir: {
    schema: z.string().min(1, 'Write the path of a directory.'),
    default: './data',
    help: 'Ledger, staged bytes and final files. Never below a web root.',
  },
  storageDir: { schema: z.string(), default: '', help: 'Final files, where they do not belong in <data dir>/files.' },
  storageBackend: {
    schema: z.enum(['disk', 's3'], { error: 'Write disk or s3.' }),
    default: 'disk',
    help: 'Where staged bytes and final files are: on this machine, or in a bucket (docs/s3.md).',
  },
  s3Bucket: {
    schema: z.string(),
    default: '',
    help: 'Bucket of staged bytes and final files. Credentials come from where AWS clients look.',
  },
  s3Region: { schema: z.string().min(1, 'Write the name of a region, or auto.'), default: 'us-east-1', help: 'Region of the bucket.' },
  s3Endpoint: {
    schema: z.string().refine(isPublicUrl, 'Write an address that begins with http:// or https://, without a query.'),
    default: '',
    help: 'Address of the S3 server; empty: that of AWS for the region.',
  },
  s3PublicEndpoint: {
    schema: z.string().refine(isPublicUrl, 'Write an address that begins with http:// or https://, without a query.'),
    default: '',
    help: 'Address of the S3 server for senders and readers, in signed addresses; empty: the same.',
  },
  s3Prefix: {
    schema: z.string().regex(/^(?:[\w.!'()-]+\/?)*$/, 'Write a path without a slash in front, such as uploads/.'),
    default: '',
    help: 'Before every key, where the bucket has other things in it too.',
  },
  s3ForcePathStyle: { schema: flag, default: 'false', help: 'Name the bucket in the path instead of the host: Ceph, MinIO.' },
  s3PartSize: {
    schema: bytes.refine((size) => size >= MIN_PART_BYTES && size <= MAX_PART_BYTES, 'Write a size from 5 MiB to 5 GiB.'),
    default: '16 MiB',
    help: 'Bytes of a part, where the length does not ask for larger ones (over 10,000 parts).',
  },
  s3Concurrency: { schema: count, default: '4', help: 'Parts of one upload that are sent at once.' },
  s3Memory: {
    schema: bytes,
    default: '256 MiB',
    help: 'Memory for parts of all uploads together; at least two parts. Who finds none waits.',
  },
  s3Connections: { schema: count, default: '64', help: 'Connections to S3 at once, downloads not counted.' },
  s3Timeout: { schema: timerMs, default: '30s', help: 'A request to S3 on which nothing moves for so long is made again.' },
  s3CopyThreshold: {
    schema: bytes.refine((size) => size >= MIN_PART_BYTES && size <= MAX_PART_BYTES, 'Write a size from 5 MiB to 5 GiB.'),
    default: '5 GiB',
    help: 'Files above it are published by copies of their parts, in parallel.',
  },
  s3Checksums: {
    schema: z.enum(['required', 'supported'], { error: 'Write required or supported.' }),
    default: 'required',
    help: 'Send the checksums of newer AWS clients only where S3 asks for them, or always. Many other servers refuse them.',
  },
  s3Downloads: {
    schema: z.enum(['stream', 'redirect'], { error: 'Write stream or redirect.' }),
    default: 'stream',
    help: 'GET of an accepted file passes it through, or redirects to a signed address.',
  },
  s3LinkLifetime: {
    schema: durationMs.refine((ms) => ms >= 1000 && ms <= 7 * 86_400_000, 'Write a time from 1s to 7d.'),
    default: '15m',
    help: 'How long a signed address is good for.',
  },
  databaseUrl: {
    schema: z.string().refine(isDatabaseUrl, 'Write an address that begins with postgres://.'),
    default: '',
    help: 'PostgreSQL for the ledger, where several processes serve one data directory; empty: SQLite in it, and one process.',
  },
  databaseConnections: {
    schema: z
      .union([
        z.number(),
        z
          .string()
          .regex(/^\d{1,3}$/, CONNECTIONS)
          .transform(Number),
      ])
      .refine((count) => Number.isInteger(count) && count >= 1 && count <= 999, CONNECTIONS),
    default: '10',
    help: 'Connections to PostgreSQL a process has at most, beside the one that listens.',
  },
  lease: {
    schema: timerMs.refine((ms) => ms >= 1000, 'Write at least 1s.'),
    default: '10s',
    help: 'With PostgreSQL: a process that was silent for so long is taken for dead, and others go on with its work.',
  },
  publicUrl: {
    schema: z.string().refine(isPublicUrl, 'Write an address that begins with http:// or https://, without a query.'),
    default: '',
    help: 'Address clients reach the server at, behind a proxy; empty: links are relative.',
  },
  maxUploadSize: {
    schema: bytes.refine((size) => size >= 1, 'Write at least 1 byte.'),
    default: '1 TiB',
    help: 'Largest file taken; over it 413 at creation.',
  },
  allow: {
    schema: z.string().superRefine(sentenceOf(parsePolicy)),
    default: DEFAULT_ALLOW,
    help: 'What is taken: groups and .ext=type entries (docs/policy.md).',
  },
  allowEmpty: { schema: flag, default: 'false', help: 'Take files without a byte in them.' },
  allowEncrypted: { schema: flag, default: 'false', help: 'Take archives and Office files with a password: nobody can look into them.' },
  allowMacros: { schema: flag, default: 'false', help: 'Take .doc, .xls and .ppt with macros, whose names do not tell.' },
  allowLegacyText: { schema: flag, default: 'false', help: 'Take text in older encodings, not only UTF-8 and UTF-16.' },
  sha256: {
    schema: flag,
    default: 'false',
    help: 'Compute the SHA-256 of every accepted file, besides its CRC-32; the finish then reads it once.',
  },
  durability: {
    schema: z.enum(['chunk', 'finish'], { error: 'Write chunk or finish.' }),
    default: 'chunk',
    help: 'What survives a power cut: every acknowledged offset (chunk), or only accepted files (finish).',
  },
  expireAfter: {
    schema: durationMs.refine((ms) => ms >= 1, 'Write at least 1ms.'),
    default: '7d',
    help: 'How long an unfinished upload waits for its next byte.',
  },
  keepRecordsFor: { schema: durationMs, default: '24h', help: 'How long a refusal, cancellation or expiry can still be asked for.' },
  sweepInterval: { schema: timerMs, default: '1m', help: 'How often expired uploads and old records are cleared.' },
  patience: { schema: waitMs, default: '25s', help: 'How long a request waits for a verdict before the client is asked to ask again.' },
  bodyTimeout: {
    schema: timerMs,
    default: '30s',
    help: 'A request body that brings less than 1 KiB in this time is cut; its bytes are kept.',
  },
  lockTimeout: { schema: waitMs, default: '5s', help: 'How long a request waits for another on the same upload before 423.' },
  checkTimeout: { schema: timerMs, default: '10m', help: 'Longest one check may take; five times over it refuses the file.' },
  signatureTimeout: { schema: timerMs, default: '5s', help: 'Longest the detection of a type may take.' },
  shutdownGrace: { schema: waitMs, default: '10s', help: 'How long running requests may take to end after SIGTERM.' },
  corsOrigins: { schema: origins, default: '*', help: 'Origins whose pages may upload, comma-separated.' },
  allowAnonymous: { schema: flag, default: 'false', help: 'Serve everyone who can connect, on any address.' },
  logLevel: {
    schema: z.enum(LOG_LEVELS, { error: `Write one of ${LOG_LEVELS.join(', ')}.` }),
    default: 'info',
    help: 'Least important log line written.',
  },
} as const satisfies Record<string, Setting>;

type Settings = typeof SETTINGS;
export type SettingKey = keyof Settings;

/** What every part reads: frozen, sizes in bytes, durations in milliseconds. */
export interface Config {
  readonly host: string;
  readonly port: number;
  readonly dataDir: string;
  readonly storageDir: string;
  readonly storageBackend: 'disk' | 's3';
  readonly s3Bucket: string;
  readonly s3Region: string;
  readonly s3Endpoint: string;
  readonly s3PublicEndpoint: string;
  /** Ends with a slash, or is empty. */
  readonly s3Prefix: string;
  readonly s3ForcePathStyle: boolean;
  readonly s3PartSize: number;
  readonly s3Concurrency: number;
  readonly s3Memory: number;
  readonly s3Connections: number;
  readonly s3Timeout: number;
  readonly s3CopyThreshold: number;
  readonly s3Checksums: 'required' | 'supported';
  readonly s3Downloads: 'stream' | 'redirect';
  readonly s3LinkLifetime: number;
  /** Empty: SQLite in the data directory. */
  readonly databaseUrl: string;
  readonly databaseConnections: number;
  readonly lease: number;
  readonly publicUrl: string;
  readonly maxUploadSize: number;
  readonly allow: string;
  readonly allowEmpty: boolean;
  readonly allowEncrypted: boolean;
  readonly allowMacros: boolean;
  readonly allowLegacyText: boolean;
  /** The five settings above and `maxUploadSize`, as the checks read them. */
  readonly policy: Policy;
  readonly sha256: boolean;
  readonly durability: 'chunk' | 'finish';
  readonly expireAfter: number;
  readonly keepRecordsFor: number;
  readonly sweepInterval: number;
  readonly patience: number;
  readonly bodyTimeout: number;
  readonly lockTimeout: number;
  readonly checkTimeout: number;
  readonly signatureTimeout: number;
  readonly shutdownGrace: number;
  readonly corsOrigins: readonly string[];
  readonly allowAnonymous: boolean;
  readonly logLevel: string;
}

/** What a caller may write: numbers in base units (bytes, milliseconds) or text in human ones. */
export type ConfigInput = { [K in SettingKey]?: z.input<Settings[K]['schema']> };

const RESOLVED = new WeakSet<object>();

/** A setting that is not right; the message is a sentence for the operator. */
export class ConfigError extends StartError {
  override readonly name = 'ConfigError';
}

/** @throws ConfigError naming the setting and what is wrong with it */
export function resolveConfig(input: ConfigInput = {}, nameOf: (key: SettingKey) => string = (key) => key): Config {
  for (const key of Object.keys(input)) {
    if (!Object.hasOwn(SETTINGS, key)) throw new ConfigError(`There is no setting called ${key}.`);
  }
  const values: Record<string, unknown> = {};
  for (const key of Object.keys(SETTINGS) as SettingKey[]) {
    const given = input[key] ?? SETTINGS[key].default;
    const parsed = SETTINGS[key].schema.safeParse(given);
    if (!parsed.success) throw new ConfigError(`${nameOf(key)}: ${reason(parsed.error)} (given: ${JSON.stringify(shown(key, given))})`);
    values[key] = parsed.data;
  }
  const config = values as unknown as Omit<Config, 'policy'>;
  if (config.storageBackend === 's3') checkS3(config, nameOf);
  if (config.databaseUrl !== '' && config.durability === 'finish') {
    throw new ConfigError(
      `${nameOf('durability')}: With several processes, one that crashed cannot be told from one whose machine lost its power. Write chunk. (given: "finish")`,
    );
  }
  const dataDir = resolve(config.dataDir);
  const resolved = Object.freeze({
    ...config,
    dataDir,
    policy: parsePolicy(config.allow, { ...config, maxBytes: config.maxUploadSize }),
    storageDir: config.storageDir === '' ? resolve(dataDir, 'files') : resolve(config.storageDir),
    publicUrl: config.publicUrl.replace(/\/+$/, ''),
    s3Prefix: config.s3Prefix === '' ? '' : `${config.s3Prefix.replace(/\/+$/, '')}/`,
  });
  RESOLVED.add(resolved);
  return resolved;
}

/** Whether it is what `resolveConfig` made, and not an input that happens to be frozen. */
export function isResolved(config: ConfigInput | Config): config is Config {
  return RESOLVED.has(config);
}

export function environmentName(key: SettingKey): string {
  return `LANDFALL_${key.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`;
}

export function flagName(key: SettingKey): string {
  return `--${key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

/** Settings that are either on or off. */
export function isFlag(key: SettingKey): boolean {
  return SETTINGS[key].schema === flag;
}

/**
 * Flags win over the environment. Every unknown `LANDFALL_*` is refused: a misspelt limit must not be a missing limit.
 * @throws ConfigError
 */
export function configFromEnvironment(environment: Readonly<Record<string, string | undefined>>, flags: ConfigInput = {}): Config {
  const keys = new Map((Object.keys(SETTINGS) as SettingKey[]).map((key) => [environmentName(key), key]));
  const input: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(environment)) {
    if (!name.startsWith('LANDFALL_') || value === undefined) continue;
    const key = keys.get(name);
    if (key === undefined) throw new ConfigError(`${name} is not a setting. \`landfall-server --help\` lists them.`);
    input[key] = value;
  }
  return resolveConfig({ ...input, ...flags } as ConfigInput, environmentName);
}

/** The settings as `--help` prints them. */
export function describeSettings(): string {
  return (Object.keys(SETTINGS) as SettingKey[])
    .map((key) => {
      const { default: value, help } = SETTINGS[key];
      return `  ${flagName(key)}, ${environmentName(key)}\n      ${help}\n      Default: ${value === '' ? '(empty)' : value}`;
    })
    .join('\n');
}

/** The limits as people read them, for the log line at start. */
export function summarize(config: Config): Record<string, string> {
  return {
    maxUploadSize: formatBytes(config.maxUploadSize),
    expireAfter: formatDuration(config.expireAfter),
    dataDir: config.dataDir,
    ...(config.storageBackend === 's3' ? { bucket: config.s3Bucket } : {}),
  };
}

/** What only the settings together tell. @throws ConfigError */
function checkS3(config: Omit<Config, 'policy'>, nameOf: (key: SettingKey) => string): void {
  const { s3Bucket, s3Memory, s3PartSize, maxUploadSize } = config;
  if (s3Bucket === '') throw new ConfigError(`${nameOf('s3Bucket')}: Write the name of a bucket.`);
  const largest = Math.max(s3PartSize, Math.ceil(maxUploadSize / MAX_PARTS));
  if (s3Memory >= 2 * largest) return;
  throw new ConfigError(
    `${nameOf('s3Memory')}: Write at least ${formatBytes(2 * largest)}, two parts of an upload of ${formatBytes(maxUploadSize)}. (given: ${formatBytes(s3Memory)})`,
  );
}

function isCount(value: number): boolean {
  return Number.isInteger(value) && value >= 1;
}

function isPort(port: number): boolean {
  return Number.isInteger(port) && port >= 0 && port <= 65535;
}

function isPublicUrl(text: string): boolean {
  if (text === '') return true;
  const url = URL.parse(text);
  return url !== null && /^https?:\/\//i.test(text) && `${url.username}${url.password}${url.search}${url.hash}` === '';
}

function isDatabaseUrl(text: string): boolean {
  return text === '' || (/^postgres(?:ql)?:\/\//.test(text) && URL.canParse(text));
}

/** What may stand in a message: an address has a password in it. */
function shown(key: SettingKey, given: unknown): unknown {
  return key === 'databaseUrl' ? '…' : given;
}

function isOrigin(text: string): boolean {
  return text === '*' || URL.parse(text)?.origin === text;
}

function sentence<T>(parse: (text: string) => T) {
  return (text: string, context: z.RefinementCtx): T => {
    try {
      return parse(text);
    } catch (error) {
      context.addIssue({ code: 'custom', message: error instanceof Error ? error.message : String(error) });
      return z.NEVER;
    }
  };
}

function sentenceOf(parse: (text: string) => unknown) {
  const transform = sentence(parse);
  return (text: string, context: z.RefinementCtx): void => {
    transform(text, context);
  };
}

function reason(error: z.ZodError): string {
  const issue = error.issues[0];
  if (issue?.code === 'invalid_union') {
    // Of the ways a setting can be written, what is wrong with the one that was meant.
    const nested = issue.errors.flat().find((candidate) => candidate.code !== 'invalid_type') ?? issue.errors.flat()[0];
    return nested?.message ?? issue.message;
  }
  return issue?.message ?? 'The value is not valid.';
}
