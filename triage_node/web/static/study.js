// The page of a study: the viewer, and how the study stands while the page is open. Nothing that is being read is ever
// exchanged: the page says that something newer is there.

import { keepView, restoreView } from "./kept_view.js";
import { SliceViewer } from "./slice_viewer.js";
import { showTimes } from "./triage.js";

const FOLLOW_AGAIN_MS = 2000; // a stream that was refused, not cut off
const ASK_AGAIN_MS = 30_000; // beside the stream, for whoever has none
const STREAM = "/worklist/events?days=all&q="; // narrowed to the study; what else changes comes as bare UIDs
const GONE = "This study is no longer on this node. What you see is how it was.";
const CUT_OFF = "Connection lost, trying again. Who reads this study, and whether there is a newer reading, may be out of date.";
const SIGNED_OUT = "Your session has ended. Load the page again and sign in.";

class StandingPanel {
  constructor(panel) {
    this.panel = panel;
    this.path = panel.dataset.path;
    this.shown = this.shownReading(panel);
    this.asking = null;
    this.askAgain = false;
    this.ended = false;
  }

  shownReading(root) {
    return root.querySelector(".reading-state")?.dataset.shown ?? "";
  }

  // Several changes at once are asked for once; what changed after the question is asked for again.
  refresh() {
    if (this.ended || document.hidden) return;
    this.askAgain = this.asking !== null;
    this.asking ??= this.ask().finally(() => {
      this.asking = null;
      if (this.askAgain) this.refresh();
    });
  }

  async ask() {
    const asked = { headers: { Accept: "text/html" }, redirect: "manual" };
    const answer = await fetch(this.path, asked).catch(() => null);
    const isSignedOut = answer?.type === "opaqueredirect" || answer?.status === 401;
    showCutOff(!isSignedOut && (answer === null || answer.status >= 500));
    if (isSignedOut) this.end(SIGNED_OUT);
    else if (answer?.status === 404) this.end(GONE);
    else if (answer?.ok) this.update(await answer.text());
  }

  update(html) {
    const fresh = new DOMParser().parseFromString(html, "text/html").body;
    showTimes(fresh);
    if (this.shownReading(fresh) !== this.shown) tellOfNewerReading(this.panel);
    const fields = fresh.querySelectorAll("input.slice-field");
    const slice = document.getElementById("slice-slider")?.value;
    for (const field of fields) if (slice) Object.assign(field, { value: slice, disabled: false });
    if (fresh.textContent.trim() !== this.panel.textContent.trim()) this.panel.replaceChildren(...fresh.children);
  }

  end(words) {
    this.ended = true;
    showCutOff(false);
    tell(words);
  }
}

// The worklist's stream of changes, while somebody looks: a browser has six connections for a node, and the images need them.
function watch(study, standing) {
  const changed = () => standing.refresh();
  let source = null;
  let timer = null;
  const follow = () => {
    clearTimeout(timer);
    source?.close();
    source = null;
    if (document.hidden || standing.ended) return;
    source = new EventSource(STREAM + encodeURIComponent(study));
    source.addEventListener("open", changed); // what was missed
    source.addEventListener("rows", (event) => {
      const told = JSON.parse(event.data);
      if (told.gone.includes(study) || told.rows.some((row) => row.uid === study)) changed();
    });
    for (const name of ["reload", "ended"]) source.addEventListener(name, changed);
    source.addEventListener("error", () => {
      changed();
      if (source?.readyState === EventSource.CLOSED) timer = setTimeout(follow, FOLLOW_AGAIN_MS);
    });
  };
  document.addEventListener("visibilitychange", () => {
    changed();
    follow();
  });
  addEventListener("pagehide", () => source?.close());
  follow();
}

function showCutOff(isCutOff) {
  const line = document.getElementById("cut-off");
  line.hidden = !isCutOff;
  line.textContent = isCutOff ? CUT_OFF : "";
}

function tell(words, link) {
  const notice = document.createElement("p");
  notice.className = "notice warning";
  notice.append(words);
  if (link) notice.append(" ", link);
  const news = document.getElementById("news");
  if (news.textContent !== notice.textContent) news.replaceChildren(notice); // a link that is just being clicked stays
}

function tellOfNewerReading(panel) {
  const link = document.createElement("a");
  link.href = panel.dataset.path.replace(/\/reading$/, "");
  link.textContent = "Show it";
  tell("There is a newer reading of this study. What you see is the earlier one.", link);
}

function start() {
  const root = document.getElementById("viewer");
  if (root) {
    const viewer = new SliceViewer(root);
    restoreView(viewer);
    document.querySelector("main").addEventListener("submit", () => keepView(viewer));
  }
  const panel = document.getElementById("reading");
  if (!panel) return;
  const standing = new StandingPanel(panel);
  setInterval(() => standing.refresh(), ASK_AGAIN_MS);
  watch(panel.dataset.study, standing);
}

start();
