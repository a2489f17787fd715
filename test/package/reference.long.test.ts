// The reference builds without a warning, and describes every export of the packages.
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { beforeAll, expect, it } from 'vitest';
import { REPOSITORY } from '../support/repository.ts';
import { temporaryDirectory } from '../support/temp-dir.ts';

const run = promisify(execFile);
const { path: directory } = temporaryDirectory();

interface Tag {
  tag: string;
}
interface Comment {
  summary: unknown[];
  blockTags?: Tag[];
}
/** A module, an export or a member in typedoc's JSON. */
interface Reflection {
  name: string;
  kind: number;
  flags: { isOptional?: true };
  comment?: Comment;
  signatures?: { comment?: Comment }[];
  getSignature?: { comment?: Comment };
  inheritedFrom?: unknown;
  extendedTypes?: { name?: string }[];
  children?: Reflection[];
}

const CLASS = 128;
const INTERFACE = 256;
const CONSTRUCTOR = 512;
const TYPE_ALIAS = 2_097_152;
const REFERENCE = 4_194_304;
/** The `name` of an error, which repeats its class name. */
const NAME = 'name';
/** Parts of types with examples: the entry of a table, the members of a union. */
const PARTS = new Set(['ErrorEntry', 'PolicyOptions', 'SnapshotOfAnyState']);
/** Types that an application writes, in which an omitted option has a default. */
const WRITTEN = /Options$|^Timeouts$|^LandfallHooks$|^Limits$|^AuthenticatedOwner$/;
/** Types that only Landfall's own code writes. */
const NOT_WRITTEN = new Set(['UploadErrorOptions']);

const exported: (Reflection & { module: string })[] = [];

beforeAll(async () => {
  const json = join(directory, 'reference.json');
  // A warning makes typedoc end with an exit code.
  await run('npm', ['run', '-s', 'docs', '--', '--out', join(directory, 'reference'), '--json', json], { cwd: REPOSITORY });
  const { children: modules = [] } = JSON.parse(readFileSync(json, 'utf8')) as Reflection;
  for (const { name: module, children = [] } of modules) {
    exported.push(...children.filter(({ kind }) => kind !== REFERENCE).map((reflection) => ({ ...reflection, module })));
  }
});

function commentOf({ comment, signatures, getSignature }: Reflection): Comment | undefined {
  return comment ?? signatures?.[0]?.comment ?? getSignature?.comment;
}

const isDescribed = (reflection: Reflection) => (commentOf(reflection)?.summary.length ?? 0) > 0;
const has = (tag: string, reflection: Reflection) => commentOf(reflection)?.blockTags?.some((each) => each.tag === tag) ?? false;
const ownMembers = ({ children = [] }: Reflection) =>
  children.filter(({ kind, name, inheritedFrom }) => kind !== CONSTRUCTOR && name !== NAME && inheritedFrom === undefined);

it('the reference has every export of every entry, with a comment for it and each of its members', () => {
  expect(new Set(exported.map(({ module }) => module)).size).toBe(6);
  expect(exported.map(({ name }) => name)).toEqual(
    expect.arrayContaining(['upload', 'createUploader', 'useLandfall', 'createLandfall', 'createGrant']),
  );
  expect(exported.filter((each) => !isDescribed(each)).map(({ name }) => name)).toEqual([]);
  const members = exported.flatMap((each) => ownMembers(each).map((member) => ({ of: each.name, member })));
  expect(members.length).toBeGreaterThan(100);
  expect(members.filter(({ member }) => !isDescribed(member)).map(({ of, member }) => `${of}.${member.name}`)).toEqual([]);
});

it('the reference has an example for everything that an application calls, catches or writes', () => {
  const without = exported.filter((each) => each.kind !== TYPE_ALIAS && !PARTS.has(each.name) && !has('@example', each));
  // Applications catch each start error as in the example of `StartError`.
  const isStartError = ({ kind, extendedTypes }: Reflection) => kind === CLASS && extendedTypes?.some(({ name }) => name === 'StartError');
  expect(without.filter((each) => !isStartError(each)).map(({ name }) => name)).toEqual([]);
});

it('the reference has the default of each option', () => {
  const written = exported.filter(({ kind, name }) => kind === INTERFACE && WRITTEN.test(name) && !NOT_WRITTEN.has(name));
  expect(written.length).toBeGreaterThanOrEqual(8);
  const without = written.flatMap((each) =>
    ownMembers(each)
      .filter((member) => member.flags.isOptional && !has('@default', member) && !has('@defaultValue', member))
      .map(({ name }) => `${each.name}.${name}`),
  );
  expect(without).toEqual([]);
});
