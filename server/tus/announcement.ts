import { CHECKSUM_ALGORITHMS } from '../../shared/protocol.ts';

/** tus 1.0.0 has OPTIONS tell this. On the answers a client gets before it sends bytes it spares a request. */
export const ANNOUNCEMENT: Readonly<Record<string, string>> = { 'Tus-Checksum-Algorithm': CHECKSUM_ALGORITHMS.join(',') };
