// The texts of a row and of the summary in each state, and the format of figures.
import { describe, expect, it } from 'vitest';
import { Formats } from '../../client/element/format.ts';
import { Language } from '../../client/element/language.ts';
import { overviewOf } from '../../client/element/list/overview-view.ts';
import { rowView } from '../../client/element/list/view.ts';
import { tailStart, visibleName } from '../../client/element/name.ts';
import { refusalOf } from '../../client/element/policy.ts';
import { ENGLISH, wordsWith } from '../../client/element/strings.ts';
import { isSameFile } from '../../client/element/unfinished/file-handles.ts';
import type { QueueSnapshot } from '../../client/handle/queue-snapshot.ts';
import type { UploadSnapshot, UploadState, WaitingReason } from '../../client/handle/snapshot.ts';
import type { ResumeRecord } from '../../client/resume/store.ts';
import { UploadError } from '../../shared/errors.ts';
import { parsePolicy } from '../../shared/policy.ts';

const MIB = 1024 * 1024;
const language = new Language(ENGLISH, 'en');

/** The fields that a snapshot always has in a state. */
const OF_STATE: Partial<Record<UploadState, object>> = {
  waiting: { waiting: { reason: 'busy' } },
  accepted: { url: 'http://localhost/files/a' },
  rejected: { error: new UploadError('ERR_EMPTY') },
  failed: { error: new UploadError('ERR_NETWORK') },
  cancelled: { error: new UploadError('ERR_CANCELLED') },
};

function snapshot(state: UploadState, more: object = {}): UploadSnapshot {
  return {
    id: 'a',
    name: 'film.mp4',
    state,
    sent: 0,
    confirmed: 0,
    size: 100 * MIB,
    bytesPerSecond: 0,
    etaSeconds: null,
    resumedFrom: 0,
    attempt: 1,
    ...OF_STATE[state],
    ...more,
  } as UploadSnapshot;
}

const STATES: UploadState[] = [
  'queued',
  'preparing',
  'uploading',
  'waiting',
  'paused',
  'inspecting',
  'accepted',
  'rejected',
  'failed',
  'cancelled',
];

describe('a row', () => {
  it('describes its state in words, and offers an action except while the server inspects', () => {
    for (const state of STATES) {
      const view = rowView(snapshot(state), language, 0);
      expect(view.state, state).not.toBe('');
      expect(view.actions.length > 0, state).toBe(state !== 'inspecting');
    }
  });

  it('shows percent, bytes, speed and time left while the client sends', () => {
    const view = rowView(
      snapshot('uploading', { sent: 41.5 * MIB, confirmed: 40 * MIB, bytesPerSecond: 2 * MIB, etaSeconds: 29 }),
      language,
      0,
    );
    expect([view.percent, view.state, ...view.facts]).toEqual(['41%', 'Uploading', '41.5 of 100 MiB', '2.0 MiB/s', '30 sec left']);
  });

  it('says that all bytes are sent, and offers Pause and Cancel until the server has them', () => {
    const view = rowView(snapshot('uploading', { sent: 100 * MIB, confirmed: 96 * MIB, bytesPerSecond: 9 }), language, 0);
    expect([view.percent, view.state, ...view.facts]).toEqual(['99%', 'Sent, waiting for the server', '100 MiB']);
    expect(view.actions).toEqual(['pause', 'cancel']);
  });

  it('is never full before the verdict', () => {
    for (const state of ['uploading', 'waiting', 'inspecting'] as const) {
      expect(rowView(snapshot(state, { sent: 100 * MIB, confirmed: 100 * MIB - 1 }), language, 0).percent, state).toBe('99%');
    }
  });

  it('has a sentence for every reason to wait, and counts down', () => {
    const reasons = Object.keys(ENGLISH.waitingReason) as WaitingReason[];
    for (const reason of reasons) {
      expect(rowView(snapshot('waiting', { waiting: { reason } }), language, 0).reason, reason).toMatch(/\.$/);
    }
    const view = rowView(snapshot('waiting', { waiting: { reason: 'unreachable', until: 5000 } }), language, 1000);
    expect(view.reason).toBe('The server cannot be reached. Your progress is saved. Retrying in 4 sec.');
    expect(view.canRetryNow).toBe(true);
  });

  it('shows the server’s reason, title and detail', () => {
    const error = new UploadError('ERR_TYPE_MISMATCH', { detail: 'It holds a program.' });
    expect(rowView(snapshot('rejected', { error }), language, 0).reason).toBe(
      'The content of the file does not match its name. It holds a program.',
    );
  });
});

