// ClamAV's clamd of the distribution, with two signatures of the tests: those of the harmless file that scanners agree to detect.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { programPath } from './needs.ts';
import { testDirectory } from './temp-dir.ts';

/** The harmless test file of all scanners, written in two pieces, so that no scanner reports this source file. */
export const EICAR: Buffer = Buffer.from(`X5O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR-${'STANDARD-ANTIVIRUS-TEST-FILE!$H+H*'}`);

const MIB = 1024 * 1024;
/** The default settings of clamd in tests. */
export const CLAMD_MAX_BYTES: number = MIB;

export interface TestClamd {
  /** In the form of `LANDFALL_CLAMD`. */
  address: string;
  path: string;
  /** Resolves when it accepts connections. @param settings lines of clamd.conf that replace earlier ones */
  start(settings?: Readonly<Record<string, string>>): Promise<void>;
  /** Ends it immediately, as a crash does. */
  kill(): Promise<void>;
  /** Stops the process, which then does nothing until `SIGCONT`. */
  signal(signal: 'SIGSTOP' | 'SIGCONT'): void;
}

/** Not started yet; ended with the test. */
export function newClamd(): TestClamd {
  const directory = testDirectory();
  const database = join(directory, 'database');
  const configuration = join(directory, 'clamd.conf');
  const path = join(directory, 'clamd.sock');
  mkdirSync(database);
  writeFileSync(join(database, 'local.hdb'), '44d88612fea8a8f36de82e1278abb02f:68:Local.EICAR.MD5\n');
  writeFileSync(join(database, 'local.ndb'), `Local.EICAR.Body:0:*:${EICAR.toString('hex')}\n`);
  let child: ChildProcess | undefined;
  let settings: Readonly<Record<string, string>> = {};
  const kill = async () => {
    const ending = child;
    child = undefined;
    if (ending === undefined || ending.exitCode !== null || ending.signalCode !== null) return;
    const ended = once(ending, 'exit');
    ending.kill('SIGKILL');
    await ended;
  };
  onTestFinished(kill);
  return {
    address: `unix:${path}`,
    path,
    kill,
    signal: (signal) => void child?.kill(signal),
    async start(given = settings) {
      settings = given;
      const lines = {
        DatabaseDirectory: database,
        LocalSocket: path,
        Foreground: 'yes',
        TemporaryDirectory: directory,
        AlertExceedsMax: 'yes',
        AlertEncrypted: 'yes',
        MaxFileSize: '1M',
        MaxScanSize: '8M',
        StreamMaxLength: '2M',
        ...settings,
      };
      const text = Object.entries(lines).map(([name, value]) => `${name} ${value}\n`);
      writeFileSync(configuration, text.join(''));
      const started = spawn(programPath('clamd') ?? 'clamd', ['-c', configuration], { stdio: ['ignore', 'pipe', 'pipe'] });
      child = started;
      let said = '';
      await new Promise<void>((resolve, reject) => {
        const hear = (piece: Buffer) => {
          said += piece;
          if (said.includes('Self checking')) resolve();
        };
        started.stdout.on('data', hear);
        started.stderr.on('data', hear);
        started.once('error', reject);
        started.once('exit', (code, signal) => reject(new Error(`clamd ended (${code ?? signal}).\n${said}`)));
      });
    },
  };
}

/** @param settings lines of clamd.conf besides those of the tests */
export async function startClamd(settings: Readonly<Record<string, string>> = {}): Promise<TestClamd> {
  const clamd = newClamd();
  await clamd.start(settings);
  return clamd;
}
