// The results of a scenario, as Markdown.
import { format } from './samples.ts';

export interface Limit {
  /** The limited quantity, in a few words. */
  what: string;
  measured: number;
  least?: number;
  most?: number;
  digits: number;
  /** The unit after the numbers: `×`, ` ms`. */
  unit: string;
}

export interface Report {
  title: string;
  /** How the scenario measures: a sentence or two. */
  how: string;
  tables: Table[];
  limits: Limit[];
  /** The measurements that were left out, and why. */
  notes: string[];
}

export interface Table {
  columns: string[];
  rows: string[][];
}

export function isHeld({ measured, least, most }: Limit): boolean {
  return measured >= (least ?? Number.NEGATIVE_INFINITY) && measured <= (most ?? Number.POSITIVE_INFINITY);
}

export function renderReport({ title, how, tables, limits, notes }: Report): string {
  const parts = [`### ${title}`, how, ...tables.map(renderTable)];
  if (limits.length > 0) {
    const rows = limits.map((limit) => {
      const { what, measured, least, most, digits, unit } = limit;
      const bound = most === undefined ? `at least ${least}${unit}` : `at most ${most}${unit}`;
      return [what, bound, `${format(measured, digits)}${unit}`, isHeld(limit) ? 'held' : '**missed**'];
    });
    parts.push(renderTable({ columns: ['Limit', '', 'Measured', ''], rows }));
  }
  if (notes.length > 0) parts.push(notes.map((note) => `- ${note}`).join('\n'));
  return parts.join('\n\n');
}

function renderTable({ columns, rows }: Table): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  const rule = columns.map((_, index) => (index === 0 ? '---' : '--:'));
  return [line(columns), line(rule), ...rows.map(line)].join('\n');
}
