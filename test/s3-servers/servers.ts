// The S3 servers besides the one that the tests start themselves: how each is found or built, and how it is started.
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
  /** How to get the server where it is not installed. */
  takes: string;
  /** Returns the path of the program, after building it if needed; undefined when it can not be had on this machine. */
  find(): string | undefined;
  /** The command that starts the server, with its files in the directory. The server ends with the process that starts it. */
  start(
    program: string,
    directory: string,
    port: number,
    credentials: Credentials,
  ): { command: [program: string, ...parameters: string[]]; environment: Record<string, string> };
}

/** The folder is kept between runs, because a Go program takes minutes to build. */
const MADE = join(REPOSITORY, 'node_modules', '.cache', 'landfall-s3-servers');

/** Finds a program by an environment variable, in PATH or from an earlier run, or else builds it. */
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

/** Copies an executable archive, and names it without its version. */
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
    // moto accepts any credentials.
    start: (program, _directory, port) => ({ command: [program, '-H', '127.0.0.1', '-p', String(port)], environment: {} }),
  },
  {
    name: 'S3Mock',
    takes: 'Java 17 and Maven, or Java and S3MOCK_JAR',
    find: () => found('S3MOCK_JAR', 's3mock-exec.jar', mavenCopy('com.adobe.testing:s3mock:5.2.0:jar:exec')),
    // S3Mock accepts any credentials. Its second port, with TLS, is not used.
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
