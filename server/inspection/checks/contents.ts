/** What a container's directory shows, and what a search of it finds. */

export interface Findings {
  readonly isEncrypted: boolean;
  readonly hasMacros: boolean;
  /** The name of a program inside, if there is one. */
  readonly program: string | undefined;
}

export interface Contents {
  /** The media types that the content can be. */
  readonly types: ReadonlySet<string>;
  /** Searches the content; with `inside: false` only for a password. @throws BrokenContainer */
  search(options: { inside: boolean }): Promise<Findings>;
}
