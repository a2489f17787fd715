import type { QueueOptions } from '../options.ts';
import type { ResumeRecord } from '../resume-store.ts';

export async function forget(_record: ResumeRecord, _options: QueueOptions): Promise<void> {}
