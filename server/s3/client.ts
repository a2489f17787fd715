// The SDK's client, as Landfall has it behave.
import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { S3Client, type S3ClientConfig } from '@aws-sdk/client-s3';
import { PayloadHash } from './payload-hash.ts';

export interface ClientOptions {
  region: string;
  /** Empty: AWS's own for the region. */
  endpoint: string;
  forcePathStyle: boolean;
  /** A request on which nothing moves for so long is given up and made again. */
  timeoutMs: number;
  /** Whether to send the checksums of newer SDKs, which some servers refuse. */
  checksums: 'required' | 'supported';
}

/** How often a request is made before it has failed. */
export const ATTEMPTS = 5;
const CONNECT_MS = 5000;

/** With limits on silence, which the SDK by itself waits out for ever. */
export function createClient(options: ClientOptions, maxSockets: number, maxAttempts: number = ATTEMPTS): S3Client {
  return new S3Client(clientConfig(options, maxSockets, maxAttempts));
}

/** As `createClient` makes it, for others' code that makes its own. */
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
