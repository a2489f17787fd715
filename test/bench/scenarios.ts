import type { Scenario } from './scenario.ts';
import { access } from './scenarios/access.ts';
import { adaptiveChunks } from './scenarios/adaptive-chunks.ts';
import { archives } from './scenarios/archives.ts';
import { finishTime } from './scenarios/finish-time.ts';
import { goodput } from './scenarios/goodput.ts';
import { chunks, durability, onePatch } from './scenarios/large-file.ts';
import { largeLedger } from './scenarios/large-ledger.ts';
import { manyUploads } from './scenarios/many-uploads.ts';
import { processes } from './scenarios/processes.ts';
import { proxies } from './scenarios/proxies.ts';
import { s3 } from './scenarios/s3.ts';
import { slowUploads } from './scenarios/slow-uploads.ts';
import { smallFiles } from './scenarios/small-files.ts';

export const SCENARIOS: readonly Scenario[] = [
  onePatch,
  chunks,
  smallFiles,
  access,
  finishTime,
  archives,
  slowUploads,
  manyUploads,
  largeLedger,
  durability,
  s3,
  processes,
  goodput,
  adaptiveChunks,
  proxies,
];
