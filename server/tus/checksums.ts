// Checksums in a request: tus 1.0.0, Checksum and Checksum-Trailer, and Landfall's own checksum of the whole file.
import type { IncomingMessage } from 'node:http';
import { UploadError } from '../../shared/errors.ts';
import { CHECKSUM_ALGORITHMS, type ChecksumAlgorithm } from '../../shared/protocol.ts';
import type { ExpectedChecksum } from '../staging/chunk-checksum.ts';

export interface Checksums {
  /** Checksum of this request's body; undefined when the request has none. */
  chunk: ExpectedChecksum | undefined;
  /** `Landfall-Checksum: crc32 <base64>`, the checksum of the whole file as the sender read it; null when the request has none. */
  file: number | null;
}

const CHECKSUM = /^([a-z0-9-]+) ([A-Za-z0-9+/]+={0,2})$/;
const TRAILER = /(?:^|[\s,])upload-checksum(?:[\s,]|$)/i;

/** @throws UploadError 400 for an unknown algorithm or an invalid value */
export function readChecksums(request: IncomingMessage): Checksums {
  const chunk = request.headers['upload-checksum'];
  const file = request.headers['landfall-checksum'];
  return {
    chunk: chunk !== undefined ? inHeader(parse(chunk)) : TRAILER.test(request.headers.trailer ?? '') ? inTrailer(request) : undefined,
    file: file === undefined ? null : wholeFile(parse(file)),
  };
}

interface Parsed {
  algorithm: ChecksumAlgorithm;
  digest: Buffer;
}

function parse(text: string | string[]): Parsed {
  const [, name, value = ''] = CHECKSUM.exec(String(text)) ?? [];
  const algorithm = CHECKSUM_ALGORITHMS.find((candidate) => candidate === name);
  if (algorithm === undefined) {
    const detail = `Write one of ${CHECKSUM_ALGORITHMS.join(', ')}, a space, and the sum in base64.`;
    throw new UploadError('ERR_INVALID_CHECKSUM', { detail });
  }
  return { algorithm, digest: Buffer.from(value, 'base64') };
}

function inHeader({ algorithm, digest }: Parsed): ExpectedChecksum {
  return { algorithm, digest: () => digest };
}

/** The trailer names its algorithm only after the body. So it can only be sha1, which every tus server must support. */
function inTrailer(request: IncomingMessage): ExpectedChecksum {
  return {
    algorithm: 'sha1',
    digest() {
      const text = request.trailers['upload-checksum'];
      if (text === undefined) throw new UploadError('ERR_INVALID_CHECKSUM', { detail: 'The announced trailer is missing.' });
      const { algorithm, digest } = parse(text);
      if (algorithm !== 'sha1') throw new UploadError('ERR_INVALID_CHECKSUM', { detail: 'A checksum in a trailer must be sha1.' });
      return digest;
    },
  };
}

function wholeFile({ algorithm, digest }: Parsed): number {
  if (algorithm === 'crc32' && digest.byteLength === 4) return digest.readUInt32BE();
  throw new UploadError('ERR_INVALID_CHECKSUM', { detail: 'Landfall-Checksum is a crc32: four bytes, the most significant first.' });
}
