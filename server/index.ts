// The public exports of the package `landfall-server`.
export {
  ERRORS,
  type ErrorCode,
  type ErrorEntry,
  type Rate,
  type Rejection,
  UploadError,
  type UploadErrorOptions,
} from '../shared/errors.ts';
export type { ArchiveRule, Policy, PolicyOptions } from '../shared/policy.ts';
export type { ApplicationRecord, FilePlace, Json, ScanReport, UploadRecord, UploadState } from '../shared/upload.ts';
export type { Authenticate, AuthenticatedOwner } from './access/application.ts';
export type { Intent } from './access/identity.ts';
export { KeyFileUnusable } from './access/jwt-keys.ts';
export { createLandfall, type Landfall, type LandfallHooks } from './app.ts';
export { type Config, ConfigError, type ConfigInput } from './config/config.ts';
export { type Check, CheckCrash, CheckLater, type CheckOutcome, type Inspectable } from './inspection/check.ts';
export { DatabaseUnusable } from './ledger/database-unusable.ts';
export type { EventType } from './ledger/event-tables.ts';
export type { Action, Limits } from './ledger/limits.ts';
export { LedgerTooNew } from './ledger/migrate.ts';
export { LedgerElsewhere } from './ledger/open.ts';
export { LedgerInUse } from './ledger/sqlite.ts';
export type { EventBody } from './notify/event-body.ts';
export type { FeedOptions } from './notify/event-feed.ts';
export type { OnEvent, UploadEvent } from './notify/event-handler.ts';
export { InternalAddressUnusable } from './notify/internal-listener.ts';
export { PackageMissing } from './runtime/optional-packages.ts';
export { StartError, type StartErrorCode } from './runtime/start-error.ts';
export { BucketUnusable } from './s3/fault.ts';
export { StagedElsewhere } from './staging/staged-elsewhere.ts';
