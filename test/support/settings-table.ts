// Writes the table of docs/settings.md from the settings' schema.
import { readFileSync, writeFileSync } from 'node:fs';
import { environmentName } from '../../server/config/setting-names.ts';
import { SETTINGS, type SettingKey } from '../../server/config/settings.ts';

export const SETTINGS_PAGE: URL = new URL('../../docs/settings.md', import.meta.url);
const BLOCK = /(<!-- settings:[^\n]*-->\n)[\s\S]*?(<!-- \/settings -->)/;

export function settingsTable(): string {
  const rows = (Object.keys(SETTINGS) as SettingKey[]).map((key) => {
    const { default: value, help } = SETTINGS[key];
    return `| \`${environmentName(key)}\` | ${value === '' ? '' : `\`${value}\``} | ${help} |`;
  });
  return ['| Variable | Default | |', '|---|---|---|', ...rows].join('\n');
}

export function withSettingsTable(page: string): string {
  return page.replace(BLOCK, (_match, begin: string, end: string) => `${begin}\n${settingsTable()}\n\n${end}`);
}

if (import.meta.main) writeFileSync(SETTINGS_PAGE, withSettingsTable(readFileSync(SETTINGS_PAGE, 'utf8')));
