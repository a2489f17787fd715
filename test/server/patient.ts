/** For `vi.waitFor`, whose default of one second is too short on a busy machine. */
export const PATIENT = { timeout: 60_000, interval: 20 };
