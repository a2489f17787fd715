// Links between the documents, and the benchmark results that the README repeats.
import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { expect, it } from 'vitest';
import { REPOSITORY } from '../support/repository.ts';

const read = (file: string) => readFileSync(join(REPOSITORY, file), 'utf8');
const PAGES = globSync(['*.md', 'docs/*.md', 'client/README.md', 'server/README.md', 'test/README.md'], { cwd: REPOSITORY });
const withoutCode = (text: string) => text.replaceAll(/^```[\s\S]*?^```$/gm, '');

/** The anchors that GitHub makes of the headings. */
function anchorsOf(page: string): string[] {
  const headings = withoutCode(read(page)).matchAll(/^#+ (.+)$/gm);
  return Array.from(headings, ([, heading = '']) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
      .replaceAll(' ', '-'),
  );
}

it('every link of a document within the repository has a target', () => {
  expect(PAGES.length).toBeGreaterThanOrEqual(17);
  const lost: string[] = [];
  for (const page of PAGES) {
    for (const [, target = ''] of withoutCode(read(page)).matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^[a-z]+:/.test(target)) continue;
      const [path = '', anchor] = target.split('#');
      const file = path === '' ? page : relative(REPOSITORY, join(REPOSITORY, dirname(page), path));
      if (!existsSync(join(REPOSITORY, file))) lost.push(`${page}: ${target}`);
      else if (anchor !== undefined && !anchorsOf(file).includes(anchor)) lost.push(`${page}: ${target}`);
    }
  }
  expect(lost).toEqual([]);
});

/** The row of a table with this first cell, without the spread of the measurements. */
function rowOf(text: string, first: string): string[] | undefined {
  const row = text.split('\n').find((line) => line.startsWith(`| ${first} |`));
  return row
    ?.split('|')
    .slice(2, -1)
    .map((cell) => cell.replace(/\(.*\)/, '').trim());
}

it('the README repeats the numbers of docs/performance.md', () => {
  const readme = read('README.md');
  const performance = read('docs/performance.md');
  const tableOf = (title: string) => performance.split(/^### /m).find((section) => section.startsWith(title)) ?? '';
  const tables = ['2 GiB in one request, tmpfs', '2 GiB in chunks of 8 MiB, tmpfs', '10 KiB files, disk'].map(tableOf);
  const rows = {
    '**Landfall**, every promise and check on': '**Landfall**',
    'Express + `@tus/server`': 'Express + @tus/server',
    tusd: 'tusd',
    'Express + multer': 'Express + multer',
    'nginx, plain PUT': 'nginx, PUT',
  };
  for (const [shown, measured] of Object.entries(rows)) {
    expect(rowOf(readme, shown), shown).toEqual(tables.map((table) => rowOf(table, measured)?.[0] ?? '–'));
  }
  const [finish, slow] = ['Finish time, disk', '1000 slow uploads, tmpfs'].map(tableOf);
  expect(readme).toContain(`takes ${Math.round(Number(rowOf(finish ?? '', '4 GiB')?.[0]))} ms for 4 GiB`);
  expect(readme).toContain(`take ${rowOf(slow ?? '', '**Landfall**')?.[0]} MiB.`);
});
