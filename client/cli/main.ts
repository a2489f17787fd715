// The command `landfall`. Only this file reads arguments, environment variables and signals.
import { readFile } from 'node:fs/promises';
import { fieldsOf, parseJson } from '../json.ts';
import { stateDirectory } from '../node/store.ts';
import { type CommandLine, parseCommandLine, USAGE, UsageError } from './arguments.ts';
import { EXIT } from './exit-code.ts';
import { jsonOutput, plainOutput } from './output.ts';
import { LineProgress, noProgress, type Progress } from './progress.ts';
import { run } from './run.ts';
import { RunRecords } from './run-records.ts';
import { TerminalProgress } from './terminal-progress.ts';
import { tokenHeaders, withToken } from './token.ts';

const { stdout, stderr, env } = process;
/** 128 plus the number of the signal, as shells report it, also for a process that the signal ended. */
const SIGNALS = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;
/** Time to write resume records after a stop. */
const STOP_WITHIN_MS = 5000;

process.exitCode = await main();

async function main(): Promise<number> {
  let line: ReturnType<typeof parseCommandLine>;
  try {
    line = parseCommandLine(process.argv.slice(2));
    if (typeof line === 'object') line.options.headers = withToken(line.headers, await tokenHeaders(line.tokenFile, env));
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    stderr.write(`${error.message}\nSee landfall --help.\n`);
    return EXIT.usage;
  }
  if (line === 'help') stdout.write(`${USAGE}\n`);
  else if (line === 'version') stdout.write(`${await version()}\n`);
  else return upload(line);
  return EXIT.accepted;
}

async function upload({ files, options, json, quiet, progress: isShown }: CommandLine): Promise<number> {
  const progress = isShown ? shownProgress() : noProgress((text) => stderr.write(text), { notes: !quiet });
  const write = (text: string) => (stdout.isTTY ? progress.printAround(() => stdout.write(text)) : stdout.write(text));
  const stopping = new AbortController();
  for (const [name, code] of Object.entries(SIGNALS)) {
    process.on(name, () => {
      // Then the system ends the process at the next signal. `process.exit` would wait for threads, which a silent disk can block.
      for (const each of Object.keys(SIGNALS)) process.removeAllListeners(each);
      stopping.abort(code);
      setTimeout(() => process.kill(process.pid, name), STOP_WITHIN_MS).unref();
    });
  }
  // The reader of the results is gone (`| head -1`), so the run ends.
  stdout.on('error', () => process.exit(EXIT.failed));
  stderr.on('error', () => {});
  const directory = stateDirectory(env);
  const records = await RunRecords.open(directory);
  const code = await run({
    files,
    options: { ...options, store: records },
    output: json ? jsonOutput(write) : plainOutput(write),
    progress,
    stopping: stopping.signal,
  });
  const isStopped = stopping.signal.aborted && code === stopping.signal.reason;
  const isUnfinished = isStopped || code === EXIT.temporary;
  if (isUnfinished && records.lost > 0) stderr.write(`${isStopped ? 'Stopped. ' : ''}${lostText(records.lost, directory)}\n`);
  else if (isStopped) stderr.write(options.resume === false ? 'Stopped.\n' : 'Stopped. Run the same command again to resume.\n');
  if (isUnfinished) return code;
  for (const stream of [stdout, stderr]) await new Promise<void>((resolve) => stream.write('', () => resolve()));
  await records.removeCompleted().catch(() => {});
  process.exit(code);
}

/** Says that the next run cannot resume uploads, and why. */
function lostText(count: number, directory: string | undefined): string {
  const files = count === 1 ? '1 file' : `${count} files`;
  const reason =
    directory === undefined
      ? 'there is no home directory for the records of uploads. Name a directory in XDG_STATE_HOME'
      : `the records of uploads could not be written below ${directory}`;
  return `The same command will start over with ${files}, because ${reason}.`;
}

function shownProgress(): Progress {
  if (!stderr.isTTY || env.TERM === 'dumb') return new LineProgress((text) => stderr.write(text));
  return new TerminalProgress(stderr, { color: !env.NO_COLOR });
}

async function version(): Promise<string> {
  // One level above the source file, three levels above the built file.
  for (const path of ['../package.json', '../../../package.json']) {
    const text = await readFile(new URL(path, import.meta.url), 'utf8').catch(() => '');
    if (text !== '') return String(fieldsOf(parseJson(text)).version);
  }
  return 'unknown';
}
