// Files that are given to an element: listed at once, judged by what the server takes, sent or refused.
import { breathe } from '../browser/platform.ts';
import type { PickedFile } from './drop.ts';
import type { Language } from './language.ts';
import type { UploadList } from './list/list.ts';
import { visibleName } from './name.ts';
import { type Reason, refusalOf, type ServerConfig } from './policy.ts';

const SLICE = 100;
/** More than these are told by their number. */
const SPOKEN_AT_MOST = 3;

export interface Refused {
  name: string;
  code: Reason['code'];
  /** In the element's words. */
  reason: string;
}

export interface AdditionsHost {
  readonly language: Language;
  say(message: string): void;
  onRefused(refused: Refused): void;
}

export interface GivenFile {
  picked: PickedFile;
  /** Of its row, where it was shown before it could be judged. */
  pendingId?: string;
}

export interface AdditionsOptions {
  host: AdditionsHost;
  list: UploadList;
  /** What was listed is to be seen. */
  show(): void;
  /** Runs what lists a slice, and sends of it what the server takes; all of that is told of at once, after it. */
  together(add: (send: (file: GivenFile) => void) => void): void;
}

export class Additions {
  readonly #options: AdditionsOptions;
  #lastId = 0;

  constructor(options: AdditionsOptions) {
    this.#options = options;
  }

  /**
   * Lists the files at once. Once it is known what the server takes, sends what it does and says of the rest why not.
   * A folder of thousands is taken in slices: the page stays alive.
   *
   * @param config a promise of it must not take long
   */
  async add(files: readonly PickedFile[], config: ServerConfig | undefined | Promise<ServerConfig | undefined>): Promise<void> {
    const { host } = this.#options;
    const isKnown = !(config instanceof Promise);
    const given = isKnown ? files.map((picked): GivenFile => ({ picked })) : await this.#listPending(files);
    const rules = await config;
    const refusals: string[] = [];
    for (let start = 0; start < given.length; start += SLICE) {
      if (start > 0) await breathe();
      refusals.push(...this.#addSlice(given.slice(start, start + SLICE), rules));
    }
    const { strings } = host.language;
    for (const message of refusals.length <= SPOKEN_AT_MOST ? refusals : [strings.spokenRefusals(refusals.length)]) host.say(message);
  }

  async #listPending(files: readonly PickedFile[]): Promise<GivenFile[]> {
    const { host, list, show } = this.#options;
    const given: GivenFile[] = [];
    for (const [index, picked] of files.entries()) {
      if (index > 0 && index % SLICE === 0) await breathe();
      const pendingId = `pending-${++this.#lastId}`;
      list.addPending(pendingId, listedAs(picked), host.language);
      given.push({ picked, pendingId });
      if (index % SLICE === 0) show();
    }
    return given;
  }

  /** @returns what is to be said of those that were refused */
  #addSlice(files: readonly GivenFile[], config: ServerConfig | undefined): string[] {
    const { host, list, together } = this.#options;
    const { language } = host;
    const refusals: string[] = [];
    together((send) => {
      for (const given of files) {
        const { picked, pendingId } = given;
        const refusal = refusalOf(config, picked.file);
        if (refusal === undefined) send(given);
        else {
          const reason = language.reason(refusal, picked.file);
          list.addRefused(pendingId ?? `refused-${++this.#lastId}`, listedAs(picked), refusal, language);
          host.onRefused({ name: picked.file.name, code: refusal.code, reason });
          refusals.push(language.strings.spokenRefused(visibleName(picked.file.name), reason));
        }
      }
    });
    return refusals;
  }
}

function listedAs({ file, relativePath }: PickedFile): { name: string; relativePath: string | undefined; size: number } {
  return { name: file.name, relativePath, size: file.size };
}
