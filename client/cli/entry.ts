#!/usr/bin/env node
// bin landfall. A Node that is too old can't even read the rest, so nothing of it is imported before this was looked at.
const OLDEST = [22, 7] as const;

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
if (major > OLDEST[0] || (major === OLDEST[0] && minor >= OLDEST[1])) await import('./main.ts');
else {
  process.stderr.write(`landfall: This is Node ${process.versions.node}; landfall needs Node ${OLDEST.join('.')} or newer.\n`);
  process.exitCode = 2;
}
