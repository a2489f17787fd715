// The table of settings: what `config.ts` reads by, and the README's table and `--help` are written from.
import type { ZodType } from 'zod';
import { ARCHIVE_RULES, DEFAULT_ALLOW, parsePolicy } from '../../shared/policy.ts';
import {
  bytes,
  count,
  databaseUrl,
  durationMs,
  fieldNames,
  flag,
  hostNames,
  largeCount,
  oneOf,
  origins,
  parsable,
  partBytes,
  port,
  publicUrl,
  smallCount,
  someOf,
  text,
  timerMs,
  waitMs,
} from './setting-kinds.ts';

const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const;

interface Setting {
  schema: ZodType;
  /** In human units, as a person would write it. */
  default: string;
  help: string;
}

/** Each setting once: key → schema, default, and what `--help` and the README say of it. */
export const SETTINGS = {
  host: {
    schema: text.min(1, 'Write an address or a name.'),
    default: '127.0.0.1',
    help: 'Address to listen on. Any but loopback needs an access rule.',
  },
  port: {
    schema: port,
    default: '1080',
    help: 'Port to listen on; 0 takes a free one.',
  },
  dataDir: {
    schema: text.min(1, 'Write the path of a directory.'),
    default: './data',
    help: 'Ledger, staged bytes and final files. Never below a web root.',
  },
  storageDir: { schema: text, default: '', help: 'Final files, where they do not belong in <data dir>/files.' },
  storageBackend: {
    schema: oneOf(['disk', 's3'], 'Write disk or s3.'),
    default: 'disk',
    help: 'Where staged bytes and final files are: on this machine, or in a bucket (docs/s3.md).',
  },
  s3Bucket: {
    schema: text,
    default: '',
    help: 'Bucket of staged bytes and final files. Credentials come from where AWS clients look.',
  },
  s3Region: { schema: text.min(1, 'Write the name of a region, or auto.'), default: 'us-east-1', help: 'Region of the bucket.' },
  s3Endpoint: {
    schema: publicUrl,
    default: '',
    help: 'Address of the S3 server; empty: that of AWS for the region.',
  },
  s3PublicEndpoint: {
    schema: publicUrl,
    default: '',
    help: 'Address of the S3 server for senders and readers, in signed addresses; empty: the same.',
  },
  s3Prefix: {
    schema: text.regex(/^(?:[\w.!'()-]+\/?)*$/, 'Write a path without a slash in front, such as uploads/.'),
    default: '',
    help: 'Before every key, where the bucket has other things in it too.',
  },
  s3ForcePathStyle: { schema: flag, default: 'false', help: 'Name the bucket in the path instead of the host: Ceph, MinIO.' },
  s3PartSize: {
    schema: partBytes,
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
    schema: partBytes,
    default: '5 GiB',
    help: 'Files above it are published by copies of their parts, in parallel.',
  },
  s3Checksums: {
    schema: oneOf(['required', 'supported'], 'Write required or supported.'),
    default: 'required',
    help: 'Send the checksums of newer AWS clients only where S3 asks for them, or always. Many other servers refuse them.',
  },
  s3Downloads: {
    schema: oneOf(['stream', 'redirect'], 'Write stream or redirect.'),
    default: 'stream',
    help: 'GET of an accepted file passes it through, or redirects to a signed address.',
  },
  s3LinkLifetime: {
    schema: durationMs.refine((ms) => ms >= 1000 && ms <= 7 * 86_400_000, 'Write a time from 1s to 7d.'),
    default: '15m',
    help: 'How long a signed address is good for.',
  },
  databaseUrl: {
    schema: databaseUrl,
    default: '',
    help: 'PostgreSQL for the ledger, where several processes serve one data directory; empty: SQLite in it, and one process.',
  },
  databaseConnections: {
    schema: smallCount,
    default: '10',
    help: 'Connections to PostgreSQL a process has at most, beside the one that listens.',
  },
  lease: {
    schema: timerMs.refine((ms) => ms >= 1000, 'Write at least 1s.'),
    default: '10s',
    help: 'With PostgreSQL: a process that was silent for so long is taken for dead, and others go on with its work.',
  },
  publicUrl: {
    schema: publicUrl,
    default: '',
    help: 'Address clients reach the server at, behind a proxy; empty: links are relative.',
  },
  maxUploadSize: {
    schema: bytes.refine((size) => size >= 1, 'Write at least 1 byte.'),
    default: '1 TiB',
    help: 'Largest file taken; over it 413 at creation.',
  },
  allow: {
    schema: parsable(parsePolicy),
    default: DEFAULT_ALLOW,
    help: 'What is taken: groups and .ext=type entries (docs/policy.md).',
  },
  allowEmpty: { schema: flag, default: 'false', help: 'Take files without a byte in them.' },
  allowEncrypted: { schema: flag, default: 'false', help: 'Take archives and Office files with a password: nobody can look into them.' },
  allowMacros: { schema: flag, default: 'false', help: 'Take .doc, .xls and .ppt with macros, whose names do not tell.' },
  allowLegacyText: {
    schema: flag,
    default: 'true',
    help: 'Take text in older encodings (Windows-1252, Shift_JIS), not only UTF-8 and UTF-16.',
  },
  archiveRules: {
    schema: someOf(ARCHIVE_RULES, `Write some of ${ARCHIVE_RULES.join(', ')}, or nothing.`),
    default: ARCHIVE_RULES.join(','),
    help: 'What an archive is refused for as unsafe (docs/policy.md); empty: for nothing.',
  },
  archiveMaxEntries: { schema: largeCount, default: '1000000', help: 'Most entries that an archive may have.' },
  archiveMaxRatio: {
    schema: largeCount,
    default: '1000',
    help: 'How many times its own size an archive may say that it unpacks to, beyond 1 GiB.',
  },
  sha256: {
    schema: flag,
    default: 'false',
    help: 'Compute the SHA-256 of every accepted file, besides its CRC-32; the finish then reads it once.',
  },
  durability: {
    schema: oneOf(['chunk', 'finish'], 'Write chunk or finish.'),
    default: 'chunk',
    help: 'What survives a power cut: every acknowledged offset (chunk), or only accepted files (finish).',
  },
  expireAfter: {
    schema: durationMs.refine((ms) => ms >= 1, 'Write at least 1ms.'),
    default: '7d',
    help: 'How long an unfinished upload waits for its next byte, counted while a server runs.',
  },
  keepRecordsFor: {
    schema: durationMs,
    default: '24h',
    help: 'How long a refusal, cancellation or expiry can still be asked for, counted likewise.',
  },
  sweepInterval: { schema: timerMs, default: '1m', help: 'How often expired uploads and old records are cleared.' },
  patience: { schema: waitMs, default: '25s', help: 'How long a request waits for a verdict before the client is asked to ask again.' },
  bodyTimeout: {
    schema: timerMs,
    default: '30s',
    help: 'A request body that brings less than 1 KiB in this time is cut; its bytes are kept.',
  },
  lockTimeout: { schema: waitMs, default: '5s', help: 'How long a request waits for another on the same upload before 423.' },
  checkTimeout: {
    schema: timerMs,
    default: '10m',
    help: 'Longest a check may go without progress (reading, or saying so); five times over it refuses the file.',
  },
  signatureTimeout: { schema: timerMs, default: '5s', help: 'Longest the detection of a type may take.' },
  shutdownGrace: { schema: waitMs, default: '10s', help: 'How long running requests may take to end after SIGTERM.' },
  hosts: {
    schema: hostNames,
    default: '',
    help: 'Names that clients reach the server by, comma-separated, beside localhost, IP addresses and the name in the public URL. Any other name is refused once there is one, and always on loopback.',
  },
  corsOrigins: {
    schema: origins,
    default: '',
    help: 'Other origins whose pages may upload, comma-separated (also null and those of apps, such as capacitor://localhost); * for any, without cookies. On loopback every page of this machine may.',
  },
  corsHeaders: {
    schema: fieldNames,
    default: '',
    help: 'Request headers that such pages may send beside those of the protocols, comma-separated; empty: whatever they ask for.',
  },
  allowAnonymous: { schema: flag, default: 'false', help: 'Serve everyone who can connect, on any address.' },
  logLevel: {
    schema: oneOf(LOG_LEVELS, `Write one of ${LOG_LEVELS.join(', ')}.`),
    default: 'info',
    help: 'Least important log line written.',
  },
} as const satisfies Record<string, Setting>;

export type Settings = typeof SETTINGS;
export type SettingKey = keyof Settings;
