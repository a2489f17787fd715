// The import order of the server's rooms, as docs/architecture.md draws it: each room may import only rooms to its right.
import { globSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { expect, it } from 'vitest';
import { REPOSITORY } from '../support/repository.ts';

/** From left to right. Rooms of one line may import each other; the linter rules out cycles. */
const ORDER = [
  ['entry'],
  ['main', 'index'],
  ['app'],
  ['assembly'],
  ['hooks'],
  ['operator'],
  ['http', 'tus', 'forms'],
  ['lift'],
  ['access', 'notify'],
  ['finish'],
  ['inspection'],
  ['storage'],
  ['staging'],
  ['locking'],
  ['s3'],
  ['ledger'],
  ['disk'],
  ['runtime', 'config'],
  // The separate entry that applications load without the server.
  ['grants'],
];
const RANKS = new Map(ORDER.flatMap((rooms, rank) => rooms.map((room) => [room, rank] as const)));

interface Arrow {
  from: string;
  to: string;
}

function arrowsOf(file: string): Arrow[] {
  const source = readFileSync(join(REPOSITORY, file), 'utf8');
  const specifiers = source.matchAll(/(?:^(?:import|export)\b[^;]*?\bfrom |\bimport\()'(\.[^']+)'/gm);
  return [...specifiers].map(([, path = '']) => ({ from: file, to: relative(REPOSITORY, join(REPOSITORY, dirname(file), path)) }));
}

function roomOf(file: string): string {
  return file.split('/')[1]?.replace(/\.ts$/, '') ?? '';
}

const arrows = globSync('server/**/*.ts', { cwd: REPOSITORY, exclude: (name) => name.includes('dist') }).flatMap(arrowsOf);
const inServer = arrows.filter(({ to }) => to.startsWith('server/'));

it('every file of the server is in a room of the order', () => {
  const files = new Set(arrows.flatMap(({ from, to }) => [from, to]).filter((file) => file.startsWith('server/')));
  expect(files.size).toBeGreaterThan(100);
  expect([...files].filter((file) => !RANKS.has(roomOf(file)))).toEqual([]);
});

it('no room imports one to its left', () => {
  const rank = (file: string) => RANKS.get(roomOf(file)) ?? -1;
  const back = inServer.filter(({ from, to }) => rank(from) > rank(to));
  expect(back.map(({ from, to }) => `${from} → ${to}`)).toEqual([]);
});

it('only tus/ imports @tus/server, and only staging/store/ imports its stores', () => {
  const users = globSync('server/**/*.ts', { cwd: REPOSITORY, exclude: (name) => name.includes('dist') }).filter((file) =>
    /from '@tus\//.test(readFileSync(join(REPOSITORY, file), 'utf8')),
  );
  const others = users.filter((file) => roomOf(file) !== 'tus');
  expect(others.filter((file) => !file.startsWith('server/staging/store/'))).toEqual([]);
  expect(others.filter((file) => /from '@tus\/server'/.test(readFileSync(join(REPOSITORY, file), 'utf8')))).toEqual([]);
});
