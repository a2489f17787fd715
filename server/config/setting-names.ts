// The names of settings that people use: in the environment, as flags, in `--help`.
import { SETTINGS, type SettingKey } from './settings.ts';

export function environmentName(key: SettingKey): string {
  return `LANDFALL_${key.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`;
}

export function flagName(key: SettingKey): string {
  return `--${key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

/** Settings that are either on or off. */
export function isFlag(key: SettingKey): boolean {
  return SETTINGS[key].kind === 'flag';
}

/** The settings as `--help` prints them. */
export function describeSettings(): string {
  return (Object.keys(SETTINGS) as SettingKey[])
    .map((key) => {
      const { default: value, help } = SETTINGS[key];
      return `  ${flagName(key)}, ${environmentName(key)}\n      ${help}\n      Default: ${value === '' ? '(empty)' : value}`;
    })
    .join('\n');
}
