import type { Rejection } from './errors.ts';
import { extensionOf, safeFileName } from './filename.ts';
import { canonicalType, GROUPS, isRecognisable, knownType, UNKNOWN_TYPE } from './formats.ts';
import { formatBytes } from './units.ts';

/** The options of a policy beside its types. */
export interface PolicyOptions {
  /** Largest file in bytes; null for no limit. */
  maxBytes: number | null;
  /** Accept empty files. */
  allowEmpty: boolean;
  /** Accept archives and Office files with a password, whose content cannot be inspected. */
  allowEncrypted: boolean;
  /** Accept macros in .doc, .xls and .ppt, whose names do not show them. (.docm and the like are listed by name.) */
  allowMacros: boolean;
  /** Accept text in older encodings (Windows-1252, Shift_JIS …), not only UTF-8 and UTF-16. */
  allowLegacyText: boolean;
  /** Reasons to refuse an archive. */
  archiveRules: readonly ArchiveRule[];
  /** Largest number of entries in an archive. */
  archiveMaxEntries: number;
  /** Largest ratio of declared unpacked bytes to archive bytes, for archives that declare more than 1 GiB. */
  archiveMaxRatio: number;
}

/** In order: too many entries, too large when unpacked, names that lead out of the folder, links that do, overlapping entries. */
export const ARCHIVE_RULES = ['entries', 'ratio', 'paths', 'links', 'overlaps'] as const;
/** A reason to refuse an archive: `entries`, `ratio`, `paths`, `links` or `overlaps` (docs/policy.md). */
export type ArchiveRule = (typeof ARCHIVE_RULES)[number];
export const ARCHIVE_MAX_ENTRIES = 1_000_000;
export const ARCHIVE_MAX_RATIO = 1000;

/**
 * Which files are accepted. Plain frozen data, which can be sent to a worker or, as JSON, to a browser.
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
  /** Names of the groups that are allowed as a whole. With `singles`, a browser can name the allowed files without the table of formats. */
  readonly groups: readonly string[];
  /** Allowed extensions that belong to none of `groups`. */
  readonly singles: readonly string[];
}

export const DEFAULT_ALLOW = 'images,documents,video,audio,archives,text,scans,data';

const ENTRY = /^\.([a-z0-9][a-z0-9_+-]{0,15})(?:\s*=\s*([a-z0-9][a-z0-9!#$&^_.+-]*\/[a-z0-9][a-z0-9!#$&^_.+-]*))?$/;

/** Extensions of programs, and of files that a web server or a browser would run. */
const RUNNING =
  'asp|aspx|bat|cgi|cmd|cpl|dll|exe|hta|htaccess|htm|html|jar|js|jse|jsp|jspx|lnk|mjs|msi|phar|php\\d?|phtml|pht|pif|pl|ps1|py|rb|reg|scr|sh|shtml|svg|vbe|vbs|wsf|xhtml';
/** `shell.php;.jpg` and `shell.php%00.jpg`: some programs end the name at `;` or `%00`. "Node.js: a guide.pdf" is allowed. */
const HIDDEN_EXTENSION = new RegExp(`\\.(?:${RUNNING})[ .]*(?:[;:](?=\\S)|\\0|%00)`, 'i');

/**
 * Parses a list such as `images, documents, .step=application/octet-stream`. An entry is the name of a group, `.ext=type/subtype`, or
 * `.ext` if its type is known. A later entry overrides an earlier one.
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
  if (Object.keys(types).length === 0) throw new Error('The list allows no file type. Name at least one group or extension.');
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

/**
 * A policy within narrower limits. `allow` as for `parsePolicy`; types that the policy does not allow stay excluded.
 *
 * @throws as `parsePolicy`
 */
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
    throw new Error(`The type of “${entry}” is not known. Write ${entry}=${UNKNOWN_TYPE} to accept any content that is not executable.`);
  }
  if (!isRecognisable(type)) {
    throw new Error(
      `“${entry}”: content of type ${type} cannot be recognised. Write .${extension}=${UNKNOWN_TYPE} to accept any content that is not executable.`,
    );
  }
  return { [extension]: type };
}

/** The same text for two policies that make the same decisions. A hash of it is stored with each verdict. */
export function policyText(policy: Policy): string {
  const { types, groups: _groups, singles: _singles, ...options } = policy;
  return JSON.stringify([Object.entries(types).sort(byFirst), Object.entries(options).sort(byFirst)]);
}

function byFirst([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Allowed extensions in lower case, without dots, in the policy's order. */
export function allowedExtensions(policy: Policy): readonly string[] {
  return Object.keys(policy.types);
}

/** For the `accept` attribute of `<input type="file">`. */
export function acceptAttribute(policy: Policy): string {
  return allowedExtensions(policy)
    .map((extension) => `.${extension}`)
    .join(',');
}

/** The media type that files with this extension must have; undefined when the policy does not list the extension. */
export function typeOfExtension(policy: Policy, extension: string): string | undefined {
  return Object.hasOwn(policy.types, extension) ? policy.types[extension] : undefined;
}

/** The first extension of a type, for an upload without a name; null when there is none. */
export function extensionOfType(policy: Policy, type: string): string | null {
  const extensions = allowedExtensions(policy).filter((extension) => policy.types[extension] === type);
  // An object lists numeric keys (.360) first, regardless of the policy's order.
  return extensions.find((extension) => !/^\d+$/.test(extension)) ?? extensions[0] ?? null;
}

/**
 * Checks a name, original or safe, before any content is known. Undefined when the name is accepted. A file without a name or an
 * extension is accepted here, and checked by its content later.
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

/** Checks a length in bytes. */
export function checkLength(policy: Policy, length: number): Rejection | undefined {
  if (length === 0 && !policy.allowEmpty) return { code: 'ERR_EMPTY', detail: 'It contains no bytes.' };
  if (policy.maxBytes !== null && length > policy.maxBytes) {
    return {
      code: 'ERR_MAX_SIZE_EXCEEDED',
      detail: `It has ${formatBytes(length)}; at most ${formatBytes(policy.maxBytes)} are accepted.`,
    };
  }
  return undefined;
}

/** Describes the allowed files for people: whole groups by name, other extensions one by one. English by default. */
export function describeAllowed(
  policy: Policy,
  groupName: (group: string) => string = (group) => group,
  andMore: (list: string) => string = (list) => `${list} and more`,
): string {
  const words = [...policy.groups.map(groupName), ...policy.singles.map((extension) => `.${extension}`)];
  return words.length > 24 ? andMore(words.slice(0, 24).join(', ')) : words.join(', ');
}
