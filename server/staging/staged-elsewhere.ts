// Where bytes in progress are is a matter of settings: the bucket, its server, the prefix, or a disk. An upload that is under way
// has its bytes where they named it when they came.
import type { Engine } from '../ledger/engine.ts';
import { Holders } from '../ledger/holders.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { StartError } from '../runtime/start-error.ts';
import type { Staging } from './staging.ts';

const FACT = 'staging';
/** Uploads looked at: of those whose bytes are in another place none are found. */
const EVIDENCE = 100;

/** A place for bytes in progress, as the settings name it. */
export interface StagingLocation {
  /** The same in every process that serves a ledger. */
  name: string;
  /** Where the place is reached, which may differ between them; empty: here. */
  server: string;
}

/** Uploads under way have their bytes in another directory or bucket than the settings name. Set it back until they have ended. */
export class StagedElsewhere extends StartError {
  override readonly name = 'StagedElsewhere';
  override readonly code = 'ERR_STAGED_ELSEWHERE';
}

/**
 * Before anything is taken in, or taken away. A server may be reached by another address, so it is the bytes that tell: where those
 * of uploads under way are found, the start goes on. The place is remembered only then: a refused start can be repeated with either
 * settings.
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
  // What others bring from now on would not be found here.
  if (earlier.split(' at ')[0] !== name && !ledger.isAlone && (await new Holders(engine).isAnyAlive())) {
    throw new StagedElsewhere(
      `Other processes of this ledger keep bytes in progress in ${earlier}, and this one would in ${place}. Stop them first, or set it as they have it.`,
    );
  }
  const lost = earlier === place ? undefined : await findLost(engine, staging);
  if (lost !== undefined) {
    throw new StagedElsewhere(
      `Uploads are under way whose bytes are in ${earlier}; in ${place} those of ${lost} are missing. Set it back until they are done, or end them with "landfall-server restored".`,
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
    .limit(EVIDENCE)
    .execute();
  for (const { id, provenOffset, checksumOffset } of underWay) {
    if ((await staging.size(id)) < Math.max(provenOffset, checksumOffset)) return id;
  }
  return undefined;
}
