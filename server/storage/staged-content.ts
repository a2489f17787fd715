// Reads staged bytes for publishing: a store may return other bytes than it returned to the inspection.
import { advance } from '../staging/running-checksum.ts';
import type { StagedReader } from '../staging/staging.ts';

/** @throws Error at the end of bytes that do not match `checksum`; the caller then publishes nothing */
export async function* checkedContent(reader: StagedReader, checksum: number | undefined): AsyncIterable<Buffer> {
  const running = { checksum: 0, offset: 0 };
  for await (const piece of reader.stream()) {
    advance(running, [piece]);
    yield piece;
  }
  if (running.offset !== reader.size) throw new Error(`${running.offset} bytes were read of ${reader.size}.`);
  if (checksum !== undefined && running.checksum !== checksum) throw new Error('The bytes read for publishing are not the inspected ones.');
}
