import express from 'express';
import multer from 'multer';
import { DIRECTORY, listen } from './listen.ts';

const app = express();
const upload = multer({ dest: `${DIRECTORY}/uploads` });
app.post('/upload', upload.single('file'), (request, response) => {
  response.end(String(request.file?.size));
});
listen(app);
