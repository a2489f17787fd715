// Formats numbers for people, in their language.

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'] as const;
type Units = Readonly<Record<(typeof UNITS)[number], string>>;

export class Formats {
  readonly #whole: Intl.NumberFormat;
  /** Always with one decimal, so that a changing figure keeps its width. */
  readonly #tenths: Intl.NumberFormat;
  readonly #upToTenths: Intl.NumberFormat;
  readonly #percent: Intl.NumberFormat;
  readonly #units = new Map<string, Intl.NumberFormat>();
  readonly #date: Intl.DateTimeFormat;
  readonly #locale: string | undefined;
  readonly #names: Units | undefined;

  /**
   * @param locale a BCP 47 tag; the browser's locale when it is absent or unknown
   * @param names of the byte units, if other than `KiB` and so on
   */
  constructor(locale?: string, names?: Units) {
    this.#names = names;
    this.#locale = supported(locale);
    this.#whole = new Intl.NumberFormat(this.#locale, { maximumFractionDigits: 0 });
    this.#tenths = new Intl.NumberFormat(this.#locale, { minimumFractionDigits: 1, maximumFractionDigits: 1 });
    this.#upToTenths = new Intl.NumberFormat(this.#locale, { maximumFractionDigits: 1 });
    this.#date = new Intl.DateTimeFormat(this.#locale, { dateStyle: 'medium', timeStyle: 'short' });
    this.#percent = new Intl.NumberFormat(this.#locale, { style: 'percent', maximumFractionDigits: 0 });
  }

  count(value: number): string {
    return this.#whole.format(value);
  }

  /** `812 B`, `4.2 MiB`, `5 GiB`: powers of 1024, with at most one decimal, and none from 100 on. */
  bytes(bytes: number): string {
    const power = powerOf(bytes);
    return `${this.#scaled(bytes, power, this.#upToTenths)} ${this.#unitOf(power)}`;
  }

  /** `1.2 of 4.1 GiB` if both have the same unit, otherwise `24.0 MiB of 1.0 GiB`. */
  bytesOf(part: number, whole: number): { part: string; whole: string } {
    return {
      part: powerOf(part) === powerOf(whole) ? this.#scaled(part, powerOf(whole)) : this.fixedWidth(part),
      whole: this.fixedWidth(whole),
    };
  }

  /** For a changing figure: keeps its width. */
  fixedWidth(bytes: number): string {
    const power = powerOf(bytes);
    return `${this.#scaled(bytes, power)} ${this.#unitOf(power)}`;
  }

  /** @param ms since 1970 */
  date(ms: number): string {
    return this.#date.format(ms);
  }

  /** Rounded down, so that an unfinished upload never shows 100 %. */
  percent(fraction: number): string {
    return this.#percent.format(Math.floor(Math.min(Math.max(fraction, 0), 1) * 100) / 100);
  }

  /** At most the two largest units. Coarse on purpose, since a figure that changes every second is hard to read. */
  duration(seconds: number): string {
    if (seconds < 10) return this.#unit(Math.max(1, Math.ceil(seconds)), 'second');
    if (seconds <= 55) return this.#unit(Math.ceil(seconds / 5) * 5, 'second');
    const minutes = Math.round(seconds / 60);
    if (minutes < 60) return this.#unit(minutes, 'minute');
    if (minutes < 24 * 60) return this.#pair(Math.floor(minutes / 60), 'hour', minutes % 60, 'minute');
    const hours = Math.round(minutes / 60);
    return this.#pair(Math.floor(hours / 24), 'day', hours % 24, 'hour');
  }

  #scaled(bytes: number, power: number, small = this.#tenths): string {
    const value = bytes / 1024 ** power;
    return (power === 0 || value >= 99.95 ? this.#whole : small).format(value);
  }

  #unitOf(power: number): string {
    const unit = UNITS[power] ?? 'PiB';
    return this.#names?.[unit] ?? unit;
  }

  #pair(large: number, largeUnit: string, small: number, smallUnit: string): string {
    const first = this.#unit(large, largeUnit);
    return small === 0 ? first : `${first} ${this.#unit(small, smallUnit)}`;
  }

  #unit(value: number, unit: string): string {
    let format = this.#units.get(unit);
    if (format === undefined) {
      format = new Intl.NumberFormat(this.#locale, { style: 'unit', unit, unitDisplay: 'short' });
      this.#units.set(unit, format);
    }
    return format.format(value);
  }
}

function powerOf(bytes: number): number {
  let power = 0;
  // 1023.95 would be rounded to 1024.0 in the same unit.
  for (let value = bytes; value >= (power === 0 ? 1024 : 1023.95) && power < UNITS.length - 1; value /= 1024) power++;
  return power;
}

function supported(locale: string | undefined): string | undefined {
  try {
    return locale ? Intl.NumberFormat.supportedLocalesOf(locale)[0] : undefined;
  } catch {
    return undefined;
  }
}
