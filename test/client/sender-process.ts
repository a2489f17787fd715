// An upload in a process of its own, for tests that kill it: `sender-process.ts SOURCE ENDPOINT STATE_DIRECTORY`. Prints
// a line of JSON for each snapshot, and one with the result. The process awaits `done` only with `--look`.

import { nodeStore } from '../../client/node/store.ts';
import { upload } from '../../client/node.ts';

const [source = '', endpoint = '', directory = '', look] = process.argv.slice(2);
const handle = upload(source, { endpoint, store: nodeStore(directory) });
handle.subscribe((snapshot) => console.log(JSON.stringify({ snapshot })));
if (look === '--look') console.log(JSON.stringify({ result: await handle.done }));
