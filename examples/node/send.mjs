// Sends files from Node, two at a time, and resumes the uploads of an earlier run.
// Run: node send.mjs http://127.0.0.1:3000/uploads/files TOKEN FILE…   (needs landfall)
import { createUploader } from 'landfall';

const [endpoint = '', token = '', ...paths] = process.argv.slice(2);
const queue = createUploader({ endpoint, headers: { Authorization: `Bearer ${token}` } }).queue({ concurrency: 2 });

for (const path of paths) {
  const handle = queue.add(path);
  handle.done.then(
    ({ name, url }) => console.log('accepted', name, url),
    (error) => console.log('not accepted', path, error.message),
  );
}

const { counts } = await queue.idle();
process.exitCode = counts.accepted === paths.length ? 0 : 1;
