// The features of an S3 server that the tests of test/s3 check, with the test files of each feature.

export interface Feature {
  name: string;
  /** Prefixes of file names in test/s3. */
  files: readonly string[];
}

export const FEATURES: readonly Feature[] = [
  { name: 'staging and storage, by their contracts', files: ['contract'] },
  { name: 'uploads, downloads, forms', files: ['upload', 'paused-download', 'silence', 'slow-senders'] },
  { name: 'network faults and late requests', files: ['faults', 'late-requests', 'refused'] },
  { name: 'recovery after crashes', files: ['recovery', 'failed-starts', 'staged-elsewhere'] },
  { name: 'part sizes, lists of many pages', files: ['part-size', 'pages'] },
  { name: 'several processes', files: ['leases', 'lost-lease', 'many-processes'] },
  { name: 'start-up and readiness checks', files: ['health'] },
  { name: 'memory', files: ['memory'] },
  { name: 'direct uploads', files: ['direct', 'guards', 'command-line', 'quotas-direct'] },
];

/** Imitates answers of other servers, so it runs only with the test server, which has every feature. */
export const IMITATING_FILE = 'other-servers.test.ts';

export interface Outcome {
  /** The name of the file below test/s3. */
  file: string;
  test: string;
  state: 'passed' | 'failed' | 'left out';
}

export function covers({ files }: Feature, file: string): boolean {
  return files.some((begin) => file.startsWith(`${begin}.`) || file.startsWith(`${begin}-`));
}

/** The text of one cell of the table. */
export function cellOf(feature: Feature, outcomes: readonly Outcome[]): string {
  const own = outcomes.filter(({ file }) => covers(feature, file));
  const count = (state: Outcome['state']) => own.filter((outcome) => outcome.state === state).length;
  const run = count('passed') + count('failed');
  if (own.length === 0) return '–';
  // A few tests are left out on every server, or check how Landfall refuses a server.
  if (count('left out') > run) return 'left out';
  return count('failed') === 0 ? 'yes' : `${count('passed')} of ${run}`;
}
