// The servers that the scenarios of slow uploads look at, one after the other in each round.
import type { Probed } from './probed-server.ts';
import { probedLandfall, probedStock } from './rivals.ts';
import type { Settings } from './scenario.ts';

export interface ProbedRival<Found> {
  name: string;
  probed: Probed;
  /** What each round found. */
  found: Found[];
}

/** Landfall, which is first, and its rival. */
export function probedRivals<Found>(): ProbedRival<Found>[] {
  return [
    { name: '**Landfall**', probed: probedLandfall(), found: [] },
    { name: 'Express + @tus/server', probed: probedStock, found: [] },
  ];
}

/** Looks at Landfall and at the chosen rivals in each round. Resolves to a note for each rival that failed: that is a result, too. */
export async function lookInTurn<Found>(
  settings: Settings,
  rivals: readonly ProbedRival<Found>[],
  look: (probed: Probed) => Promise<Found>,
): Promise<string[]> {
  const [ours] = rivals;
  const chosen = rivals.filter(
    (rival) => rival === ours || settings.rivals.length === 0 || settings.rivals.some((part) => rival.name.includes(part)),
  );
  const notes: string[] = [];
  for (let round = 1; round <= settings.rounds; round++) {
    for (const rival of chosen) {
      try {
        rival.found.push(await look(rival.probed));
        settings.log(`round ${round}, ${rival.name}: ${JSON.stringify(rival.found.at(-1))}`);
      } catch (error) {
        if (rival === ours) throw error;
        notes.push(`${rival.name}, round ${round}: ${error instanceof Error ? error.message : String(error)}`);
      }
    }
  }
  return notes;
}
