/** The environment of the tests without Landfall's settings, and without what tells the tests how to run, which is no setting. */
export function withoutSettings(): Record<string, string | undefined> {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('LANDFALL_')));
}
