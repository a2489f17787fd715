// What the suites need on the machine besides Node: which files need it, how to detect it, and how to install it.
import { spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync, readdirSync } from 'node:fs';
import { delimiter, join } from 'node:path';

export interface Need {
  what: string;
  files: readonly string[];
  /** Debian's packages. */
  packages: readonly string[];
  /** The message for a person whose machine does not have it. */
  takes: string;
  isMet(): boolean;
}

/** The path of a program, or undefined. Includes the administrators' folders, which are not in the path of other users. */
export function programPath(name: string): string | undefined {
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/sbin'];
  return folders.map((folder) => join(folder, name)).find(isExecutable);
}

/** `CHROMIUM_BIN`, or the names that distributions use. */
export function chromiumPath(): string | undefined {
  const { CHROMIUM_BIN } = process.env;
  if (CHROMIUM_BIN) return isExecutable(CHROMIUM_BIN) ? CHROMIUM_BIN : undefined;
  return programPath('chromium') ?? programPath('chromium-browser') ?? programPath('google-chrome');
}

/** `FIREFOX_BIN`, or the names that distributions use. */
export function firefoxPath(): string | undefined {
  const { FIREFOX_BIN } = process.env;
  if (FIREFOX_BIN) return isExecutable(FIREFOX_BIN) ? FIREFOX_BIN : undefined;
  return programPath('firefox-esr') ?? programPath('firefox');
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

const LIBRARIES = '/usr/lib';

/** The library that fakes a program's wall clock, in the build for programs with threads. */
export function faketimePath(): string | undefined {
  if (!existsSync(LIBRARIES)) return undefined;
  const paths = readdirSync(LIBRARIES).map((folder) => join(LIBRARIES, folder, 'faketime', 'libfaketimeMT.so.1'));
  return paths.find((path) => existsSync(path));
}

const POSTGRES_RELEASES = '/usr/lib/postgresql';

/** Debian's directories of PostgreSQL's programs, which are not in the path; the newest release comes first. */
export function postgresPrograms(): string | undefined {
  if (!existsSync(POSTGRES_RELEASES)) return undefined;
  const folders = readdirSync(POSTGRES_RELEASES)
    .sort((a, b) => Number(b) - Number(a))
    .map((release) => join(POSTGRES_RELEASES, release, 'bin'));
  return folders.find((folder) => isExecutable(join(folder, 'initdb')));
}

/** The Python that Debian's packages belong to; another may come first in the path. */
export const SYSTEM_PYTHON = '/usr/bin/python3';

function succeeds(command: string, ...parameters: string[]): boolean {
  const path = programPath(command);
  return path !== undefined && spawnSync(path, parameters, { stdio: 'ignore', timeout: 10_000 }).status === 0;
}

/** Ceph's programs, and the one that ends them with the tests. */
export const S3_PROGRAMS: string[] = ['ceph', 'monmaptool', 'ceph-mon', 'ceph-osd', 'radosgw', 'radosgw-admin', 'setpriv'];

/** Containers often do not allow it, even for root. */
function canMakeNetworks(): boolean {
  const name = `landfall-probe-${process.pid}`;
  const isMade = succeeds('ip', 'netns', 'add', name);
  const isUsable = isMade && succeeds('ip', '-n', name, 'link', 'set', 'lo', 'up');
  return isMade && succeeds('ip', 'netns', 'delete', name) && isUsable;
}

const isRoot = process.getuid?.() === 0;

export const NEEDS: readonly Need[] = [
  {
    what: 'tests in a real browser',
    files: ['test/browser/**', 'test/**/*.chromium.test.ts'],
    packages: ['chromium'],
    takes: 'Chromium (package chromium, or CHROMIUM_BIN)',
    isMet: () => chromiumPath() !== undefined,
  },
  {
    what: 'tests in Firefox',
    files: ['test/**/*.firefox.test.ts'],
    packages: ['firefox-esr'],
    takes: 'Firefox (package firefox-esr, or FIREFOX_BIN)',
    isMet: () => firefoxPath() !== undefined,
  },
  {
    what: 'tests behind nginx',
    files: ['test/**/*.nginx.test.ts'],
    packages: ['nginx-light', 'openssl'],
    takes: 'nginx and openssl (packages nginx-light, openssl)',
    isMet: () => programPath('nginx') !== undefined && programPath('openssl') !== undefined,
  },
  {
    what: 'tests behind HAProxy',
    files: ['test/**/*.haproxy.test.ts'],
    packages: ['haproxy', 'openssl'],
    takes: 'HAProxy and openssl (packages of these names)',
    isMet: () => programPath('haproxy') !== undefined && programPath('openssl') !== undefined,
  },
  {
    what: 'tests behind Caddy',
    files: ['test/**/*.caddy.test.ts'],
    packages: ['caddy', 'openssl'],
    takes: 'Caddy and openssl (packages of these names, or CADDY_BIN)',
    isMet: () => (Boolean(process.env.CADDY_BIN) || programPath('caddy') !== undefined) && programPath('openssl') !== undefined,
  },
  {
    what: 'tests with PostgreSQL',
    files: ['test/**/*.postgres.test.ts', 'test/**/*.postgres.nginx.test.ts', 'test/**/*.postgres.faketime.test.ts'],
    packages: ['postgresql'],
    takes: 'PostgreSQL (package postgresql)',
    isMet: () => postgresPrograms() !== undefined,
  },
  {
    what: 'tests of back-up and restore',
    files: ['test/**/*.backup.test.ts', 'test/**/*.backup.postgres.test.ts'],
    packages: ['sqlite3', 'rsync'],
    takes: 'sqlite3 and rsync (packages of these names)',
    isMet: () => programPath('sqlite3') !== undefined && programPath('rsync') !== undefined,
  },
  {
    what: 'tests with the system calls failing',
    files: ['test/faults/**/*.strace.*'],
    packages: ['strace'],
    takes: 'strace, allowed to trace (package strace)',
    isMet: () => succeeds('strace', '-f', '-o', '/dev/null', 'true'),
  },
  {
    what: 'tests with the clock set',
    files: ['test/**/*.faketime.test.ts'],
    packages: ['libfaketime'],
    takes: 'libfaketime (package libfaketime)',
    isMet: () => faketimePath() !== undefined,
  },
  {
    what: 'tests with a power cut',
    files: ['test/faults/**/*.power-cut.*'],
    packages: ['e2fsprogs', 'mount'],
    takes: 'root and loop devices (packages e2fsprogs, mount)',
    isMet: () => isRoot && programPath('mkfs.ext4') !== undefined && existsSync('/dev/loop-control') && succeeds('losetup', '-f'),
  },
  {
    what: 'tests with a full disk',
    files: ['test/faults/**/*.tmpfs.*'],
    packages: ['mount'],
    takes: 'root, to mount a small tmpfs (package mount)',
    isMet: () => isRoot && programPath('mount') !== undefined,
  },
  {
    what: 'tests with an S3 server',
    files: ['test/s3/**', 'test/**/*.s3.test.ts'],
    packages: ['ceph-mon', 'ceph-osd', 'radosgw'],
    takes: 'Ceph (packages ceph-mon, ceph-osd, radosgw)',
    isMet: () => Boolean(process.env.LANDFALL_TEST_S3_ENDPOINT) || S3_PROGRAMS.every((name) => programPath(name) !== undefined),
  },
  {
    what: 'tests with a scanner for malware',
    files: ['test/**/*.clamd.test.ts'],
    packages: ['clamav-daemon'],
    takes: 'clamd (package clamav-daemon)',
    isMet: () => programPath('clamd') !== undefined,
  },
  {
    what: 'tests in network namespaces',
    files: ['test/**/*.netns.test.ts'],
    packages: ['iproute2', 'chromium'],
    takes: 'root, allowed to make network namespaces, and Chromium (packages iproute2, chromium)',
    isMet: () => isRoot && programPath('tc') !== undefined && chromiumPath() !== undefined && canMakeNetworks(),
  },
  {
    what: 'tests on a terminal',
    files: ['test/client/**/*.pty.test.ts'],
    packages: ['bsdutils'],
    takes: 'script(1) (package bsdutils)',
    isMet: () => succeeds('script', '-qfec', 'true', '/dev/null'),
  },
  {
    what: 'tests with Python',
    files: ['test/**/*.python.test.ts'],
    packages: ['python3', 'python3-pip', 'python3-jwt', 'python3-cryptography'],
    takes: "the system's Python with pip and PyJWT (packages python3, python3-pip, python3-jwt, python3-cryptography)",
    isMet: () => succeeds('env', SYSTEM_PYTHON, '-c', 'import jwt, cryptography') && succeeds('python3', '-m', 'pip', '--version'),
  },
  {
    what: 'tests with programs in Go',
    files: ['test/**/*.go.test.ts'],
    packages: ['golang-go'],
    takes: 'Go (package golang-go)',
    isMet: () => programPath('go') !== undefined,
  },
  {
    what: 'tests with programs in PHP',
    files: ['test/**/*.php.test.ts'],
    packages: ['php-cli'],
    takes: 'PHP (package php-cli)',
    isMet: () => programPath('php') !== undefined,
  },
  {
    what: 'tests with curl',
    files: ['test/**/*.curl.test.ts'],
    packages: ['curl'],
    takes: 'curl (package curl)',
    isMet: () => programPath('curl') !== undefined,
  },
];
