// Publishes both packages to npm with provenance. `--dry-run` checks and packs without publishing.
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

/** A release's section of the changelog, without its heading. */
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
if (!notes) refuse(`CHANGELOG.md has no section "## [${version}] - YYYY-MM-DD" that is not empty.`);

if (!isDryRun) {
  if (git('status', '--porcelain') !== '') refuse('The working tree has changes. Commit or stash them.');
  if (!git('tag', '--points-at', 'HEAD').split('\n').includes(`v${version}`)) refuse(`The commit does not have the tag v${version}.`);
}

console.log(`release: ${version}\n\n${notes}\n`);
// The build runs before npm reads the manifests, because npm warns about missing programs.
execFileSync('npm', ['run', '-s', 'build'], { stdio: 'inherit' });
for (const folder of PACKAGES) {
  // After a release that failed half way, skip the package that is already published.
  if (!isDryRun && isPublished(folder)) continue;
  // npm signs provenance only for the workflow that runs this script. A dry run does not ask for the signature.
  const distTag = version.includes('-') ? 'next' : 'latest';
  const options = ['--ignore-scripts', '--provenance', '--access', 'public', '--tag', distTag, ...(isDryRun ? ['--dry-run'] : [])];
  execFileSync('npm', ['publish', '--workspace', folder, ...options], { stdio: 'inherit' });
}