function queue(uploads: UploadSnapshot[]): QueueSnapshot {
  const counts = Object.fromEntries(STATES.map((state) => [state, uploads.filter((upload) => upload.state === state).length]));
  const sum = (of: (upload: UploadSnapshot) => number) => uploads.reduce((total, upload) => total + of(upload), 0);
  return {
    uploads,
    counts: counts as QueueSnapshot['counts'],
    sent: sum(({ sent }) => sent),
    confirmed: sum(({ confirmed }) => confirmed),
    size: sum(({ size }) => size ?? 0),
    bytesPerSecond: 0,
    etaSeconds: null,
    isPaused: false,
    isIdle: false,
  };
}

const policy = parsePolicy('images,video');
const strings = wordsWith({
  groups: { images: 'Bilder' },
  waiting: { offline: 'Kein Netz' },
  reasons: {
    ERR_TYPE_NOT_ALLOWED: ({ name, extension, allowed }) => `${name}: ${extension} geht nicht, nur ${allowed}.`,
    ERR_MAX_SIZE_EXCEEDED: ({ size, limit }) => `${size} sind mehr als ${limit}.`,
    ERR_GAVE_UP: () => 'Aufgegeben.',
  },
});
const german = new Language(strings, 'de', { policy, maxUploadSize: 3 * MIB });

describe('the texts of another language', () => {
  it('describe refusals and failures by their code, with the values they contain', () => {
    const refused = (name: string, size: number) => {
      const refusal = refusalOf({ policy, maxUploadSize: 3 * MIB }, { name, size });
      return refusal && german.reason(refusal, { name, size });
    };
    expect(refused('a.exe', 1)).toBe('a.exe: .exe geht nicht, nur Bilder, video.');
    expect(refused('a.mp4', 4.5 * MIB)).toBe('4,5 MiB sind mehr als 3 MiB.');
    const error = new UploadError('ERR_MAX_SIZE_EXCEEDED', { detail: 'As the server says.' });
    expect(rowView(snapshot('rejected', { error }), german, 0).reason).toBe('100 MiB sind mehr als 3 MiB.');
    expect(rowView(snapshot('failed', { error: new UploadError('ERR_GAVE_UP') }), german, 0).reason).toBe('Aufgegeben.');
  });

  it('fall back to English when a text is missing', () => {
    expect(rowView(snapshot('waiting', { waiting: { reason: 'offline' } }), german, 0).state).toBe('Kein Netz');
    expect(rowView(snapshot('waiting', { waiting: { reason: 'busy' } }), german, 0).state).toBe('Waiting for the server');
    expect(refusalOf({ policy, maxUploadSize: null }, { name: 'a.mp4', size: 0 })).toMatchObject({ code: 'ERR_EMPTY' });
    expect(german.reason({ code: 'ERR_EMPTY', title: 'The file is empty.' }, { name: 'a', size: 0 })).toBe('The file is empty.');
  });
});

