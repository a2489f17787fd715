import { testDocumentedProxy } from './documented-proxy.ts';

testDocumentedProxy('Caddy');
