import type { Rejection } from './errors.ts';
import { extensionOf, safeFileName } from './filename.ts';
import { canonicalType, GROUPS, isRecognisable, knownType, UNKNOWN_TYPE } from './formats.ts';
import { formatBytes } from './units.ts';

/** What a policy says beside the types. */
export interface PolicyOptions {
  /** Bytes; null for no limit. */
  maxBytes: number | null;
  /** Files without a byte. */
  allowEmpty: boolean;
  /** Archives and Office files with a password: nobody can look into them. */
  allowEncrypted: boolean;
  /** Macros in .doc, .xls and .ppt, whose names do not tell. (.docm and its like are listed by name.) */
  allowMacros: boolean;
  /** Text in older encodings (Windows-1252, Shift_JIS …), not only UTF-8 and UTF-16. */
  allowLegacyText: boolean;
  /** What an archive is refused for. */
  archiveRules: readonly ArchiveRule[];
  /** Most entries that an archive may have. */
  archiveMaxEntries: number;
  /** How many bytes a byte of an archive may say it unpacks to, where it says more than 1 GiB. */
  archiveMaxRatio: number;
}

/** In order: too many entries, too much declared, names and links that lead out of the folder, entries that lie over one another. */
export const ARCHIVE_RULES = ['entries', 'ratio', 'paths', 'links', 'overlaps'] as const;
/** What an archive is refused for: `entries`, `ratio`, `paths`, `links` or `overlaps` (docs/policy.md). */
export type ArchiveRule = (typeof ARCHIVE_RULES)[number];
export const ARCHIVE_MAX_ENTRIES = 1_000_000;
export const ARCHIVE_MAX_RATIO = 1000;

/**
 * What is accepted: plain frozen data, so that it can go to a worker or, as JSON, to a browser.
 *
 * @example
 * ```ts
 * import { createLandfall } from 'landfall-server';
 *
 * const { policy } = createLandfall({ allow: 'images, .step=application/octet-stream' }).config;
 * console.log(policy.types.png, policy.groups, policy.singles); // image/png [ 'images' ] [ 'step' ]
 * ```
 */
export interface Policy extends Readonly<PolicyOptions> {
  /** Extension in lower case, without its dot → the media type its content must have. */
  readonly types: Readonly<Record<string, string>>;
  /** Names of the groups that are allowed whole. With `singles` a browser can name what is allowed, without the table of formats. */
  readonly groups: readonly string[];
  /** Extensions that are allowed and belong to none of `groups`. */
  readonly singles: readonly string[];
}

export const DEFAULT_ALLOW = 'images,documents,video,audio,archives,text,scans,data';

