// Keys and revoked grants, written into the ledger of a server that may be running, as the operators' commands do.
import { Credentials, type NewCredential } from '../../server/ledger/credentials.ts';
import { Ledger } from '../../server/ledger/ledger.ts';
import { openEngine } from '../../server/ledger/open.ts';

export interface LedgerPlace {
  dataDir: string;
  databaseUrl?: string;
}

export async function withCredentials<T>(
  { dataDir, databaseUrl = '' }: LedgerPlace,
  act: (credentials: Credentials) => Promise<T>,
): Promise<T> {
  const engine = await openEngine({ dataDir, databaseUrl, databaseConnections: 1 }, false);
  const ledger = new Ledger(engine);
  try {
    await ledger.migrate();
    return await act(new Credentials(engine));
  } finally {
    await ledger.close();
  }
}

/** A key, with the headers that present it. */
export async function giveKey(
  place: LedgerPlace,
  key: Partial<NewCredential> = {},
): Promise<{ id: string; token: string; headers: { Authorization: string } }> {
  const given = await withCredentials(place, (credentials) =>
    credentials.add('key', { owner: 'anna', title: '', limits: {}, endsAt: null, ...key }),
  );
  return { ...given, headers: bearer(given.token) };
}

export function bearer(token: string): { Authorization: string } {
  return { Authorization: `Bearer ${token}` };
}
