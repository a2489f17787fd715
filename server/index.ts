// The server as a library.
export { ERRORS, type ErrorCode, type Rejection, UploadError } from '../shared/errors.ts';
export type { Policy } from '../shared/policy.ts';
export type { ApplicationRecord, FilePlace, Json, ScanReport, UploadRecord, UploadState } from '../shared/upload.ts';
export type { Authenticate, AuthenticatedOwner } from './access/application.ts';
export type { Intent } from './access/identity.ts';
export { createLandfall, type Landfall, type LandfallHooks } from './app.ts';
export { type Config, ConfigError, type ConfigInput } from './config/config.ts';
export { type Check, CheckCrash, CheckLater, type CheckOutcome, type Inspectable } from './inspection/check.ts';
export type { EventType } from './ledger/event-tables.ts';
export type { Limits } from './ledger/limits.ts';
export { LedgerInUse } from './ledger/sqlite.ts';
export type { FeedOptions } from './notify/event-feed.ts';
export type { OnEvent, UploadEvent } from './notify/event-handler.ts';
export { PackageMissing } from './runtime/optional-packages.ts';
export { StartError } from './runtime/start-error.ts';
export { BucketUnusable } from './s3/fault.ts';
