import type { Engine } from '../../server/ledger/engine.ts';
import type { Ledger } from '../../server/ledger/ledger.ts';
import { Quotas } from '../../server/ledger/quotas.ts';
import { Reservations, type ReservationsOptions } from '../../server/staging/reservations.ts';
import type { Staging } from '../../server/staging/staging.ts';

const NO_LIMITS = { maxUnfinished: null, maxReservedBytes: null, maxStoredBytes: null };

/** Reservations as the server makes them, without limits except those of the disk and the test. */
export function openReservations(
  engine: Engine,
  ledger: Ledger,
  staging: Staging,
  options: Partial<ReservationsOptions> = {},
): Reservations {
  return new Reservations({
    ledger,
    quotas: new Quotas(engine, () => 0),
    staging,
    ownerLimits: NO_LIMITS,
    addressLimits: NO_LIMITS,
    senderShare: 1,
    reserveForMs: 600_000,
    maxUploadBytes: 1e12,
    ...options,
  });
}
