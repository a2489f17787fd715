// Landfall embedded in this process, so that its event loop can be measured. Everything else starts `server/main.ts`.
import { pino } from 'pino';
import { createLandfall } from '../../../server/app.ts';
import { configFromEnvironment } from '../../../server/config/config.ts';
import { boundHeapGrowth } from '../../../server/runtime/heap-growth.ts';
import { listen } from './listen.ts';

boundHeapGrowth();
const config = configFromEnvironment(process.env);
const landfall = createLandfall(config, { logger: pino({ level: config.logLevel }) });
await landfall.start();
listen(landfall.handler, (server) => landfall.attach(server));
