// The flags of `adopt`, and the source that they name.
import { statSync } from 'node:fs';
import type { Config } from '../../config/config.ts';
import { AdoptedIds } from '../../ledger/adopted-ids.ts';
import type { Engine } from '../../ledger/engine.ts';
import { Holders } from '../../ledger/holders.ts';
import type { Ledger } from '../../ledger/ledger.ts';
import { loadWith } from '../../runtime/optional-packages.ts';
import { requireSameLocation } from '../../staging/staged-elsewhere.ts';
import { type Backend, clientOptions } from '../../storage/backend.ts';
import { StillServed } from '../restored.ts';
import { UsageError } from '../usage.ts';
import { adoptAll } from './adopt.ts';
import type { CountedBytes } from './bucket-source.ts';
import { DirectorySource } from './directory-source.ts';
import type { AdoptionSource } from './source.ts';

/** The flags as an operator types them. */
export interface AdoptFlags {
  'file-store'?: string | undefined;
  's3-store'?: string | undefined;
  tusd?: string | undefined;
  owner?: string | undefined;
  trust?: boolean | undefined;
  'dry-run'?: boolean | undefined;
  delete?: boolean | undefined;
}

/** @returns the exit code: 1 when an upload could not be adopted. @throws UsageError, StillServed, NothingToAdopt */
export async function adopt(
  engine: Engine,
  ledger: Ledger,
  backend: Backend,
  config: Config,
  flags: AdoptFlags,
  write: (text: string) => void,
): Promise<number> {
  const holders = new Holders(engine);
  if (await holders.isAnyAlive()) {
    throw new StillServed('Another process serves this ledger, or did so a moment ago. Stop it, and wait as long as LANDFALL_LEASE.');
  }
  await backend.prepare();
  await requireSameLocation(engine, ledger, backend.staging, backend.stagingLocation);
  const source = await openSource(config, flags, countedIn(ledger));
  const { staging, storage } = backend;
  const options = {
    owner: flags.owner ?? '',
    isTrusted: flags.trust ?? false,
    isDry: flags['dry-run'] ?? false,
    mayRemove: flags.delete ?? false,
  };
  const adopting = { ledger, adopted: new AdoptedIds(engine), staging, storage, config, print: (line: string) => write(`${line}\n`) };
  try {
    const { finished, unfinished, known, skipped, removed } = await adoptAll(source, options, adopting);
    const would = options.isDry ? 'would be ' : '';
    write(`${finished} finished and ${unfinished} unfinished uploads ${would}adopted, ${known} already here, ${skipped} skipped`);
    write(options.mayRemove ? `; originals removed: ${removed}\n` : '\n');
    return skipped === 0 ? 0 : 1;
  } finally {
    source.close();
  }
}

async function openSource(config: Config, flags: AdoptFlags, counted: CountedBytes): Promise<AdoptionSource> {
  const { 'file-store': directory, 's3-store': bucket, tusd } = flags;
  if ([directory, bucket, tusd].filter((source) => source !== undefined).length !== 1) {
    throw new UsageError('Name one source: --file-store DIR, --s3-store BUCKET[/PREFIX], or --tusd with either.');
  }
  if (directory !== undefined) return new DirectorySource(directory, '.json');
  if (tusd !== undefined && isDirectory(tusd)) return new DirectorySource(tusd, '.info');
  return openBucket(config, bucket ?? tusd ?? '', tusd !== undefined, counted);
}

async function openBucket(config: Config, name: string, isTusd: boolean, counted: CountedBytes): Promise<AdoptionSource> {
  const [bucket = '', ...rest] = name.replace(/^s3:\/\//, '').split('/');
  if (bucket === '' || bucket.startsWith('.')) throw new UsageError(`${name} is not a directory, and not the name of a bucket.`);
  const packages = ['@aws-sdk/client-s3', '@aws-sdk/s3-request-presigner'];
  const [{ Bucket }, { BucketSource }] = await loadWith(packages, 'adopt from a bucket', () =>
    Promise.all([import('../../s3/bucket.ts'), import('./bucket-source.ts')]),
  );
  const { s3Connections: connections } = config;
  return new BucketSource(
    new Bucket({ ...clientOptions(config), bucket, publicEndpoint: '', prefix: '', connections }),
    rest.join('/'),
    isTusd,
    counted,
  );
}

function countedIn(ledger: Ledger): CountedBytes {
  const fact = (key: string) => `adopted bytes of ${key}`;
  return {
    async of(key) {
      const bytes = await ledger.facts.get(fact(key));
      return bytes === undefined ? undefined : Number(bytes);
    },
    note: (key, bytes) => ledger.facts.set(fact(key), String(bytes)),
  };
}

function isDirectory(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}
