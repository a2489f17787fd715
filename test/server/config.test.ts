import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ConfigError, configFromEnvironment, resolveConfig } from '../../server/config/config.ts';
import type { Setting } from '../../server/config/setting-kinds.ts';
import { describeSettings, environmentName, flagName } from '../../server/config/setting-names.ts';
import { SETTINGS, type SettingKey } from '../../server/config/settings.ts';
import { SETTINGS_PAGE, withSettingsTable } from '../support/settings-table.ts';

const KEYS = Object.keys(SETTINGS) as SettingKey[];

/** For each setting, mistakes that a person may make in the environment. */
const WRONG: Record<SettingKey, readonly string[]> = {
  host: [''],
  port: ['', 'http', '-1', '65536', '80.5', '0x50', '1e3', ' 80 ', '999999'],
  dataDir: [''],
  storageDir: [],
  storageBackend: ['', 'S3', 'tape'],
  staging: ['', 'disk', 'FileStore'],
  fileStoreDir: [],
  s3Bucket: [],
  s3Region: [''],
  s3Endpoint: ['s3.example.com', 'ftp://example.com'],
  s3PublicEndpoint: ['s3.example.com'],
  s3Prefix: ['/uploads', 'a//b', 'a b'],
  s3ForcePathStyle: ['yes'],
  s3PartSize: ['', '4 MiB', '6 GiB'],
  s3Concurrency: ['', '0', '-1', 'four'],
  s3Memory: ['', 'much'],
  s3Connections: ['', '0', '1.5'],
  s3Timeout: ['', '0ms', '25d'],
  s3CopyThreshold: ['', '1 MiB', '6 GiB'],
  s3Checksums: ['', 'always'],
  s3Downloads: ['', 'Stream'],
  s3LinkLifetime: ['', '0s', '8d'],
  databaseUrl: ['example.com', 'mysql://a/b', 'postgres:/x', 'postgres://:::'],
  databaseConnections: ['', '0', '-1', '1000', '1.5', 'many'],
  lease: ['', '0', '10', '500ms', '25d'],
  webhookUrl: ['example.com', 'ftp://example.com', 'https://u:p@example.com', 'https://'],
  webhookSecret: ['secret', 'whsec_', 'whsec_c2hvcnQ=', `whsk_${'A'.repeat(40)}`, [1, 2, 3].map(() => `whsec_${'A'.repeat(44)}`).join()],
  keepEventsFor: ['', '30', '0', '-1d', 'a month'],
  publicUrl: ['example.com', 'ftp://example.com', 'https:example.com', 'https://example.com/?a=b', 'https://u:p@example.com', 'https://'],
  maxUploadSize: ['', 'big', '-1', '5 XiB', '0', '1e30', 'NaN'],
  allow: ['', 'nothing-of-the-kind', '.=x'],
  allowEmpty: ['', 'yes', '1', 'TRUE'],
  allowEncrypted: ['no'],
  allowMacros: ['on'],
  sha256: ['on'],
  allowLegacyText: ['x'],
  archiveRules: ['bombs', 'entries, Links', 'none'],
  archiveMaxEntries: ['', '0', '-1', '1e6', 'many', '1000000000'],
  archiveMaxRatio: ['', '0', '1:1000', '1.5'],
  durability: ['', 'none', 'Chunk'],
  expireAfter: ['', '7', 'a week', '-1d', '0', '1000001d'],
  keepRecordsFor: ['', '24', 'x'],
  keepFilesFor: ['30', '0s', '500ms', 'for ever'],
  sweepInterval: ['', '0', '60', '25d'],
  patience: ['', '25', '-1s', '30d'],
  fastBodies: ['on'],
  bodyTimeout: ['', '0', '30', '5w'],
  lockTimeout: ['', '5', '25d'],
  checkTimeout: ['', '0', '10', '30d'],
  clamd: ['/run/clamav/clamd.ctl', 'unix:clamd.ctl', 'tcp://host', 'tcp://host:0', 'tcp://host:65536', 'http://host:3310'],
  clamdMaxSize: ['', '0', 'big'],
  clamdConnections: ['', '0', '1000'],
  unscannable: ['', 'keep'],
  checkUrl: ['example.com', 'ftp://example.com', 'http://', 'https:example.com'],
  internalHost: [''],
  internalPort: ['', '-1', '65536'],
  internalUrl: ['example.com', 'https://example.com/?a=b'],
  signatureTimeout: ['', '0ms', '30d'],
  shutdownGrace: ['', '10', '30d'],
  hosts: ['https://example.com', 'example.com/x', 'example.com:80', 'a b', 'example.com.'],
  corsOrigins: ['example.com', 'https://example.com/', 'https://a.example, b.example', 'capacitor:localhost'],
  corsHeaders: ['X Api Key', 'X-Api-Key: 1'],
  access: ['everyone', 'keys, passwords'],
  jwtJwksUrl: ['issuer.example', 'https://u:p@issuer.example/keys'],
  jwtSecret: ['short', '-----BEGIN PUBLIC KEY----- of a key that everybody has'],
  jwtPublicKeyFile: [],
  jwtIssuer: [],
  jwtAudience: [],
  jwtOwnerClaim: [''],
  grantSecrets: ['short', `${'a'.repeat(32)},short`, ['a', 'b', 'c'].map((letter) => letter.repeat(32)).join()],
  grantPublicKeyFiles: [],
  accessUrl: ['app.example/access', 'ftp://app.example', 'https://app.example/#x', 'https://u:%zz@app.example'],
  accessOwnerHeader: ['X Owner', 'X-Owner:'],
  accessRecheck: ['yes'],
  trustedProxies: ['proxy.example', '10.0.0.0/33', '10.0.0.0/8/8'],
  ownerMaxUploads: ['0', 'many'],
  ownerMaxReserved: ['much'],
  ownerMaxStored: ['-1'],
  ownerMaxRate: ['0', '1/s'],
  anonymousMaxRate: ['0', 'slow'],
  anonymousMaxUploads: ['0', '1.5'],
  anonymousMaxReserved: ['much'],
  anonymousMaxStored: ['much'],
  senderShare: ['0', '101', '50%'],
  reserveFor: ['0', 'ten minutes'],
  downloads: ['', 'everyone', 'Owner'],
  downloadLifetime: ['', '0', 'a week'],
  allowAnonymous: ['yes'],
  logLevel: ['', 'verbose', 'INFO'],
};

