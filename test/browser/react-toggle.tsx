// A component that sends a file, in a page that unmounts and mounts it again.
import { useState } from 'react';
import { createRoot } from 'react-dom/client';
import { createQueue } from '../../client/index.ts';
import { useLandfall, useQueue } from '../../client/react/use-landfall.ts';

const endpoint = new URLSearchParams(location.search).get('endpoint') ?? '/files';
const lasting = createQueue({ endpoint, confirmLeaving: false });

function Own() {
  const { uploads, queue } = useLandfall({ endpoint, confirmLeaving: false, chunkSize: 262_144 });
  Object.assign(window, { own: queue });
  return (
    <>
      <input type="file" onChange={({ target }) => target.files?.[0] && queue.add(target.files[0])} />
      <p>{uploads.map(({ state }) => state)}</p>
    </>
  );
}

function Lasting() {
  const { counts } = useQueue(lasting);
  return <output>{counts.accepted}</output>;
}

function Toggle() {
  const [isThere, setThere] = useState(true);
  return (
    <>
      <button type="button" onClick={() => setThere(!isThere)}>
        Toggle
      </button>
      <input aria-label="Lasting" type="file" onChange={({ target }) => target.files?.[0] && lasting.add(target.files[0])} />
      {isThere && <Own />}
      {isThere && <Lasting />}
    </>
  );
}

const root = document.querySelector('#root');
if (root !== null) createRoot(root).render(<Toggle />);
