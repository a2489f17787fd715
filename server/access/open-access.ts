// Which ways of being known count, by configuration.
import type { Config } from '../config/config.ts';
import { anonymousSource, type ClientAddresses } from './anonymous.ts';
import { type Authenticate, applicationSource } from './application.ts';
import { type Access, type AccessSource, accessBy } from './identity.ts';

export interface OpenAccessOptions {
  config: Config;
  /** The embedding application's rule, asked last. */
  authenticate: Authenticate | undefined;
  addresses: ClientAddresses;
}

/** @throws StartError when what is listed can't be had */
export async function openAccess({ config, authenticate, addresses }: OpenAccessOptions): Promise<Access> {
  const kinds = config.access;
  const sources: AccessSource[] = [];
  const isOpen = kinds.includes('anonymous') || config.allowAnonymous || (kinds.length === 0 && authenticate === undefined);
  const last = authenticate ? applicationSource(authenticate) : isOpen ? anonymousSource(addresses) : undefined;
  return accessBy(sources, last);
}
