// One S3 server for all tests of a run that need one.
import type { TestProject } from 'vitest/node';
import { type S3Endpoint, startS3Server } from './s3-server.ts';

declare module 'vitest' {
  interface ProvidedContext {
    s3: S3Endpoint;
  }
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const server = await startS3Server();
  const { endpoint, region, accessKeyId, secretAccessKey } = server;
  project.provide('s3', { endpoint, region, accessKeyId, secretAccessKey });
  return () => server.stop();
}
