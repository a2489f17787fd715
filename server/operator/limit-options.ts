// The limits of keys, links and grants, as an operator types them.
import { parseBytes, parseDuration } from '../../shared/units.ts';
import { flagName } from '../config/setting-names.ts';
import { SETTINGS, type SettingKey } from '../config/settings.ts';
import { type Limits, LimitsSchema } from '../ledger/limits.ts';
import { UsageError } from './usage.ts';

/** In the form of `parseArgs`. */
export const LIMIT_OPTIONS = {
  'max-uploads': { type: 'string' },
  'max-size': { type: 'string' },
  'max-bytes': { type: 'string' },
  allow: { type: 'string' },
  actions: { type: 'string' },
  metadata: { type: 'string', multiple: true },
  'keep-files-for': { type: 'string' },
  expires: { type: 'string' },
  title: { type: 'string' },
  id: { type: 'string' },
  owner: { type: 'string' },
} as const;

/** Settings of the server with the name of a limit: with the commands for keys, links and grants, the name means the limit. */
export const SETTINGS_NAMED_LIKE_LIMITS: readonly SettingKey[] = (Object.keys(SETTINGS) as SettingKey[]).filter((key) =>
  Object.hasOwn(LIMIT_OPTIONS, flagName(key).slice(2)),
);

export type LimitOptions = { [K in keyof typeof LIMIT_OPTIONS]?: (K extends 'metadata' ? string[] : string) | undefined } & {
  json?: boolean | undefined;
};

/** Settings that locate the ledger and the server. Any other, such as `--max-upload-size`, would look like a limit and have no effect. */
const LOCATION_SETTINGS: readonly SettingKey[] = [
  'dataDir',
  'databaseUrl',
  'databaseConnections',
  'grantSecrets',
  'publicUrl',
  'host',
  'port',
  'logLevel',
];

/** @throws UsageError for a setting that does not belong to the command */
export function requireOwnFlags(command: string, flags: readonly SettingKey[]): void {
  for (const key of flags) {
    if (!LOCATION_SETTINGS.includes(key)) throw new UsageError(`"${command}" takes no ${flagName(key)}. See landfall-server --help.`);
  }
}

/** @throws UsageError for a limit that has no effect on the command */
export function requireNoLimits(command: string, options: Readonly<Record<string, unknown>>): void {
  for (const name of Object.keys(LIMIT_OPTIONS)) {
    const isItsOwn = (command === 'url' && name === 'expires') || (command === 'adopt' && name === 'owner');
    const isSetting = SETTINGS_NAMED_LIKE_LIMITS.some((key) => flagName(key) === `--${name}`);
    if (!isSetting && !isItsOwn && options[name] !== undefined)
      throw new UsageError(`"${command}" takes no --${name}. See landfall-server --help.`);
  }
}

/** @throws UsageError */
export function limitsOfOptions(options: LimitOptions): Limits {
  const {
    'max-uploads': maxUploads,
    'max-size': maxSize,
    'max-bytes': maxBytes,
    'keep-files-for': keepFor,
    allow,
    actions,
    metadata,
  } = options;
  const limits = {
    ...(maxUploads !== undefined && { maxUploads: read('--max-uploads', maxUploads, parseCount) }),
    ...(maxSize !== undefined && { maxUploadBytes: read('--max-size', maxSize, parseBytes) }),
    ...(maxBytes !== undefined && { maxBytes: read('--max-bytes', maxBytes, parseBytes) }),
    ...(keepFor !== undefined && { keepFilesForMs: read('--keep-files-for', keepFor, parseDuration) }),
    ...(allow !== undefined && { allow }),
    ...(actions !== undefined && { actions: actions.split(',').map((action) => action.trim()) }),
    ...(metadata !== undefined && { metadata: Object.fromEntries(metadata.map(parsePair)) }),
  };
  const parsed = LimitsSchema.safeParse(limits);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new UsageError(`--${String(issue?.path[0])}: ${issue?.message}`);
}

/** When it expires, by the wall clock; null: never. @throws UsageError */
export function expiryOfOptions({ expires }: LimitOptions): number | null {
  return expires === undefined ? null : Date.now() + read('--expires', expires, parseDuration);
}

function read(option: string, text: string, parse: (text: string) => number): number {
  try {
    return parse(text);
  } catch (error) {
    throw new UsageError(`${option}: ${(error as Error).message}`);
  }
}

function parseCount(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new Error(`“${text}” is not a whole number.`);
  return Number(text);
}

function parsePair(text: string): [string, string] {
  const [, key, value] = /^([^=]+)=(.*)$/s.exec(text) ?? [];
  if (key === undefined || value === undefined) throw new UsageError('--metadata: Write a key and a value, such as project=42.');
  return [key, value];
}
