#!/usr/bin/env node
// bin landfall-server. A Node that is too old can't even read the rest, so nothing of it is imported before this was looked at.
const OLDEST_MAJOR = 24;

if (Number(process.versions.node.split('.')[0]) >= OLDEST_MAJOR) await import('./main.ts');
else {
  process.stderr.write(`landfall-server: This is Node ${process.versions.node}; Landfall's server needs Node ${OLDEST_MAJOR} or newer.\n`);
  process.exitCode = 2;
}
