// The server accepts tokens made by PyJWT, an independent implementation of the standards.
import { generateKeyPairSync } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { bearer } from '../support/credentials.ts';
import { documentedProgram, runProgram } from '../support/documented-program.ts';
import { embedLandfall } from '../support/landfall-embedded.ts';
import { SYSTEM_PYTHON } from '../support/needs.ts';
import { testDirectory } from '../support/temp-dir.ts';
import { createUpload } from '../support/tus-requests.ts';
import { expectGrant, OWNER } from './grants-in-other-languages.ts';

const FILE = { length: 4, name: 'a.txt', body: Buffer.from('text') };
const SECRET = 'a secret of the application which is long enough for every one of them: 64';
const ISSUER = 'https://login.example';

/** Runs a program that prints one token a line. */
function python(program: string, ...parameters: string[]): Promise<string> {
  return runProgram([SYSTEM_PYTHON], 'tokens.py', program, parameters);
}

const SIGN = `
import sys, time, jwt
key, algorithms = open(sys.argv[1]).read(), sys.argv[2].split(",")
now = int(time.time())
claims = {"sub": "anna", "iss": "${ISSUER}", "aud": ["mail", "uploads"], "iat": now, "nbf": now, "exp": now + 3600}
for algorithm in algorithms:
    for changes in [{}, {"exp": now - 3600}, {"aud": "mail"}, {"nbf": now + 3600}]:
        print(jwt.encode({**claims, **changes}, None if algorithm == "none" else key, algorithm=algorithm))
`;
const ANSWERS = [
  [201, undefined],
  [401, 'ERR_ACCESS_EXPIRED'],
  [401, 'ERR_UNAUTHORIZED'],
  [401, 'ERR_UNAUTHORIZED'],
];

function file(text: string): string {
  const path = join(testDirectory(), 'key');
  writeFileSync(path, text);
  return path;
}

async function answersOf(files: string, tokens: string): Promise<unknown[]> {
  const answers = [];
  for (const token of tokens.split('\n')) {
    const { status, code } = await createUpload(files, { ...FILE, headers: bearer(token) });
    answers.push([status, code]);
  }
  return answers;
}

describe('a token of PyJWT', () => {
  const CLAIMS = { access: 'jwt', jwtIssuer: ISSUER, jwtAudience: 'uploads' };

  it('signed with a secret counts', async () => {
    const { files } = await embedLandfall({ ...CLAIMS, jwtSecret: SECRET });
    const tokens = await python(SIGN, file(SECRET), 'HS256,HS384,HS512');
    expect(await answersOf(files, tokens)).toEqual([...ANSWERS, ...ANSWERS, ...ANSWERS]);
  });

  it.for([
    ['RS256,RS512,PS384', generateKeyPairSync('rsa', { modulusLength: 2048 })],
    ['ES256', generateKeyPairSync('ec', { namedCurve: 'P-256' })],
    ['ES512', generateKeyPairSync('ec', { namedCurve: 'P-521' })],
    ['EdDSA', generateKeyPairSync('ed25519')],
  ] as const)('signed with a private key counts: %s', async ([algorithms, { privateKey, publicKey }]) => {
    const path = file(publicKey.export({ type: 'spki', format: 'pem' }) as string);
    const { files } = await embedLandfall({ ...CLAIMS, jwtPublicKeyFile: path });
    const tokens = await python(SIGN, file(privateKey.export({ type: 'pkcs8', format: 'pem' }) as string), algorithms);
    expect(await answersOf(files, tokens)).toEqual(algorithms.split(',').flatMap(() => ANSWERS));
  });

  it('without a signature does not count', async () => {
    const { files } = await embedLandfall({ ...CLAIMS, jwtSecret: SECRET });
    const tokens = await python(SIGN, file(''), 'none');
    expect(await answersOf(files, tokens)).toEqual(Array(4).fill([401, 'ERR_UNAUTHORIZED']));
  });
});

it('the server accepts a grant made in Python as the documentation shows', async () => {
  const program = `import sys\n${documentedProgram('python')}\nprint(create_grant(sys.argv[1], sys.argv[2], 3600, maxUploads=1, maxUploadSize=1024))\n`;
  await expectGrant((secret) => python(program, secret, OWNER));
});

it('PyJWT reads a grant made by createGrant', async () => {
  const { createGrant } = await import('../../server/grants.ts');
  const token = createGrant(SECRET, { owner: OWNER, expires: '1h', id: 'x', maxBytes: '1 GiB' });
  const read =
    'import sys, json, jwt\nprint(json.dumps(jwt.decode(sys.argv[1], sys.argv[2], algorithms=["HS256"], options={"require": ["exp", "iat", "jti"]})))';
  expect(JSON.parse(await python(read, token, SECRET))).toMatchObject({ jti: 'x', landfall: { owner: OWNER, maxBytes: 1024 ** 3 } });
});