/**
 * A sentence starts with a capital or a quoted word, and ends with a full stop or the given text. It has no type name of our
 * libraries.
 */
const SENTENCE = /^LANDFALL_[A-Z0-9_]+: [“A-Z].*\. \(given: ".*"\)$/;

describe('the settings', () => {
  it('need a secret for a webhook, and take two', () => {
    const webhookUrl = 'https://app.example/hooks?token=1';
    expect(() => resolveConfig({ webhookUrl })).toThrow(/webhookSecret: Write a secret/);
    const secrets = [`whsec_${'A'.repeat(44)}`, `whsk_${'A'.repeat(43)}=`];
    expect(resolveConfig({ webhookUrl, webhookSecret: secrets.join(', ') })).toMatchObject({ webhookUrl, webhookSecret: secrets });
  });

  it('need a bucket for S3, and memory for two parts of the largest upload', () => {
    const s3 = { storageBackend: 's3', s3Bucket: 'b' } as const;
    expect(resolveConfig(s3)).toMatchObject({ s3PartBytes: 16 * 1024 ** 2, s3Prefix: '' });
    expect(resolveConfig({ ...s3, s3Prefix: 'a/b' }).s3Prefix).toBe('a/b/');
    expect(() => resolveConfig({ storageBackend: 's3' })).toThrow(/s3Bucket/);
    expect(() => resolveConfig({ ...s3, maxUploadSize: '5 TiB' })).toThrow(/s3Memory: Write at least 1 GiB/);
    expect(() => resolveConfig({ ...s3, maxUploadSize: '5 TiB', s3Memory: '2 GiB' })).not.toThrow();
    expect(() => resolveConfig({ ...s3, maxUploadSize: '49 TiB', s3Memory: '20 GiB' })).toThrow(/maxUploadSize: Write at most 48.8 TiB/);
  });

  it('have the intended defaults', () => {
    const config = resolveConfig();
    expect(config).toMatchObject({
      host: '127.0.0.1',
      port: 1080,
      maxUploadBytes: 1024 ** 4,
      expireAfterMs: 7 * 86_400_000,
      patienceMs: 25_000,
    });
    expect(config.storageDir).toBe(join(config.dataDir, 'files'));
    expect(Object.isFrozen(config)).toBe(true);
    expect(config.policy).toMatchObject({ maxBytes: 1024 ** 4 });
  });

  it.for(KEYS.flatMap((key) => WRONG[key].map((value) => [key, value] as const)))('refuse %s of “%s” with a sentence', ([key, value]) => {
    const environment = { [environmentName(key)]: value };
    expect(() => configFromEnvironment(environment)).toThrow(ConfigError);
    expect(() => configFromEnvironment(environment)).toThrow(SENTENCE);
  });

  it.for(['jwtSecret', 'grantSecrets', 'databaseUrl'] as const)('reveal nothing of %s when it is wrong', (key) => {
    expect(() => configFromEnvironment({ [environmentName(key)]: 'hunter2' })).toThrow(/^(?!.*hunter2).*given: "…"/);
  });

  it.for([
    ['port', 80.5],
    ['port', Number.NaN],
    ['maxUploadSize', -1],
    ['maxUploadSize', 1.5],
    ['maxUploadSize', Number.POSITIVE_INFINITY],
    ['patience', Number.POSITIVE_INFINITY],
    ['bodyTimeout', 2 ** 31],
    ['allowEmpty', 1],
    ['corsOrigins', [5]],
    ['host', 5],
  ] as const)('refuse %s of %s as an object', ([key, value]) => {
    expect(() => resolveConfig({ [key]: value })).toThrow(ConfigError);
    expect(() => resolveConfig({ [key]: value })).toThrow(key);
  });

  it('have their unit in their name', () => {
    const units = {
      size: 'Bytes',
      fileSize: 'Bytes',
      partSize: 'Bytes',
      sizeLimit: 'Bytes',
      duration: 'Ms',
      expiry: 'Ms',
      retention: 'Ms',
      linkLifetime: 'Ms',
      wait: 'Ms',
      timer: 'Ms',
    };
    const withUnit = new Map<string, string>(Object.entries({ ...units, lease: 'Ms' }));
    for (const key of KEYS) {
      const setting: Setting = SETTINGS[key];
      expect(setting.as?.match(/(?:Bytes|Ms)$/)?.[0], key).toBe(withUnit.get(setting.kind));
    }
  });

  it('accept human units and base units', () => {
    expect(
      resolveConfig({
        maxUploadSize: '5 GiB',
        patience: '1m',
        port: '0',
        corsOrigins: 'https://a.example, http://b.example:81, capacitor://localhost, null',
      }),
    ).toMatchObject({
      maxUploadBytes: 5 * 1024 ** 3,
      patienceMs: 60_000,
      port: 0,
      corsOrigins: ['https://a.example', 'http://b.example:81', 'capacitor://localhost', 'null'],
    });
    expect(resolveConfig({ maxUploadSize: 7, patience: 0, port: 8080, corsOrigins: [] })).toMatchObject({
      maxUploadBytes: 7,
      patienceMs: 0,
      port: 8080,
    });
    expect(resolveConfig({ publicUrl: 'https://x.example/up//' }).publicUrl).toBe('https://x.example/up');
  });

  it('refuse other values', () => {
    expect(() => configFromEnvironment({ LANDFALL_MAX_UPLOAD: '5 GiB' })).toThrow('LANDFALL_MAX_UPLOAD is not a setting.');
    expect(() => resolveConfig({ maxUpload: 5 } as never)).toThrow('There is no setting called maxUpload.');
    expect(() => resolveConfig({ toString: 5 } as never)).toThrow(ConfigError);
    expect(configFromEnvironment({ PATH: '/bin', LANDFALLX: 'x', LANDFALL_PORT: undefined }).port).toBe(1080);
  });

  it('take durations as numbers: rounded to milliseconds, and not longer than dates reach', () => {
    const keys = KEYS.filter((key) => (SETTINGS[key] as Setting).as?.endsWith('Ms'));
    for (const key of keys) {
      const { as = key } = SETTINGS[key] as Setting;
      const config = { ...resolveConfig({ [key]: 3_600_000.6 }) } as Record<string, unknown>;
      expect(config[as], key).toBe(3_600_001);
      expect(() => resolveConfig({ [key]: 1e16 }), key).toThrow(/: Write (?:at most 1000000d|at most 24d|a time from 1s to 7d)\. /);
    }
    expect(() => resolveConfig({ expireAfter: 0.4 })).toThrow('expireAfter: Write at least 1ms.');
    expect(() => resolveConfig({ expireAfter: Number.NaN })).toThrow(ConfigError);
  });

  it('are overridden by flags', () => {
    expect(configFromEnvironment({ LANDFALL_PORT: '81', LANDFALL_HOST: '::1' }, { port: '82' })).toMatchObject({ port: 82, host: '::1' });
  });

  it('are all described, and the table of docs/settings.md is up to date', () => {
    const help = describeSettings();
    for (const key of KEYS) {
      expect(help).toContain(`${flagName(key)}, ${environmentName(key)}\n`);
      expect(help).toContain(SETTINGS[key].help);
    }
    const page = readFileSync(SETTINGS_PAGE, 'utf8');
    expect(page).toContain('| `LANDFALL_PORT` | `1080` |');
    expect(page).toBe(withSettingsTable(page));
  });
});

it.for([
  ['databaseUrl', 'postgres:/app:hunter2@db/x'],
  ['accessUrl', 'https://u:hunter2@app.example/#x'],
  ['accessUrl', 'app.example/?token=hunter2'],
  ['s3Endpoint', 'https://key:hunter2@s3.example.com?x=1'],
  ['s3PublicEndpoint', 'key:hunter2@s3.example.com'],
  ['publicUrl', 'https://u:hunter2@example.com'],
  ['publicUrl', 'https://example.com/?token=hunter2'],
  ['corsOrigins', 'https://u:hunter2@example.com'],
  ['hosts', 'u:hunter2@example.com'],
  ['webhookUrl', 'http:/example.com/hunter2'],
  ['webhookSecret', 'whsec_hunter2'],
  ['webhookSecret', 'hunter2, whsk_hunter2'],
] satisfies [SettingKey, string][])('a message about %s never shows the password in it: %s', ([key, value]) => {
  expect(() => resolveConfig({ [key]: value })).toThrow(ConfigError);
  expect(() => resolveConfig({ [key]: value })).not.toThrow(/hunter2/);
});
