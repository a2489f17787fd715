import { expect, it } from 'vitest';
import { documentedProgram, runProgram } from '../support/documented-program.ts';
import { expectGrant, OWNER } from './grants-in-other-languages.ts';

it('the server accepts a grant made in Go as the documentation shows', async () => {
  const program = `package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"time"
)

${documentedProgram('go')}
func main() {
	limits := map[string]any{"maxUploads": 1, "maxUploadSize": "1 KiB"}
	fmt.Println(createGrant(os.Args[1], "id-1", os.Args[2], time.Now().Add(time.Hour), limits))
}
`;
  expect(documentedProgram('go').trim().split('\n').length).toBeLessThan(12);
  await expectGrant((secret) => runProgram(['go', 'run'], 'grant.go', program, [secret, OWNER]));
});
