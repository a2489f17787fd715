// Publishes both packages to npm with provenance. `--dry-run` checks and packs, and publishes nothing.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

const PACKAGES = ['client', 'server'] as const;
const isDryRun = process.argv.includes('--dry-run');

function refuse(sentence: string): never {
  console.error(`release: ${sentence}`);
  process.exit(1);
}

function versionOf(folder: string): string {
  return (JSON.parse(readFileSync(`${folder}/package.json`, 'utf8')) as { version: string }).version;
}

function isPublished(folder: string): boolean {
  const { name } = JSON.parse(readFileSync(`${folder}/package.json`, 'utf8')) as { name: string };
  try {
    return (
      execFileSync('npm', ['view', `${name}@${version}`, 'version'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim() !==
      ''
    );
  } catch {
    return false;
  }
}

/** What the changelog says of a release, without its heading. */
function notesOf(heading: RegExp): string | undefined {
  const [, ...sections] = readFileSync('CHANGELOG.md', 'utf8').split(/^## /m);
  const section = sections.find((text) => heading.test(text));
  return section?.slice(section.indexOf('\n')).trim();
}

function git(...parameters: string[]): string {
  return execFileSync('git', parameters, { encoding: 'utf8' }).trim();
}

const [version, ...others] = new Set(PACKAGES.map(versionOf));
if (version === undefined || others.length > 0) refuse('client/package.json and server/package.json name different versions.');

const escaped = version.replaceAll('.', '\\.');
const dated = notesOf(new RegExp(`^\\[${escaped}\\] - \\d{4}-\\d{2}-\\d{2}\\n`));
const notes = isDryRun ? (dated ?? notesOf(/^\[Unreleased\]\n/)) : dated;
if (!notes) refuse(`CHANGELOG.md has no section "## [${version}] - YYYY-MM-DD" with something in it.`);

if (!isDryRun) {
  if (git('status', '--porcelain') !== '') refuse('The working tree has changes. Commit them, or put them away.');
  if (!git('tag', '--points-at', 'HEAD').split('\n').includes(`v${version}`)) refuse(`The commit does not have the tag v${version}.`);
}

console.log(`release: ${version}\n\n${notes}\n`);
// Before npm reads the manifests: it warns of programs that are not there yet.
execFileSync('npm', ['run', '-s', 'build'], { stdio: 'inherit' });
for (const folder of PACKAGES) {
  // A release that failed half way is run again.
  if (!isDryRun && isPublished(folder)) continue;
  // npm signs provenance for the workflow that runs this, and refuses it elsewhere. A dry run does not ask for the signature.
  const distTag = version.includes('-') ? 'next' : 'latest';
  const options = ['--ignore-scripts', '--provenance', '--access', 'public', '--tag', distTag, ...(isDryRun ? ['--dry-run'] : [])];
  execFileSync('npm', ['publish', '--workspace', folder, ...options], { stdio: 'inherit' });
}
