// Upload links as an operator creates them, beside a running server.
import { resolveConfig } from '../../server/config/config.ts';
import { Credentials, type NewCredential } from '../../server/ledger/credentials.ts';
import { Ledger } from '../../server/ledger/ledger.ts';
import { openEngine } from '../../server/ledger/open.ts';

export interface GivenLink {
  /** The ledger's id, with `link:` in front. */
  id: string;
  token: string;
  withdraw(): Promise<boolean>;
}

export async function giveLink(dataDir: string, given: Partial<NewCredential> = {}): Promise<GivenLink> {
  const act = async <T>(work: (credentials: Credentials) => Promise<T>): Promise<T> => {
    const engine = await openEngine(resolveConfig({ dataDir }), false);
    const ledger = new Ledger(engine);
    try {
      return await work(new Credentials(engine));
    } finally {
      await ledger.close();
    }
  };
  const limits = { actions: ['create', 'terminate'] as const, ...given.limits };
  const { id, token } = await act((credentials) =>
    credentials.add('link', { owner: '', title: 'Footage for Anna', endsAt: null, ...given, limits }),
  );
  return { id, token, withdraw: () => act((credentials) => credentials.remove(id)) };
}