const ENTRY = /^\.([a-z0-9][a-z0-9_+-]{0,15})(?:\s*=\s*([a-z0-9][a-z0-9!#$&^_.+-]*\/[a-z0-9][a-z0-9!#$&^_.+-]*))?$/;

/** Extensions that name something that runs, or that a web server or a browser would run. */
const RUNNING =
  'asp|aspx|bat|cgi|cmd|cpl|dll|exe|hta|htaccess|htm|html|jar|js|jse|jsp|jspx|lnk|mjs|msi|phar|php\\d?|phtml|pht|pif|pl|ps1|py|rb|reg|scr|sh|shtml|svg|vbe|vbs|wsf|xhtml';
/** `shell.php;.jpg` and `shell.php%00.jpg`: some programs stop reading at the sign in the middle. "Node.js: a guide.pdf" is a title. */
const HIDDEN_EXTENSION = new RegExp(`\\.(?:${RUNNING})[ .]*(?:[;:](?=\\S)|\\0|%00)`, 'i');

/**
 * Reads a list such as `images, documents, .step=application/octet-stream`: names of groups, `.ext=type/subtype`, or
 * `.ext` alone where its type is known. A later entry overrides an earlier one.
 *
 * @throws Error with a sentence that names the entry
 */
export function parsePolicy(allow: string, options: Partial<PolicyOptions> = {}): Policy {
  const types: Record<string, string> = {};
  for (const entry of allow.split(',')) {
    const text = entry.trim().toLowerCase();
    if (text === '') continue;
    if (isGroup(text)) Object.assign(types, GROUPS[text]);
    else Object.assign(types, parseEntry(text));
  }
  if (Object.keys(types).length === 0) throw new Error('No type of file is allowed. Name at least one group or extension.');
  return Object.freeze({
    types: Object.freeze(types),
    ...groupsIn(types),
    maxBytes: options.maxBytes ?? null,
    allowEmpty: options.allowEmpty ?? false,
    allowEncrypted: options.allowEncrypted ?? false,
    allowMacros: options.allowMacros ?? false,
    allowLegacyText: options.allowLegacyText ?? true,
    archiveRules: Object.freeze([...(options.archiveRules ?? ARCHIVE_RULES)]),
    archiveMaxEntries: options.archiveMaxEntries ?? ARCHIVE_MAX_ENTRIES,
    archiveMaxRatio: options.archiveMaxRatio ?? ARCHIVE_MAX_RATIO,
  });
}

/** What of a policy is left within narrower limits. `allow` as for `parsePolicy`; what the policy does not have stays out. @throws as that does */
export function narrowPolicy(policy: Policy, { allow, maxBytes }: { allow?: string | undefined; maxBytes?: number | undefined }): Policy {
  const wanted = allow === undefined ? policy.types : parsePolicy(allow).types;
  const types = Object.fromEntries(Object.entries(policy.types).filter(([extension]) => Object.hasOwn(wanted, extension)));
  const most = Math.min(policy.maxBytes ?? Number.POSITIVE_INFINITY, maxBytes ?? Number.POSITIVE_INFINITY);
  return Object.freeze({
    ...policy,
    types: Object.freeze(types),
    ...groupsIn(types),
    maxBytes: Number.isFinite(most) ? most : null,
  });
}

function groupsIn(types: Readonly<Record<string, string>>): Pick<Policy, 'groups' | 'singles'> {
  const whole = Object.entries<Readonly<Record<string, string>>>(GROUPS).filter(([, formats]) =>
    Object.entries(formats).every(([extension, type]) => types[extension] === type),
  );
  const named = new Set(whole.flatMap(([, formats]) => Object.keys(formats)));
  const singles = Object.keys(types).filter((extension) => !named.has(extension));
  return { groups: Object.freeze(whole.map(([name]) => name)), singles: Object.freeze(singles) };
}

function isGroup(text: string): text is keyof typeof GROUPS {
  return Object.hasOwn(GROUPS, text);
}

function parseEntry(entry: string): Record<string, string> {
  const [, extension, written] = ENTRY.exec(entry) ?? [];
  if (extension === undefined) {
    throw new Error(`“${entry}” is neither a group (${Object.keys(GROUPS).join(', ')}) nor an entry like .step=application/octet-stream.`);
  }
  const type = written === undefined ? knownType(extension) : canonicalType(written);
  if (type === undefined) {
    throw new Error(
      `The type of “${entry}” is not known. Write ${entry}=${UNKNOWN_TYPE} to take any content that is not something that runs.`,
    );
  }
  if (!isRecognisable(type)) {
    throw new Error(
      `“${entry}”: content of type ${type} cannot be recognised. Write .${extension}=${UNKNOWN_TYPE} to take any content that is not something that runs.`,
    );
  }
  return { [extension]: type };
}

/** The same for two policies that decide alike: what the hash kept with a verdict is made of. */
export function policyText(policy: Policy): string {
  const { types, groups: _groups, singles: _singles, ...options } = policy;
  return JSON.stringify([Object.entries(types).sort(byFirst), Object.entries(options).sort(byFirst)]);
}

function byFirst([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Lower case, without dots, in the policy's order. */
export function allowedExtensions(policy: Policy): readonly string[] {
  return Object.keys(policy.types);
}

/** For the `accept` attribute of `<input type="file">`. */
export function acceptAttribute(policy: Policy): string {
  return allowedExtensions(policy)
    .map((extension) => `.${extension}`)
    .join(',');
}

/** The type an extension's content must have; undefined where the policy does not list it. */
export function typeOfExtension(policy: Policy, extension: string): string | undefined {
  return Object.hasOwn(policy.types, extension) ? policy.types[extension] : undefined;
}

/** The first extension that stands for a type, to name an upload that came without a name; null where none does. */
export function extensionOfType(policy: Policy, type: string): string | null {
  const extensions = allowedExtensions(policy).filter((extension) => policy.types[extension] === type);
  // An object keeps keys that are numbers (.360) in front, whatever the policy's order.
  return extensions.find((extension) => !/^\d+$/.test(extension)) ?? extensions[0] ?? null;
}

/**
 * Judges a name, as the sender gave it or made safe, before there is any content: undefined where nothing speaks
 * against it. No name, or one without an extension, is judged by its content later.
 */
export function checkName(policy: Policy, name: string | null): Rejection | undefined {
  if (name === null) return undefined;
  if (HIDDEN_EXTENSION.test(name)) {
    return { code: 'ERR_NAME_NOT_ALLOWED', detail: `“${safeFileName(name)}” hides its real extension.` };
  }
  const extension = extensionOf(name);
  if (extension === '' || typeOfExtension(policy, extension) !== undefined) return undefined;
  return {
    code: 'ERR_TYPE_NOT_ALLOWED',
    detail: `“${safeFileName(name)}” is a .${extension} file. Accepted: ${describeAllowed(policy)}.`,
  };
}

/** Judges a length in bytes. */
export function checkLength(policy: Policy, length: number): Rejection | undefined {
  if (length === 0 && !policy.allowEmpty) return { code: 'ERR_EMPTY', detail: 'It holds no bytes at all.' };
  if (policy.maxBytes !== null && length > policy.maxBytes) {
    return {
      code: 'ERR_MAX_SIZE_EXCEEDED',
      detail: `It has ${formatBytes(length)}; at most ${formatBytes(policy.maxBytes)} are accepted.`,
    };
  }
  return undefined;
}

/** For people: whole groups by their name, the rest one by one. The words are English where no others are given. */
export function describeAllowed(
  policy: Policy,
  groupName: (group: string) => string = (group) => group,
  andMore: (list: string) => string = (list) => `${list} and more`,
): string {
  const words = [...policy.groups.map(groupName), ...policy.singles.map((extension) => `.${extension}`)];
  return words.length > 24 ? andMore(words.slice(0, 24).join(', ')) : words.join(', ');
}
