import { uploadx } from '@uploadx/core';
import express from 'express';
import { DIRECTORY, listen } from './listen.ts';

const app = express();
app.use('/files', uploadx({ uploadDir: `${DIRECTORY}/uploads`, useRelativeLocation: true }));
listen(app);
