// Finds out how to sign addresses for senders so that none can be used for anything but its own upload. Servers differ, so this tries
// each way on the server.
import { PutObjectCommand } from '@aws-sdk/client-s3';
import { newUploadId } from '../../ledger/upload-id.ts';
import type { Bucket } from '../../s3/bucket.ts';
import { isMissing, S3Fault } from '../../s3/fault.ts';
import { type HeaderGuard, signPut } from '../../s3/signed-put.ts';
import { folderOf } from './s3-parts.ts';

/** The most common one first. */
const GUARDS: readonly HeaderGuard[] = ['unsigned', 'absent', 'empty'];
const LINK_SECONDS = 300;
const REQUEST_TIMEOUT_MS = 20_000;
/** Number of tries: during each, a sweeper of this or another process may remove the probes. */
const TRIES = 3;
const FOREIGN = Buffer.from('a');
const OWN = Buffer.from('b');

/**
 * Finds the guard with which no sender can make this S3 server copy another object. Resolves to undefined when there is none.
 * @throws S3Fault when the server's answers do not show it
 */
export async function findHeaderGuard(bucket: Bucket): Promise<HeaderGuard | undefined> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await tryGuards(bucket);
    } catch (error) {
      if (!isMissing(error) || attempt === TRIES) throw error;
    }
  }
}

async function tryGuards(bucket: Bucket): Promise<HeaderGuard | undefined> {
  // The sweeper removes the probes like any leftover: after a crash of this process, and perhaps while they are in use.
  const folder = folderOf(newUploadId());
  const source = `${folder}probe-source`;
  const target = `${folder}probe`;
  await bucket.put(source, FOREIGN);
  try {
    for (const guard of GUARDS) {
      const command = new PutObjectCommand({ ...bucket.at(target), ContentLength: OWN.byteLength });
      const address = await signPut(bucket.probing, command, LINK_SECONDS, guard);
      const isAccepted = await put(address, {});
      // A server that refuses a plain signed address has another problem, which this probe cannot explain.
      if (!isAccepted && guard === 'unsigned') throw new S3Fault('An address that was signed for one byte was refused.', 'ProbeRefused');
      if (!isAccepted) continue;
      await put(address, { 'x-amz-copy-source': bucket.source(source) });
      const isOwn = (await bucket.read(target, 0, 1)).equals(OWN);
      // When a sweeper removed the source meanwhile, nothing could be copied, and the result proves nothing.
      if ((await bucket.head(source)) === undefined) throw new S3Fault(`${source} was removed.`, 'NoSuchKey');
      if (isOwn) return guard;
    }
    return undefined;
  } finally {
    await bucket.remove([source, target]).catch(() => undefined);
  }
}

async function put(address: string, headers: Record<string, string>): Promise<boolean> {
  try {
    const answer = await fetch(address, { method: 'PUT', body: OWN, headers, signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS) });
    await answer.arrayBuffer();
    if (answer.status >= 500) throw new Error(`The answer was ${answer.status}.`);
    return answer.ok;
  } catch (cause) {
    throw new S3Fault('An address that was signed could not be tried.', 'ProbeFailed', undefined, cause);
  }
}
