import { it } from 'vitest';
import { documentedProgram, runProgram } from '../support/documented-program.ts';
import { expectGrant, OWNER } from './grants-in-other-languages.ts';

it('the server accepts a grant made in PHP as the documentation shows', async () => {
  const program = `<?php
${documentedProgram('php')}
echo createGrant($argv[1], $argv[2], time() + 3600, ['maxUploads' => 1, 'maxUploadSize' => 1024]);
`;
  await expectGrant((secret) => runProgram(['php'], 'grant.php', program, [secret, OWNER]));
});
