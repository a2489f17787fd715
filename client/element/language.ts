// The texts and number formats of the element, and how it explains a refusal.
import { extensionOf } from '../../shared/filename.ts';
import { describeAllowed } from '../../shared/policy.ts';
import { Formats } from './format.ts';
import { visibleName } from './name.ts';
import { type Reason, type ServerConfig, sizeLimit } from './policy.ts';
import { ENGLISH, type UploadStrings } from './strings.ts';

export class Language {
  readonly strings: UploadStrings;
  readonly formats: Formats;
  readonly #config: ServerConfig | undefined;

  /**
   * @param locale of numbers and dates; a BCP 47 tag
   * @param config the server's policy, if known
   */
  constructor(strings: UploadStrings = ENGLISH, locale?: string, config?: ServerConfig) {
    this.strings = strings;
    this.formats = new Formats(locale, strings.units);
    this.#config = config;
  }

  /** Largest file that the server accepts; empty when there is no limit. */
  get limit(): string {
    const limit = this.#config === undefined ? null : sizeLimit(this.#config);
    return limit === null ? '' : this.formats.bytes(limit);
  }

  /** Kinds of files that the server accepts; empty when unknown. */
  get allowed(): string {
    const { groups, andMore } = this.strings;
    return this.#config === undefined ? '' : describeAllowed(this.#config.policy, (group) => groups[group] ?? group, andMore);
  }

  /** Explains why a file was refused or an upload failed. */
  reason({ code, title, detail = '' }: Reason, file: { name: string; size: number | null }): string {
    const words = this.strings.reasons[code];
    if (words === undefined) return [title, detail].filter(Boolean).join(' ');
    const extension = extensionOf(file.name);
    return words({
      name: visibleName(file.name),
      extension: extension === '' ? '' : `.${extension}`,
      size: file.size === null ? '' : this.formats.bytes(file.size),
      limit: this.limit,
      allowed: this.allowed,
      title,
      detail,
    });
  }
}
