// Servers of S3 beside the one that the tests start by themselves: where each is found or made, and how it is started.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { programPath } from '../support/needs.ts';
import { REPOSITORY } from '../support/repository.ts';

export interface Credentials {
  accessKeyId: string;
  secretAccessKey: string;
}

export interface OtherServer {
  name: string;
  /** What is to be had by name, where it is not installed. */
  takes: string;
  /** The program, made first where that is possible; undefined: it is not to be had here. */
  find(): string | undefined;
  /** How it is started: it keeps its files in the directory, and ends with the process that starts it. */
  start(
    program: string,
    directory: string,
    port: number,
    credentials: Credentials,
  ): { command: [program: string, ...parameters: string[]]; environment: Record<string, string> };
}

/** Kept from one run to the next: a Go program takes minutes to build. */
const MADE = join(REPOSITORY, 'node_modules', '.cache', 'landfall-s3-servers');

/** An environment variable, the path, what an earlier run made, or made now. */
function found(variable: string, program: string, make: (folder: string) => void): string | undefined {
  const named = process.env[variable];
  if (named) return named;
  const made = join(MADE, 'bin', program);
  const there = programPath(program) ?? (existsSync(made) ? made : undefined);
  if (there !== undefined) return there;
  mkdirSync(join(MADE, 'bin'), { recursive: true });
  make(MADE);
  return existsSync(made) ? made : undefined;
}

function goInstall(module: string): (folder: string) => void {
  return (folder) => {
    if (programPath('go') === undefined) return;
    spawnSync('go', ['install', '-ldflags', '-s -w', module], {
      env: { ...process.env, GOBIN: join(folder, 'bin') },
      stdio: ['ignore', 2, 2],
    });
  };
}

function pipInstall(requirement: string): (folder: string) => void {
  return (folder) => {
    if (programPath('python3') === undefined) return;
    const run = (program: string, ...parameters: string[]) => spawnSync(program, parameters, { stdio: ['ignore', 2, 2] }).status === 0;
    if (run('python3', '-m', 'venv', folder)) run(join(folder, 'bin', 'pip'), 'install', requirement);
  };
}

/** An archive that runs by itself, by the name it has without a version. */
function mavenCopy(artifact: string): (folder: string) => void {
  return (folder) => {
    if (programPath('java') === undefined || programPath('mvn') === undefined) return;
    const goal = ['dependency:copy', `-Dartifact=${artifact}`, `-DoutputDirectory=${join(folder, 'bin')}`, '-Dmdep.stripVersion=true'];
    spawnSync('mvn', ['--quiet', '--batch-mode', ...goal], { cwd: folder, stdio: ['ignore', 2, 2] });
  };
}

export const OTHER_SERVERS: readonly OtherServer[] = [
  {
    name: 'MinIO',
    takes: 'Go, or MINIO_BIN',
    find: () => found('MINIO_BIN', 'minio', goInstall('github.com/minio/minio@latest')),
    start: (program, directory, port, { accessKeyId, secretAccessKey }) => ({
      command: [program, 'server', '--quiet', '--address', `127.0.0.1:${port}`, join(directory, 'data')],
      environment: {
        MINIO_ROOT_USER: accessKeyId,
        MINIO_ROOT_PASSWORD: secretAccessKey,
        MINIO_BROWSER: 'off',
        MINIO_UPDATE: 'off',
        HOME: directory,
      },
    }),
  },
  {
    name: 'versitygw',
    takes: 'Go, or VERSITYGW_BIN',
    find: () => found('VERSITYGW_BIN', 'versitygw', goInstall('github.com/versity/versitygw/cmd/versitygw@v1.8.0')),
    start(program, directory, port, { accessKeyId, secretAccessKey }) {
      const data = join(directory, 'data');
      mkdirSync(data);
      return {
        command: [program, '--port', `127.0.0.1:${port}`, '--quiet', 'posix', data],
        environment: { ROOT_ACCESS_KEY: accessKeyId, ROOT_SECRET_KEY: secretAccessKey },
      };
    },
  },
  {
    name: 'moto',
    takes: 'Python 3, or MOTO_SERVER_BIN',
    find: () => found('MOTO_SERVER_BIN', 'moto_server', pipInstall('moto[server,s3]==5.2.1')),
    // It takes any credentials.
    start: (program, _directory, port) => ({ command: [program, '-H', '127.0.0.1', '-p', String(port)], environment: {} }),
  },
  {
    name: 'S3Mock',
    takes: 'Java 17 and Maven, or Java and S3MOCK_JAR',
    find: () => found('S3MOCK_JAR', 's3mock-exec.jar', mavenCopy('com.adobe.testing:s3mock:5.2.0:jar:exec')),
    // It takes any credentials. Its other port, with TLS, is of no use here.
    start: (archive, directory, port) => ({
      command: [
        'java',
        '-jar',
        archive,
        '--server.port=0',
        `--http.port=${port}`,
        `--com.adobe.testing.s3mock.store.root=${join(directory, 'data')}`,
      ],
      environment: {},
    }),
  },
];
