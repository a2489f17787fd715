// Whether an address signed for a sender can be used for more than what it was given out for. Servers differ, so it is tried.
import { PutObjectCommand } from '@aws-sdk/client-s3';
import { newUploadId } from '../../ledger/upload-id.ts';
import type { Bucket } from '../../s3/bucket.ts';
import { isMissing, S3Fault } from '../../s3/fault.ts';
import { type HeaderGuard, signPut } from '../../s3/signed-put.ts';
import { folderOf } from './s3-parts.ts';

/** The most usual first. */
const GUARDS: readonly HeaderGuard[] = ['unsigned', 'absent', 'empty'];
const LINK_SECONDS = 300;
const PATIENCE_MS = 20_000;
/** Of which each may meet a sweeper, this process's or another's. */
const ATTEMPTS = 3;
const FOREIGN = Buffer.from('a');
const OWN = Buffer.from('b');

/**
 * How this server's addresses are to be signed so that no sender can have another object copied with one; undefined: there is
 * no way to. @throws S3Fault where it can't be told
 */
export async function findHeaderGuard(bucket: Bucket): Promise<HeaderGuard | undefined> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await tryGuards(bucket);
    } catch (error) {
      if (!isMissing(error) || attempt === ATTEMPTS) throw error;
    }
  }
}

async function tryGuards(bucket: Bucket): Promise<HeaderGuard | undefined> {
  // Swept like any leftover, should this process end over it; and perhaps before that.
  const folder = folderOf(newUploadId());
  const source = `${folder}probe-source`;
  const target = `${folder}probe`;
  await bucket.put(source, FOREIGN);
  try {
    for (const guard of GUARDS) {
      const command = new PutObjectCommand({ ...bucket.at(target), ContentLength: OWN.byteLength });
      const address = await signPut(bucket.probing, command, LINK_SECONDS, guard);
      const isTaken = await put(address, {});
      // That it takes no address at all is not for us to find out.
      if (!isTaken && guard === 'unsigned') throw new S3Fault('An address that was signed for one byte was refused.', 'ProbeRefused');
      if (!isTaken) continue;
      await put(address, { 'x-amz-copy-source': bucket.source(source) });
      const isOwn = (await bucket.read(target, 0, 1)).equals(OWN);
      // Of a source that was swept meanwhile nothing was copied because there was nothing to copy.
      if ((await bucket.head(source)) === undefined) throw new S3Fault(`${source} was taken away.`, 'NoSuchKey');
      if (isOwn) return guard;
    }
    return undefined;
  } finally {
    await bucket.remove([source, target]).catch(() => undefined);
  }
}

async function put(address: string, headers: Record<string, string>): Promise<boolean> {
  try {
    const answer = await fetch(address, { method: 'PUT', body: OWN, headers, signal: AbortSignal.timeout(PATIENCE_MS) });
    await answer.arrayBuffer();
    if (answer.status >= 500) throw new Error(`The answer was ${answer.status}.`);
    return answer.ok;
  } catch (cause) {
    throw new S3Fault('An address that was signed could not be tried.', 'ProbeFailed', undefined, cause);
  }
}
