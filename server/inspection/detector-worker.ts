/** Runs in a worker thread: looks at the first bytes of untrusted content with parsers that may hang or crash on it. */
import { parentPort } from 'node:worker_threads';
import { FileTypeParser, type FileTypeResult } from 'file-type';
import { WASMagic } from 'wasmagic';
import type { Detection, DetectorAnswer, DetectorRequest } from './detector.ts';

/** What file-type tells by two or three bytes that a text or any data may start with, and containers it does not look into. */
const SECOND_OPINION: ReadonlySet<string> = new Set('cfb xml bmp exe swf mp1 mp2 ac3 dmg Z cpio arj ps stl ico cur'.split(' '));

/** One for all: the detector sends no content before the one before is answered. */
const parser = new FileTypeParser();

/** Loaded at the first need only: most content is told without it, and it takes some 40 MiB. */
let magic: Promise<WASMagic> | undefined;

async function detect(head: Uint8Array): Promise<Detection> {
  const fileType = await detectByFileType(head);
  const known: Detection = fileType === undefined ? {} : { ext: fileType.ext, mime: fileType.mime };
  if (fileType !== undefined && !SECOND_OPINION.has(fileType.ext)) return known;
  magic ??= WASMagic.create();
  return { ...known, magic: (await magic).detect(head) };
}

/** It throws for some malformed content. That is content it does not know. */
async function detectByFileType(head: Uint8Array): Promise<FileTypeResult | undefined> {
  try {
    return await parser.fromBuffer(head);
  } catch {
    return undefined;
  }
}

const port = parentPort;
if (port === null) throw new Error('The detector worker runs as a worker thread only.');

// A rejection ends the thread on purpose: after an abort, the WASM module's memory cannot be trusted.
port.on('message', async (request: DetectorRequest) => {
  const answer: DetectorAnswer = request === 'ready?' ? 'ready' : await detect(request);
  port.postMessage(answer);
});
