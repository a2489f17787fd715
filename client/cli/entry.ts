#!/usr/bin/env node
// The program `landfall`. An old Node cannot parse the other files, so the version is checked before they are imported.
const OLDEST = [22, 7] as const;

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
if (major > OLDEST[0] || (major === OLDEST[0] && minor >= OLDEST[1])) await import('./main.ts');
else {
  process.stderr.write(`landfall: This is Node ${process.versions.node}; landfall needs Node ${OLDEST.join('.')} or newer.\n`);
  process.exitCode = 2;
}
