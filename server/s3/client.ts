// The SDK's client with Landfall's configuration.
import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { S3Client, type S3ClientConfig } from '@aws-sdk/client-s3';
import { PayloadHash } from './payload-hash.ts';

export interface ClientOptions {
  region: string;
  /** Empty: AWS's endpoint of the region. */
  endpoint: string;
  forcePathStyle: boolean;
  /** A request is aborted and retried after this time without any bytes. */
  timeoutMs: number;
  /** `supported` sends the checksums of newer SDKs, which some servers refuse. */
  checksums: 'required' | 'supported';
}

/** A request is tried this often before it fails. */
export const ATTEMPTS = 5;
const CONNECT_MS = 5000;

/** Makes a client with timeouts: without them, the SDK waits for ever for a silent server. */
export function createClient(options: ClientOptions, maxSockets: number, maxAttempts: number = ATTEMPTS): S3Client {
  return new S3Client(clientConfig(options, maxSockets, maxAttempts));
}

/** The configuration of `createClient`, for packages that make their own client. */
export function clientConfig(options: ClientOptions, maxSockets: number, maxAttempts: number = ATTEMPTS): S3ClientConfig {
  const { endpoint, region, forcePathStyle, timeoutMs, checksums } = options;
  const when = checksums === 'supported' ? 'WHEN_SUPPORTED' : 'WHEN_REQUIRED';
  return {
    region,
    forcePathStyle,
    maxAttempts,
    requestChecksumCalculation: when,
    responseChecksumValidation: when,
    sha256: PayloadHash,
    ...(endpoint === '' ? {} : { endpoint }),
    requestHandler: {
      connectionTimeout: CONNECT_MS,
      socketTimeout: timeoutMs,
      httpAgent: new HttpAgent({ keepAlive: true, maxSockets }),
      httpsAgent: new HttpsAgent({ keepAlive: true, maxSockets }),
    },
  };
}
