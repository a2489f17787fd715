// The table of settings: what `config.ts` reads by and its type follows from, and the README's table and `--help` are written from.
import { ARCHIVE_RULES, DEFAULT_ALLOW } from '../../shared/policy.ts';

/** Each setting once: key → what its values are, its default, and what `--help` and the README say of it. */
export const SETTINGS = {
  host: {
    kind: 'someText',
    otherwise: 'Write an address or a name.',
    default: '127.0.0.1',
    help: 'Address to listen on. Any but loopback needs an access rule.',
  },
  port: {
    kind: 'port',
    default: '1080',
    help: 'Port to listen on; 0 takes a free one.',
  },
  dataDir: {
    kind: 'someText',
    otherwise: 'Write the path of a directory.',
    default: './data',
    help: 'Ledger, staged bytes and final files. Never below a web root.',
  },
  storageDir: { kind: 'text', default: '', help: 'Final files, where they do not belong in <data dir>/files.' },
  storageBackend: {
    kind: 'word',
    words: ['disk', 's3'],
    otherwise: 'Write disk or s3.',
    default: 'disk',
    help: 'Where staged bytes and final files are: on this machine, or in a bucket (docs/s3.md).',
  },
  s3Bucket: {
    kind: 'text',
    default: '',
    help: 'Bucket of staged bytes and final files. Credentials come from where AWS clients look.',
  },
  s3Region: { kind: 'someText', otherwise: 'Write the name of a region, or auto.', default: 'us-east-1', help: 'Region of the bucket.' },
  s3Endpoint: {
    kind: 'publicUrl',
    default: '',
    help: 'Address of the S3 server; empty: that of AWS for the region.',
  },
  s3PublicEndpoint: {
    kind: 'publicUrl',
    default: '',
    help: 'Address of the S3 server for senders and readers, in signed addresses; empty: the same.',
  },
  s3Prefix: {
    kind: 'keyPrefix',
    default: '',
    help: 'Before every key, where the bucket has other things in it too.',
  },
  s3ForcePathStyle: { kind: 'flag', default: 'false', help: 'Name the bucket in the path instead of the host: Ceph, MinIO.' },
  s3PartSize: {
    as: 's3PartBytes',
    kind: 'partSize',
    default: '16 MiB',
    help: 'Bytes of a part, where the length does not ask for larger ones (over 10,000 parts).',
  },
  s3Concurrency: { kind: 'count', default: '4', help: 'Parts of one upload that are sent at once.' },
  s3Memory: {
    as: 's3MemoryBytes',
    kind: 'size',
    default: '256 MiB',
    help: 'Memory for parts of all uploads together; at least two parts. Who finds none waits.',
  },
  s3Connections: { kind: 'count', default: '64', help: 'Connections to S3 at once, downloads not counted.' },
  s3Timeout: {
    as: 's3TimeoutMs',
    kind: 'timer',
    default: '30s',
    help: 'A request to S3 on which nothing moves for so long is made again.',
  },
  s3CopyThreshold: {
    as: 's3CopyThresholdBytes',
    kind: 'partSize',
    default: '5 GiB',
    help: 'Files above it are published by copies of their parts, in parallel.',
  },
  s3Checksums: {
    kind: 'word',
    words: ['required', 'supported'],
    otherwise: 'Write required or supported.',
    default: 'required',
    help: 'Send the checksums of newer AWS clients only where S3 asks for them, or always. Many other servers refuse them.',
  },
  s3Downloads: {
    kind: 'word',
    words: ['stream', 'redirect'],
    otherwise: 'Write stream or redirect.',
    default: 'stream',
    help: 'GET of an accepted file passes it through, or redirects to a signed address.',
  },
  s3LinkLifetime: {
    as: 's3LinkLifetimeMs',
    kind: 'linkLifetime',
    default: '15m',
    help: 'How long a signed address is good for.',
  },
  databaseUrl: {
    kind: 'databaseUrl',
    default: '',
    help: 'PostgreSQL for the ledger, where several processes serve one data directory; empty: SQLite in it, and one process.',
  },
  databaseConnections: {
    kind: 'smallCount',
    default: '10',
    help: 'Connections to PostgreSQL a process has at most, beside the one that listens.',
  },
  lease: {
    as: 'leaseMs',
    kind: 'lease',
    default: '10s',
    help: 'With PostgreSQL: a process that was silent for so long is taken for dead, and others go on with its work.',
  },
  publicUrl: {
    kind: 'publicUrl',
    default: '',
    help: 'Address clients reach the server at, behind a proxy; empty: links are relative.',
  },
  maxUploadSize: {
    as: 'maxUploadBytes',
    kind: 'fileSize',
    default: '1 TiB',
    help: 'Largest file taken; over it 413 at creation.',
  },
  allow: {
    kind: 'allowed',
    default: DEFAULT_ALLOW as string,
    help: 'What is taken: groups and .ext=type entries (docs/policy.md).',
  },
  allowEmpty: { kind: 'flag', default: 'false', help: 'Take files without a byte in them.' },
  allowEncrypted: { kind: 'flag', default: 'false', help: 'Take archives and Office files with a password: nobody can look into them.' },
  allowMacros: { kind: 'flag', default: 'false', help: 'Take .doc, .xls and .ppt with macros, whose names do not tell.' },
  allowLegacyText: {
    kind: 'flag',
    default: 'true',
    help: 'Take text in older encodings (Windows-1252, Shift_JIS), not only UTF-8 and UTF-16.',
  },
  archiveRules: {
    kind: 'archiveRules',
    default: ARCHIVE_RULES.join(',') as string,
    help: 'What an archive is refused for as unsafe (docs/policy.md); empty: for nothing.',
  },
  archiveMaxEntries: { kind: 'largeCount', default: '1000000', help: 'Most entries that an archive may have.' },
  archiveMaxRatio: {
    kind: 'largeCount',
    default: '1000',
    help: 'How many times its own size an archive may say that it unpacks to, beyond 1 GiB.',
  },
  sha256: {
    kind: 'flag',
    default: 'false',
    help: 'Compute the SHA-256 of every accepted file, besides its CRC-32; the finish then reads it once.',
  },
  durability: {
    kind: 'word',
    words: ['chunk', 'finish'],
    otherwise: 'Write chunk or finish.',
    default: 'chunk',
    help: 'What survives a power cut: every acknowledged offset (chunk), or only accepted files (finish).',
  },
  expireAfter: {
    as: 'expireAfterMs',
    kind: 'expiry',
    default: '7d',
    help: 'How long an unfinished upload waits for its next byte, counted while a server runs.',
  },
  keepRecordsFor: {
    as: 'keepRecordsForMs',
    kind: 'duration',
    default: '24h',
    help: 'How long a refusal, cancellation or expiry can still be asked for, counted likewise.',
  },
  sweepInterval: { as: 'sweepIntervalMs', kind: 'timer', default: '1m', help: 'How often expired uploads and old records are cleared.' },
  patience: {
    as: 'patienceMs',
    kind: 'wait',
    default: '25s',
    help: 'How long a request waits for a verdict before the client is asked to ask again.',
  },
  bodyTimeout: {
    as: 'bodyTimeoutMs',
    kind: 'timer',
    default: '30s',
    help: 'A request body that brings less than 1 KiB in this time is cut; its bytes are kept.',
  },
  lockTimeout: {
    as: 'lockTimeoutMs',
    kind: 'wait',
    default: '5s',
    help: 'How long a request waits for another on the same upload before 423.',
  },
  checkTimeout: {
    as: 'checkTimeoutMs',
    kind: 'timer',
    default: '10m',
    help: 'Longest a check may go without progress (reading, or saying so); five times over it refuses the file.',
  },
  signatureTimeout: { as: 'signatureTimeoutMs', kind: 'timer', default: '5s', help: 'Longest the detection of a type may take.' },
  shutdownGrace: { as: 'shutdownGraceMs', kind: 'wait', default: '10s', help: 'How long running requests may take to end after SIGTERM.' },
  hosts: {
    kind: 'hostNames',
    default: '',
    help: 'Names that clients reach the server by, comma-separated, beside localhost, IP addresses and the name in the public URL. Any other name is refused once there is one, and always on loopback.',
  },
  corsOrigins: {
    kind: 'origins',
    default: '',
    help: 'Other origins whose pages may upload, comma-separated (also null and those of apps, such as capacitor://localhost); * for any, without cookies. On loopback every page of this machine may.',
  },
  corsHeaders: {
    kind: 'fieldNames',
    default: '',
    help: 'Request headers that such pages may send beside those of the protocols, comma-separated; empty: whatever they ask for.',
  },
  allowAnonymous: { kind: 'flag', default: 'false', help: 'Serve everyone who can connect, on any address.' },
  logLevel: {
    kind: 'word',
    words: ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'],
    otherwise: 'Write one of fatal, error, warn, info, debug, trace, silent.',
    default: 'info',
    help: 'Least important log line written.',
  },
} as const;

export type Settings = typeof SETTINGS;
export type SettingKey = keyof Settings;
