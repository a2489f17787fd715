// Takes in files that were added to an element: lists them at once, checks them against the server's policy, and sends or refuses them.
import { yieldToPage } from '../browser/platform.ts';
import type { PickedFile } from './drop.ts';
import type { Language } from './language.ts';
import type { ListedFile, UploadList } from './list/list.ts';
import { visibleName } from './name.ts';
import { type Reason, refusalOf, type ServerConfig } from './policy.ts';

const SLICE_FILES = 100;
/** More refusals than this are announced by their number only. */
const MAX_ANNOUNCED_SINGLY = 3;

export interface RefusedFile {
  name: string;
  code: Reason['code'];
  /** Why the file was refused, in the element's language. */
  reason: string;
}

type RefusableFile = ListedFile & { size: number };

export interface FileIntakeHost {
  readonly language: Language;
  announce(message: string): void;
  onRefused(refused: RefusedFile): void;
}

export interface AddedFile {
  picked: PickedFile;
  /** Id of its row, if the file was listed before the policy was known. */
  pendingId?: string;
}

export interface FileIntakeOptions {
  host: FileIntakeHost;
  list: UploadList;
  /** Shows the rows that were added. */
  show(): void;
  /** Runs `add`, and reports all changes that it makes together, after it. */
  inBatch(add: (send: (file: AddedFile) => void) => void): void;
}

export class FileIntake {
  readonly #options: FileIntakeOptions;
  #lastId = 0;

  constructor(options: FileIntakeOptions) {
    this.#options = options;
  }

  /**
   * Lists the files at once. As soon as the policy is known, sends the accepted files and announces why the others were refused. Works
   * in slices, so that the page stays responsive with a folder of thousands of files.
   *
   * @param config a promise must settle within seconds
   */
  async add(files: readonly PickedFile[], config: ServerConfig | undefined | Promise<ServerConfig | undefined>): Promise<void> {
    const { host } = this.#options;
    const isKnown = !(config instanceof Promise);
    const added = isKnown ? files.map((picked): AddedFile => ({ picked })) : await this.#listPending(files);
    const rules = await config;
    const refusals: string[] = [];
    for (let start = 0; start < added.length; start += SLICE_FILES) {
      if (start > 0) await yieldToPage();
      refusals.push(...this.#addSlice(added.slice(start, start + SLICE_FILES), rules));
    }
    const { strings } = host.language;
    for (const message of refusals.length <= MAX_ANNOUNCED_SINGLY ? refusals : [strings.announceRefusals(refusals.length)])
      host.announce(message);
  }

  /** Lists a file of an earlier visit that the server refused. */
  refuse(file: RefusableFile, refusal: Reason): void {
    this.#options.host.announce(this.#list(file, refusal));
    this.#options.show();
  }

  /** @returns the announcement */
  #list(file: RefusableFile, refusal: Reason, id = `refused-${++this.#lastId}`): string {
    const { host, list } = this.#options;
    const { language } = host;
    const reason = language.reason(refusal, file);
    list.addRefused(id, file, refusal, language);
    host.onRefused({ name: file.name, code: refusal.code, reason });
    return language.strings.announceRefused(visibleName(file.name), reason);
  }

  async #listPending(files: readonly PickedFile[]): Promise<AddedFile[]> {
    const { host, list, show } = this.#options;
    const added: AddedFile[] = [];
    for (const [index, picked] of files.entries()) {
      if (index > 0 && index % SLICE_FILES === 0) await yieldToPage();
      const pendingId = `pending-${++this.#lastId}`;
      list.addPending(pendingId, listedAs(picked), host.language);
      added.push({ picked, pendingId });
      if (index % SLICE_FILES === 0) show();
    }
    return added;
  }

  /** @returns announcements of the refused files */
  #addSlice(files: readonly AddedFile[], config: ServerConfig | undefined): string[] {
    const { inBatch } = this.#options;
    const refusals: string[] = [];
    inBatch((send) => {
      for (const added of files) {
        const { picked, pendingId } = added;
        const refusal = refusalOf(config, picked.file);
        if (refusal === undefined) send(added);
        else refusals.push(this.#list(listedAs(picked), refusal, pendingId));
      }
    });
    return refusals;
  }
}

function listedAs({ file, relativePath }: PickedFile): RefusableFile {
  return { name: file.name, relativePath, size: file.size };
}
