#!/usr/bin/env node
// The bin `landfall-server`. An old Node cannot parse the rest of the code, so the version is checked before anything is imported.
const OLDEST_MAJOR = 24;

if (Number(process.versions.node.split('.')[0]) >= OLDEST_MAJOR) await import('./main.ts');
else {
  process.stderr.write(`landfall-server: This is Node ${process.versions.node}; Landfall's server needs Node ${OLDEST_MAJOR} or newer.\n`);
  process.exitCode = 2;
}
