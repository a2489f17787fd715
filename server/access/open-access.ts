// Which ways of being known count, by configuration.
import { type Config, ConfigError } from '../config/config.ts';
import type { AccessKind } from '../config/setting-kinds.ts';
import type { Credentials } from '../ledger/credentials.ts';
import { type AccessUrl, requireWholeAccessUrl } from './access-url.ts';
import { anonymousSource, type ClientAddresses } from './anonymous.ts';
import { type Authenticate, applicationSource } from './application.ts';
import { bearerTokens, type TokenKind } from './bearer-tokens.ts';
import { FreshCredentials } from './fresh-credentials.ts';
import { grantTokens } from './grants.ts';
import { Guesses } from './guesses.ts';
import { type Access, type AccessSource, accessBy } from './identity.ts';
import { jwtTokens, PUBLIC_KEY_ALGORITHMS, SECRET_ALGORITHMS } from './jwt.ts';
import { keysAt, keysInFile, secretKey } from './jwt-keys.ts';
import { keyTokens } from './keys.ts';
import { linkTokens } from './links.ts';
import { isLoopbackName } from './origins.ts';

export interface OpenAccessOptions {
  config: Config;
  /** The embedding application's rule, asked last. */
  authenticate: Authenticate | undefined;
  addresses: ClientAddresses;
  credentials: Credentials;
  /** Undefined: LANDFALL_ACCESS does not list it. */
  accessUrl: AccessUrl | undefined;
  /** The server has the address to itself that the settings name. */
  isStandalone: boolean;
}

/** @throws StartError when what is listed can't be had, or nothing says who may upload */
export async function openAccess(options: OpenAccessOptions): Promise<Access> {
  const { config, authenticate, addresses, credentials, accessUrl, isStandalone } = options;
  const isChosen = config.access.length > 0;
  const counts = (kind: AccessKind) => (isChosen ? config.access.includes(kind) : kind === 'keys' || kind === 'links');
  if (isStandalone && authenticate === undefined) requireChoice(config, !(await credentials.hasEverHad('key')));

  const fresh = new FreshCredentials(credentials);
  const kinds: TokenKind[] = [];
  if (counts('keys')) kinds.push(keyTokens(fresh));
  if (counts('links')) kinds.push(linkTokens(fresh, config.expireAfterMs + config.keepRecordsForMs));
  if (counts('grants')) kinds.push(await grantsOf(config, fresh));
  if (counts('jwt')) kinds.push(await jwtOf(config));
  const isOpen = config.allowAnonymous || counts('anonymous');
  const anonymous = anonymousSource(addresses);
  const last = authenticate
    ? applicationSource(authenticate)
    : isOpen
      ? anonymous
      : isChosen
        ? undefined
        : untilThereIsAKey(anonymous, credentials);
  // Where nothing is set, tokens may be for the application in front of us, which looked at them.
  const isLast = authenticate === undefined && accessUrl === undefined && (isStandalone || isChosen);
  const sources = [bearerTokens({ kinds, guesses: new Guesses(addresses), isLast })];
  if (accessUrl !== undefined) sources.push(accessUrl.source(last === undefined));
  return accessBy(sources, last);
}

/**
 * A server that others reach has to be told who may upload.
 * @param hasNoKeys keys that were given out say it, too
 * @throws ConfigError
 */
export function requireChoice({ access, allowAnonymous, host }: Config, hasNoKeys: boolean): void {
  if (access.length > 0 || allowAnonymous || isLoopbackName(host) || !hasNoKeys) return;
  throw new ConfigError(
    `LANDFALL_HOST: ${host} can be reached by others, and nothing says who may upload. Give out keys (landfall-server key add OWNER), set LANDFALL_ACCESS (docs/access.md), or LANDFALL_ALLOW_ANONYMOUS=true to let everyone.`,
  );
}

/**
 * What only the settings together tell. A way of being known that is set and not listed would leave a server open that was meant to
 * be closed.
 * @throws ConfigError
 */
export function requireWholeAccess({ access, ...config }: Config): void {
  requireWholeAccessUrl({ access, ...config });
  const { jwtJwksUrl, jwtSecret, jwtPublicKeyFile, jwtIssuer, jwtAudience, grantSecrets, grantPublicKeyFiles } = config;
  const jwtKeys = [jwtJwksUrl, jwtSecret, jwtPublicKeyFile].filter((value) => value !== '').length;
  const grantKeys = grantSecrets.length + grantPublicKeyFiles.length;
  const isListed = (kind: AccessKind, isSet: boolean) => {
    if (isSet && !access.includes(kind)) throw new ConfigError(`LANDFALL_ACCESS: Write ${kind} into it: there are settings for it.`);
    return access.includes(kind);
  };
  if (isListed('jwt', jwtKeys > 0 || jwtIssuer !== '' || jwtAudience.length > 0) && jwtKeys !== 1) {
    throw new ConfigError('LANDFALL_ACCESS: For jwt set one of LANDFALL_JWT_JWKS_URL, LANDFALL_JWT_SECRET, LANDFALL_JWT_PUBLIC_KEY_FILE.');
  }
  if (jwtJwksUrl !== '' && jwtIssuer === '') {
    throw new ConfigError('LANDFALL_JWT_ISSUER: Write whose tokens count. Providers publish the keys of several issuers in one place.');
  }
  if (isListed('grants', grantKeys > 0) && grantKeys === 0) {
    throw new ConfigError('LANDFALL_ACCESS: For grants set LANDFALL_GRANT_SECRETS or LANDFALL_GRANT_PUBLIC_KEY_FILES.');
  }
}

/** Where nothing is set: a server that had a key once does not open any more, from the second on in which it got it. */
function untilThereIsAKey(anonymous: AccessSource, credentials: Credentials): AccessSource {
  let isClosed = false;
  let lookedMs = Number.NEGATIVE_INFINITY;
  return {
    async identify(request, intent, id) {
      const now = performance.now();
      if (!isClosed && now - lookedMs >= 1000) {
        isClosed = await credentials.hasEverHad('key');
        lookedMs = now;
      }
      return isClosed ? undefined : anonymous.identify(request, intent, id);
    },
  };
}

function grantsOf(config: Config, credentials: FreshCredentials): Promise<TokenKind> {
  const { grantSecrets: secrets, grantPublicKeyFiles: publicKeyFiles, expireAfterMs, keepRecordsForMs } = config;
  return grantTokens({ secrets, publicKeyFiles, credentials, graceMs: expireAfterMs + keepRecordsForMs });
}

async function jwtOf(config: Config): Promise<TokenKind> {
  const { jwtJwksUrl, jwtSecret, jwtPublicKeyFile, jwtIssuer: issuer, jwtAudience: audiences, jwtOwnerClaim: ownerClaim } = config;
  const claims = { issuer, audiences, ownerClaim };
  if (jwtSecret !== '') return jwtTokens({ keys: secretKey(jwtSecret), algorithms: SECRET_ALGORITHMS, ...claims });
  const keys = jwtJwksUrl === '' ? await keysInFile(jwtPublicKeyFile, 'LANDFALL_JWT_PUBLIC_KEY_FILE') : keysAt(jwtJwksUrl);
  return jwtTokens({ keys, algorithms: PUBLIC_KEY_ALGORITHMS, ...claims });
}
