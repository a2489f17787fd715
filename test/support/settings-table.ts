// Writes the README's table of settings from the schema; with `--check`, only says whether it is up to date.
import { readFileSync, writeFileSync } from 'node:fs';
import { environmentName } from '../../server/config/setting-names.ts';
import { SETTINGS, type SettingKey } from '../../server/config/settings.ts';

const README = new URL('../../README.md', import.meta.url);
const BLOCK = /(<!-- settings:[^\n]*-->\n)[\s\S]*?(<!-- \/settings -->)/;

export function settingsTable(): string {
  const rows = (Object.keys(SETTINGS) as SettingKey[]).map((key) => {
    const { default: value, help } = SETTINGS[key];
    return `| \`${environmentName(key)}\` | ${value === '' ? '' : `\`${value}\``} | ${help} |`;
  });
  return ['| Variable | Default | |', '|---|---|---|', ...rows].join('\n');
}

export function readmeWithSettings(readme: string): string {
  return readme.replace(BLOCK, (_match, begin: string, end: string) => `${begin}\n${settingsTable()}\n\n${end}`);
}

if (import.meta.main) writeFileSync(README, readmeWithSettings(readFileSync(README, 'utf8')));
