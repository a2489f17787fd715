// Staged bytes that are read to be published: what a store hands back the second time need not be what it did the first time.
import { advance } from '../staging/running-checksum.ts';
import type { StagedReader } from '../staging/staging.ts';

/** @throws Error at the end of what is not `checksum`; the caller publishes nothing of it then */
export async function* checkedContent(reader: StagedReader, checksum: number | undefined): AsyncIterable<Buffer> {
  const running = { checksum: 0, offset: 0 };
  for await (const piece of reader.stream()) {
    advance(running, [piece]);
    yield piece;
  }
  if (running.offset !== reader.size) throw new Error(`${running.offset} bytes were read of ${reader.size}.`);
  if (checksum !== undefined && running.checksum !== checksum) throw new Error('What was read to be published is not what was inspected.');
}
