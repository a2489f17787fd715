// What the tests of test/s3 say of a server, by the files that say it.

export interface Feature {
  name: string;
  /** Beginnings of names in test/s3. */
  files: readonly string[];
}

export const FEATURES: readonly Feature[] = [
  { name: 'staging and storage, by their contracts', files: ['contract'] },
  { name: 'uploads, downloads, forms', files: ['upload', 'paused-download', 'silence', 'slow-senders'] },
  { name: 'faults of the line and late requests', files: ['faults', 'late-requests', 'refused'] },
  { name: 'crashes, and what they leave', files: ['recovery', 'failed-starts', 'staged-elsewhere'] },
  { name: 'part sizes, lists of many pages', files: ['part-size', 'pages'] },
  { name: 'several processes', files: ['leases', 'lost-lease', 'many-processes'] },
  { name: 'what a start and readiness say', files: ['health'] },
  { name: 'memory', files: ['memory'] },
  { name: 'uploads past the server', files: ['direct', 'guards', 'command-line', 'quotas-direct'] },
];

/** Puts what other servers answer into the mouth of the one here, which must be able to do it all. */
export const OF_NO_SERVER = 'other-servers.test.ts';

export interface Outcome {
  /** Its name below test/s3. */
  file: string;
  test: string;
  state: 'passed' | 'failed' | 'left out';
}

export function isOf({ files }: Feature, file: string): boolean {
  return files.some((begin) => file.startsWith(`${begin}.`) || file.startsWith(`${begin}-`));
}

/** In one cell of the table. */
export function tell(feature: Feature, outcomes: readonly Outcome[]): string {
  const own = outcomes.filter(({ file }) => isOf(feature, file));
  const count = (state: Outcome['state']) => own.filter((outcome) => outcome.state === state).length;
  const run = count('passed') + count('failed');
  if (own.length === 0) return '–';
  // A few of them are left out everywhere, or say how a server is refused.
  if (count('left out') > run) return 'left out';
  return count('failed') === 0 ? 'yes' : `${count('passed')} of ${run}`;
}
