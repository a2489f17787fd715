/** For `vi.waitFor`, whose own second is short on a machine with other work to do. */
export const PATIENT = { timeout: 60_000, interval: 20 };
