import '../element/define.ts';
import { KeyPrompt } from './key-prompt.ts';
import { showProgressInTitle } from './progress-title.ts';

const element = document.querySelector('landfall-upload');
if (element !== null) {
  element.querySelector('form')?.remove();
  // Keep the element visible while files wait for the key.
  const prompt = new KeyPrompt((isAsking) => {
    element.hidden = isAsking && element.snapshot.uploads.length === 0;
  });
  prompt.element.hidden = true;
  element.before(prompt.element);
  element.getToken = (request) => prompt.token(request);
  showProgressInTitle(element);
}
