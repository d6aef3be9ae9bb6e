// The health page, looked at again and again; a page that loads itself anew would take the reader's place with it.

import { showTimes } from "./triage.js";

const AGAIN_MS = 5000;
const NO_ANSWER = "The node does not answer. What you see is how it was.";

async function look() {
  if (document.hidden) return;
  const answer = await fetch(location.href, { headers: { Accept: "text/html" } }).catch(() => null);
  const line = document.getElementById("no-answer");
  line.hidden = answer?.ok ?? false;
  line.textContent = line.hidden ? "" : NO_ANSWER;
  if (!answer?.ok) return;
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("health");
  showTimes(fresh);
  document.getElementById("health").replaceWith(fresh);
}

setInterval(look, AGAIN_MS);
