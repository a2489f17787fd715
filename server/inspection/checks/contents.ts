/** What the directory of a container tells, and what a search of it finds. */

export interface Findings {
  readonly isEncrypted: boolean;
  readonly hasMacros: boolean;
  /** The name of a program inside, where there is one. */
  readonly program: string | undefined;
}

export interface Contents {
  /** Media types that the content can pass for. */
  readonly types: ReadonlySet<string>;
  /** Looks into it; where `inside` is false, only for a password. @throws BrokenContainer */
  search(options: { inside: boolean }): Promise<Findings>;
}
