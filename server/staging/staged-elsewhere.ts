// Checks at the start that bytes in progress are where the settings say (the bucket, its server, the prefix, or a disk). The bytes of
// an unfinished upload are where the settings pointed when they arrived.
import type { Engine } from '../ledger/engine.ts';
import { Holders } from '../ledger/holders.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { StartError } from '../runtime/start-error.ts';
import type { Staging } from './staging.ts';

const FACT = 'staging';
/** Number of uploads whose bytes are looked for. A sample is enough: when the bytes are elsewhere, those of no upload are found. */
const SAMPLE = 100;

/** The location of bytes in progress, from the settings. */
export interface StagingLocation {
  /** Must be the same in every process that serves the ledger. */
  name: string;
  /** Address of the location's server, which may differ between processes; empty: this machine. */
  server: string;
}

/**
 * Unfinished uploads have their bytes in another directory or bucket than the settings name. Restore the settings until they have
 * ended.
 */
export class StagedElsewhere extends StartError {
  override readonly name = 'StagedElsewhere';
  override readonly code = 'ERR_STAGED_ELSEWHERE';
}

/**
 * Call before any bytes are written or removed. The same server may have several addresses, so the bytes decide: when those of
 * unfinished uploads are found, the start continues. Only then is the location written to the ledger, so that a refused start can be
 * repeated with the old or the new settings.
 *
 * @throws StagedElsewhere
 */
export async function requireSameLocation(
  engine: Engine,
  ledger: Ledger,
  staging: Staging,
  { name, server }: StagingLocation,
): Promise<void> {
  const place = server === '' ? name : `${name} at ${server}`;
  const remembered = await ledger.facts.get(FACT);
  const earlier = remembered ?? place;
  // This process would not find the bytes that other processes store from now on.
  if (earlier.split(' at ')[0] !== name && !ledger.isAlone && (await new Holders(engine).isAnyAlive())) {
    throw new StagedElsewhere(
      `Other processes of this ledger keep bytes in progress in ${earlier}, and this one would in ${place}. Stop them first, or use their settings.`,
    );
  }
  const lost = earlier === place ? undefined : await findLost(engine, staging);
  if (lost !== undefined) {
    throw new StagedElsewhere(
      `Unfinished uploads have their bytes in ${earlier}; in ${place} those of ${lost} are missing. Restore the settings until they are done, or end them with "landfall-server restored".`,
    );
  }
  if (remembered !== place) await ledger.facts.set(FACT, place);
}

/** An upload with fewer bytes than the ledger counts. */
async function findLost({ db }: Engine, staging: Staging): Promise<string | undefined> {
  const underWay = await db
    .selectFrom('uploads')
    .select(['id', 'provenOffset', 'checksumOffset'])
    .where('state', 'in', ['receiving', 'inspecting'])
    .where((row) => row.or([row('provenOffset', '>', 0), row('checksumOffset', '>', 0)]))
    .limit(SAMPLE)
    .execute();
  for (const { id, provenOffset, checksumOffset } of underWay) {
    if ((await staging.size(id)) < Math.max(provenOffset, checksumOffset)) return id;
  }
  return undefined;
}
