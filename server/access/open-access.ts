// Chooses the ways to identify senders, by configuration.
import { type Config, ConfigError } from '../config/config.ts';
import type { AccessKind } from '../config/setting-kinds.ts';
import type { Credentials } from '../ledger/credentials.ts';
import { type AccessUrl, requireAccessUrlSettings } from './access-url.ts';
import { anonymousSource, type ClientAddresses } from './anonymous.ts';
import { type Authenticate, applicationSource } from './application.ts';
import { bearerTokens, type TokenKind } from './bearer-tokens.ts';
import { CachedCredentials } from './cached-credentials.ts';
import { grantTokens } from './grants.ts';
import { GuessLimiter } from './guess-limiter.ts';
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
  /** Undefined: LANDFALL_ACCESS does not list `url`. */
  accessUrl: AccessUrl | undefined;
  /** The server listens on an address of its own, which the settings name. */
  isStandalone: boolean;
}

/** @throws StartError when a listed source is not usable, or nothing says who may upload */
export async function openAccess(options: OpenAccessOptions): Promise<Access> {
  const { config, authenticate, addresses, credentials, accessUrl, isStandalone } = options;
  const isChosen = config.access.length > 0;
  const isEnabled = (kind: AccessKind) => (isChosen ? config.access.includes(kind) : kind === 'keys' || kind === 'links');
  if (isStandalone && authenticate === undefined) requireAccessRule(config, !(await credentials.hasEverHad('key')));

  const fresh = new CachedCredentials(credentials);
  const kinds: TokenKind[] = [];
  if (isEnabled('keys')) kinds.push(keyTokens(fresh));
  if (isEnabled('links')) kinds.push(linkTokens(fresh, config.expireAfterMs + config.keepRecordsForMs));
  if (isEnabled('grants')) kinds.push(await grantTokensOf(config, fresh));
  if (isEnabled('jwt')) kinds.push(await jwtTokensOf(config));
  const isOpen = config.allowAnonymous || isEnabled('anonymous');
  const anonymous = anonymousSource(addresses);
  const last = authenticate
    ? applicationSource(authenticate)
    : isOpen
      ? anonymous
      : isChosen
        ? undefined
        : anonymousUntilFirstKey(anonymous, credentials);
  // Without a setting, a token may be for the application in front of the server, which has checked it.
  const isLast = authenticate === undefined && accessUrl === undefined && (isStandalone || isChosen);
  const sources = [bearerTokens({ kinds, guessLimiter: new GuessLimiter(addresses), isLast })];
  if (accessUrl !== undefined) sources.push(accessUrl.source(last === undefined));
  return accessBy(sources, last);
}

/**
 * A server that others can reach needs a rule for who may upload.
 * @param hasNoKeys no key was ever created; keys are such a rule, too
 * @throws ConfigError
 */
export function requireAccessRule({ access, allowAnonymous, host }: Config, hasNoKeys: boolean): void {
  if (access.length > 0 || allowAnonymous || isLoopbackName(host) || !hasNoKeys) return;
  throw new ConfigError(
    `LANDFALL_HOST: ${host} can be reached by others, and nothing says who may upload. Create keys (landfall-server key add OWNER), set LANDFALL_ACCESS (docs/access.md), or set LANDFALL_ALLOW_ANONYMOUS=true to let everyone upload.`,
  );
}

/**
 * Checks that need several settings. A source that has settings but is not listed would leave a server open that was meant to be
 * closed.
 * @throws ConfigError
 */
export function requireAccessSettings({ access, ...config }: Config): void {
  requireAccessUrlSettings({ access, ...config });
  const { jwtJwksUrl, jwtSecret, jwtPublicKeyFile, jwtIssuer, jwtAudience, grantSecrets, grantPublicKeyFiles } = config;
  const jwtKeys = [jwtJwksUrl, jwtSecret, jwtPublicKeyFile].filter((value) => value !== '').length;
  const grantKeys = grantSecrets.length + grantPublicKeyFiles.length;
  const isListed = (kind: AccessKind, isSet: boolean) => {
    if (isSet && !access.includes(kind)) throw new ConfigError(`LANDFALL_ACCESS: Add ${kind}: its settings are there.`);
    return access.includes(kind);
  };
  if (isListed('jwt', jwtKeys > 0 || jwtIssuer !== '' || jwtAudience.length > 0) && jwtKeys !== 1) {
    throw new ConfigError('LANDFALL_ACCESS: For jwt set one of LANDFALL_JWT_JWKS_URL, LANDFALL_JWT_SECRET, LANDFALL_JWT_PUBLIC_KEY_FILE.');
  }
  if (jwtJwksUrl !== '' && jwtIssuer === '') {
    throw new ConfigError(
      'LANDFALL_JWT_ISSUER: Write the issuer of the tokens. Providers publish the keys of several issuers in one place.',
    );
  }
  if (isListed('grants', grantKeys > 0) && grantKeys === 0) {
    throw new ConfigError('LANDFALL_ACCESS: For grants set LANDFALL_GRANT_SECRETS or LANDFALL_GRANT_PUBLIC_KEY_FILES.');
  }
}

/** Without settings, the server is open to all until its first key is created, and closes within a second of that. */
function anonymousUntilFirstKey(anonymous: AccessSource, credentials: Credentials): AccessSource {
  let isClosed = false;
  let checkedMs = Number.NEGATIVE_INFINITY;
  return {
    async identify(request, intent, id) {
      const now = performance.now();
      if (!isClosed && now - checkedMs >= 1000) {
        isClosed = await credentials.hasEverHad('key');
        checkedMs = now;
      }
      return isClosed ? undefined : anonymous.identify(request, intent, id);
    },
  };
}

function grantTokensOf(config: Config, credentials: CachedCredentials): Promise<TokenKind> {
  const { grantSecrets: secrets, grantPublicKeyFiles: publicKeyFiles, expireAfterMs, keepRecordsForMs } = config;
  return grantTokens({ secrets, publicKeyFiles, credentials, graceMs: expireAfterMs + keepRecordsForMs });
}

async function jwtTokensOf(config: Config): Promise<TokenKind> {
  const { jwtJwksUrl, jwtSecret, jwtPublicKeyFile, jwtIssuer: issuer, jwtAudience: audiences, jwtOwnerClaim: ownerClaim } = config;
  const claims = { issuer, audiences, ownerClaim };
  if (jwtSecret !== '') return jwtTokens({ keys: secretKey(jwtSecret), algorithms: SECRET_ALGORITHMS, ...claims });
  const keys = jwtJwksUrl === '' ? await keysInFile(jwtPublicKeyFile, 'LANDFALL_JWT_PUBLIC_KEY_FILE') : keysAt(jwtJwksUrl);
  return jwtTokens({ keys, algorithms: PUBLIC_KEY_ALGORITHMS, ...claims });
}