describe('a name', () => {
  it.each([
    ['interview-with-the-keeper-part-2-of-3.mov', '-part-2-of-3.mov'],
    ['film.mp4', 'ilm.mp4'],
    ['averyveryverylongnamewithoutanybreak.jpeg', 'ybreak.jpeg'],
    ['كلماتطويلةجدابلافاصل.png', '.png'],
    ['كلمات طويلة.png', ' طويلة.png'],
    ['🏝'.repeat(20), '🏝'.repeat(3)],
    ['x', ''],
  ])('%s keeps %s visible', (name, tail) => {
    expect(name.slice(tailStart(name))).toBe(tail);
  });

  it('keeps the joiners that its script needs, and shows those that could hide something', () => {
    const persian = 'می\u200cخواهم.mp4';
    expect(visibleName(persian)).toBe(persian);
    expect(visibleName('pay\u200cpal\u202egpj.exe')).toBe('pay·pal·gpj.exe');
  });
});

describe('the summary', () => {
  it('offers the actions that apply to all uploads', () => {
    const actions = (...states: UploadState[]) => overviewOf(queue(states.map((state) => snapshot(state))), 0, 0, language).actions;
    expect(actions('uploading', 'queued')).toEqual(['pauseAll', 'cancelAll']);
    expect(actions('paused', 'accepted')).toEqual(['resumeAll', 'cancelAll', 'clearEnded']);
    expect(actions('failed', 'accepted')).toEqual(['retryAll', 'clearEnded']);
    expect(actions('inspecting')).toEqual([]);
  });

  it('counts files refused before sending among those not uploaded', () => {
    const { figure, tone } = overviewOf(queue([snapshot('accepted')]), 1, 0, language);
    expect([figure, tone]).toEqual(['1 complete, 1 not', 'still']);
    expect(overviewOf(queue([snapshot('accepted')]), 0, 0, language)).toMatchObject({
      figure: 'Upload complete',
      tone: 'good',
      fraction: 1,
    });
  });

  it('shows no more than 99 % until every upload has ended', () => {
    expect(overviewOf(queue([snapshot('uploading', { sent: 100 * MIB })]), 0, 0, language).figure).toBe('99%');
  });
});

describe('figures', () => {
  it.each([
    [1.2 * 1024 * MIB, 4.1 * 1024 * MIB, '1.2 of 4.1 GiB'],
    [24 * MIB, 1024 * MIB, '24.0 MiB of 1.0 GiB'],
    [0, 1024 * MIB, '0 B of 1.0 GiB'],
  ])('%d of %d bytes are %s', (part, whole, text) => {
    const amounts = language.formats.bytesOf(part, whole);
    expect(ENGLISH.sentOf(amounts.part, amounts.whole)).toBe(text);
  });

  it.each([
    [0, '0 B'],
    [1023, '1,023 B'],
    [1024, '1 KiB'],
    [1.5 * MIB, '1.5 MiB'],
    [1023.97 * MIB, '1 GiB'],
    [312.4 * 1024 * MIB, '312 GiB'],
  ])('%d bytes are %s', (bytes, text) => {
    expect(language.formats.bytes(bytes)).toBe(text);
  });

  it.each([
    [0.2, '1 sec'],
    [42, '45 sec'],
    [55, '55 sec'],
    [56, '1 min'],
    [3600, '1 hr'],
    [5000, '1 hr 23 min'],
    [200_000, '2 days 8 hr'],
  ])('%d seconds are %s', (seconds, text) => {
    expect(language.formats.duration(seconds)).toBe(text);
  });

  it('are written in the page’s language, with a fallback for an invalid language tag', () => {
    expect(new Formats('de').bytes(1.5 * MIB)).toBe('1,5 MiB');
    expect(new Formats('no such tag').bytes(1024)).toMatch(/^1.?KiB$/);
  });
});

describe('a file chosen again', () => {
  it('is the interrupted one only with the same name, length and time', () => {
    const file = new File(['12345'], 'film.mp4', { lastModified: 7 });
    const record = { name: 'film.mp4', size: 5, lastModified: 7 } as ResumeRecord;
    expect(isSameFile(record, file)).toBe(true);
    expect(isSameFile({ ...record, lastModified: null }, file)).toBe(true);
    for (const other of [{ name: 'Film.mp4' }, { size: 6 }, { lastModified: 8 }])
      expect(isSameFile({ ...record, ...other }, file)).toBe(false);
  });
});
