import { mkdirSync } from 'node:fs';
import formidable from 'formidable';
import { DIRECTORY, listen } from './listen.ts';

const uploadDir = `${DIRECTORY}/uploads`;
mkdirSync(uploadDir, { recursive: true });
const UNLIMITED = Number.MAX_SAFE_INTEGER;

listen(async (request, response) => {
  const form = formidable({ uploadDir, maxFileSize: UNLIMITED, maxTotalFileSize: UNLIMITED });
  const [, files] = await form.parse(request);
  response.end(String(files.file?.[0]?.size));
});
