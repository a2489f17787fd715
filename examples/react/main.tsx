import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { Uploads } from './uploads.tsx';

const endpoint = new URLSearchParams(location.search).get('endpoint') ?? '/files';
const root = document.querySelector('#root');
if (root !== null) {
  createRoot(root).render(
    <StrictMode>
      <Uploads endpoint={endpoint} />
    </StrictMode>,
  );
}
