/** What keeps the server from starting, in a sentence for the person who set it up. */
export abstract class StartError extends Error {
  /** Whether somebody has to change something; else the same start may succeed later. */
  readonly isMistake: boolean = true;
}
