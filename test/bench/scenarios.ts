import type { Scenario } from './scenario.ts';
import { chunks, durability, onePatch } from './scenarios/large-file.ts';
import { smallFiles } from './scenarios/small-files.ts';

export const SCENARIOS: readonly Scenario[] = [onePatch, chunks, smallFiles, durability];
