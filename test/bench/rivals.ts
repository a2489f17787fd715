// The servers measured beside Landfall, how each is started, and where it stores files.
import { createHmac } from 'node:crypto';
import { type Dirent, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { createGrant } from '../../server/grants.ts';
import { goProgram, hasGo, TUSD_MODULE } from '../support/go-program.ts';
import { programPath } from '../support/needs.ts';
import { REPOSITORY } from '../support/repository.ts';
import { writeNginxConfiguration } from './nginx-configuration.ts';
import { type Send, sendByCreation, sendByForm, sendByLandfallForm, sendByPut, sendByTus, sendByUploadx } from './senders.ts';
import type { Command } from './server-process.ts';

export interface Rival {
  readonly name: string;
  /** Sends a file in requests up to a given size; a form and a PUT are one request, whatever the size. */
  readonly send: Send;
  /** Sends a small file in the fewest requests that the rival allows. */
  readonly sendSmall: Send;
  readonly inChunks: boolean;
  /** Headers that identify the sender, sent with every request. */
  readonly headers?: Readonly<Record<string, string>>;
  command(directory: string, port: number): Command;
  /** Why the rival can't be measured on this machine. */
  missing?(): string | undefined;
  /** The folders in which the rival stores files. */
  stores(directory: string): string[];
}

/** The flags that `npm start` gives to Node, because operators run Landfall so. */
const START_FLAGS = startFlags(readFileSync(join(REPOSITORY, 'package.json'), 'utf8'));

const NODE_TUS = { send: sendByTus, sendSmall: sendByCreation, inChunks: true };
const ONE_REQUEST = { send: sendByForm, sendSmall: sendByForm, inChunks: false };

/** Landfall with default settings, except those in `environment`. */
export function landfall(name: string, environment: Readonly<Record<string, string>> = {}): Rival {
  return {
    name,
    ...NODE_TUS,
    command: (directory, port) => ({
      program: process.execPath,
      parameters: [...START_FLAGS, join(REPOSITORY, 'server/main.ts')],
      environment: { ...landfallEnvironment(directory, port), ...environment },
    }),
    // The folders of days stay, as on a server in use, so that an upload creates only its own folder.
    stores: (directory) => folders(join(directory, 'files'), 3),
  };
}

/** Landfall with a second port that reports on its event loop. */
export function probedLandfall(
  environment: Readonly<Record<string, string>> = {},
): (directory: string, port: number, probePort: number) => Command {
  return (directory, port, probePort) => ({
    program: process.execPath,
    parameters: [...START_FLAGS, join(REPOSITORY, 'test/bench/servers/landfall.ts')],
    environment: { ...landfallEnvironment(directory, port), ...probeEnvironment(directory, port, probePort), ...environment },
  });
}

export function probedStock(directory: string, port: number, probePort: number): Command {
  return nodeServer('stock-tus', directory, port, probePort);
}

export const LANDFALL: Rival = landfall('**Landfall**');

const SECRET = 'a-secret-of-the-benchmark-and-of-nothing-else';

/** A grant, as an application issues it. */
export const GRANTED: Rival = {
  ...landfall('Landfall, by a grant', { LANDFALL_ACCESS: 'grants', LANDFALL_GRANT_SECRETS: SECRET }),
  headers: { Authorization: `Bearer ${createGrant(SECRET, { owner: 'anna', expires: '1d' })}` },
};

/** Landfall, which gets each file as a browser sends a form. */
export const FORMS: Rival = { ...landfall('Landfall, a form'), sendSmall: sendByLandfallForm };

/** A token, as an identity provider issues it. */
export const SIGNED_IN: Rival = {
  ...landfall('Landfall, by a JWT', { LANDFALL_ACCESS: 'jwt', LANDFALL_JWT_SECRET: SECRET }),
  headers: { Authorization: `Bearer ${signedToken({ sub: 'anna', exp: Math.floor(Date.now() / 1000) + 86_400 })}` },
};

export const STOCK: Rival = node('Express + @tus/server', 'stock-tus', NODE_TUS);

export const STOCK_CHECKSUM: Rival = node('Express + @tus/server, CRC-32', 'stock-tus', NODE_TUS, { BENCH_CHECKSUM: '1' });

export const MULTER: Rival = node('Express + multer', 'multer', ONE_REQUEST);

export const FORMIDABLE: Rival = node('formidable', 'formidable', ONE_REQUEST);

export const UPLOADX: Rival = node('Express + @uploadx/core', 'uploadx', { send: sendByUploadx, sendSmall: sendByUploadx, inChunks: true });

/** Writes the bytes, makes two transactions, and does nothing else. */
export function barePostgres(databaseUrl: string): Rival {
  return node('the bytes and two transactions', 'bare-postgres', NODE_TUS, { BENCH_DATABASE_URL: databaseUrl });
}

export const NGINX: Rival = {
  name: 'nginx, PUT',
  send: sendByPut,
  sendSmall: sendByPut,
  inChunks: false,
  missing: () => (programPath('nginx') === undefined ? 'nginx is not installed' : undefined),
  command: (directory, port) => ({
    program: programPath('nginx') ?? 'nginx',
    parameters: ['-p', directory, '-c', writeNginxConfiguration(directory, port)],
  }),
  stores: (directory) => [join(directory, 'uploads/files')],
};

export const TUSD: Rival = {
  name: 'tusd',
  send: sendByTus,
  sendSmall: sendByCreation,
  inChunks: true,
  missing: () => (process.env.TUSD_BIN || hasGo ? undefined : 'TUSD_BIN names no tusd, and there is no Go to make one with'),
  command: (directory, port) => ({
    program: process.env.TUSD_BIN || goProgram(TUSD_MODULE),
    parameters: ['-host', '127.0.0.1', '-port', String(port), '-upload-dir', join(directory, 'uploads'), '-base-path', '/files'],
  }),
  stores: (directory) => [join(directory, 'uploads')],
};

function node(
  name: string,
  script: string,
  protocol: Pick<Rival, 'send' | 'sendSmall' | 'inChunks'>,
  environment: Readonly<Record<string, string>> = {},
): Rival {
  return {
    name,
    ...protocol,
    command(directory, port) {
      const command = nodeServer(script, directory, port);
      return { ...command, environment: { ...command.environment, ...environment } };
    },
    stores: (directory) => [join(directory, 'uploads')],
  };
}

function nodeServer(script: string, directory: string, port: number, probePort?: number): Command {
  return {
    program: process.execPath,
    parameters: [join(REPOSITORY, `test/bench/servers/${script}.ts`)],
    environment: probeEnvironment(directory, port, probePort),
  };
}

function probeEnvironment(directory: string, port: number, probePort?: number): Record<string, string> {
  return {
    BENCH_DIRECTORY: directory,
    BENCH_PORT: String(port),
    ...(probePort === undefined ? {} : { BENCH_PROBE_PORT: String(probePort) }),
  };
}

/** A JSON web token by RFC 7519, signed with HS256. */
function signedToken(claims: object): string {
  const signed = [{ alg: 'HS256', typ: 'JWT' }, claims].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.');
  return `${signed}.${createHmac('sha256', SECRET).update(signed).digest('base64url')}`;
}

function startFlags(packageJson: string): string[] {
  const { scripts } = JSON.parse(packageJson) as { scripts: { start: string } };
  const [, flags = ''] = /\bnode ((?:--\S+ )*)server\/main\.ts/.exec(scripts.start) ?? [];
  return flags.split(' ').filter((flag) => flag !== '');
}

function landfallEnvironment(directory: string, port: number): Record<string, string> {
  return { LANDFALL_DATA_DIR: directory, LANDFALL_PORT: String(port) };
}

/** Removes the files that a rival stored, and nothing else. */
export function clearStores(rival: Rival, directory: string): void {
  for (const store of rival.stores(directory)) {
    for (const entry of entriesOf(store)) rmSync(join(store, entry.name), { recursive: true, force: true });
  }
}

/** The size of all files that a rival stored, in bytes. */
export function storedBytes(rival: Rival, directory: string): number {
  let bytes = 0;
  for (const store of rival.stores(directory)) {
    for (const entry of readdirSync(store, { withFileTypes: true, recursive: true })) {
      if (entry.isFile()) bytes += statSync(join(entry.parentPath, entry.name)).size;
    }
  }
  return bytes;
}

/** The folders `depth` levels below a path. */
function folders(path: string, depth: number): string[] {
  if (depth === 0) return [path];
  return entriesOf(path).flatMap((entry) => (entry.isDirectory() ? folders(join(path, entry.name), depth - 1) : []));
}

function entriesOf(path: string): Dirent[] {
  try {
    return readdirSync(path, { withFileTypes: true });
  } catch {
    return [];
  }
}
