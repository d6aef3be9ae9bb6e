// The worklist while it is open: rows that change are put in their place, keys move through them, a flag is announced.
// Everything else the server has rendered already; without this script the page is complete, and still.

import { send, showTimes } from "./triage.js";

const table = document.getElementById("worklist");
const rows = document.getElementById("rows");
const empty = document.getElementById("empty");
const paging = document.getElementById("paging");
const nextPage = document.getElementById("next-page");
const help = document.getElementById("help");
const search = document.getElementById("q");
const pageLength = Number(table.dataset.rows);
const COUNTED_AT_MOST = 1000;

// Places ------------------------------------------------------------------------------------------------------------

const numbers = (place) => place.split(".").map(Number);

function comesBefore(one, other) {
  const [left, right] = [numbers(one), numbers(other)];
  for (let at = 0; at < left.length; at += 1) if (left[at] !== right[at]) return left[at] < right[at];
  return false;
}

const allRows = () => [...rows.children];
const rowOf = (uid) => rows.querySelector(`tr[data-uid="${CSS.escape(uid)}"]`);

function rowFrom(html) {
  const holder = document.createElement("template");
  holder.innerHTML = html; // rendered by our server, which escapes all that came with a study
  return holder.content.querySelector("tr");
}

function putInPlace(row) {
  const place = row.dataset.place;
  const after = table.dataset.after;
  const before = allRows().find((each) => comesBefore(place, each.dataset.place));
  const beyond = !before && !paging.hidden; // it belongs to a page after this one
  if (beyond || (after && !comesBefore(after, place))) return;
  rows.insertBefore(row, before ?? null);
  showTimes(row);
}

// Keep the page at its length; what falls off its end begins the next page.
function trim() {
  const shown = allRows();
  if (shown.length <= pageLength) return;
  for (const each of shown.slice(pageLength)) each.remove();
  const address = new URL(nextPage.href);
  address.searchParams.set("after", shown[pageLength - 1].dataset.place);
  nextPage.href = address.href;
  paging.hidden = false;
}

// Where the keyboard is stays where it is, though the row below it is made anew.
function replaceRow(old, row) {
  const focused = document.activeElement;
  const held = old.contains(focused) ? (focused.classList.contains("acknowledge") ? ".acknowledge" : ".open-study") : null;
  if (old.dataset.place === row.dataset.place) {
    old.replaceWith(row);
    showTimes(row);
  } else {
    old.remove();
    putInPlace(row);
  }
  if (held) (row.querySelector(held) ?? row.querySelector(".open-study")).focus({ preventScroll: true });
}

function removeRow(row) {
  const neighbour = row.nextElementSibling ?? row.previousElementSibling;
  const focused = row.contains(document.activeElement);
  row.remove();
  if (focused) (neighbour?.querySelector(".open-study") ?? search).focus({ preventScroll: true });
}

// What the stream says ------------------------------------------------------------------------------------------------

function showRows({ rows: changed, gone, flagged, unacknowledged }) {
  for (const uid of gone) {
    const row = rowOf(uid);
    if (row) removeRow(row);
  }
  for (const each of changed) {
    const row = rowFrom(each.html);
    const old = rowOf(each.uid);
    if (old) replaceRow(old, row);
    else putInPlace(row);
  }
  trim();
  table.hidden = rows.children.length === 0;
  empty.hidden = !table.hidden;
  showCount(unacknowledged);
  if (flagged.length) document.getElementById("announcement").textContent = flagged.join(". ");
}

function showCount(count) {
  const line = document.getElementById("flag-count");
  line.classList.toggle("some", count > 0);
  line.querySelector("strong").textContent = count < COUNTED_AT_MOST ? count : `${COUNTED_AT_MOST} or more`;
  const title = document.title.replace(/^\(\d+\) /, "");
  document.title = count ? `(${count}) ${title}` : title;
}

const stream = { source: null, mark: table.dataset.mark, timer: null };
const RETRY_MS = 2000;

function say(words) {
  const line = document.getElementById("stream-state");
  line.hidden = !words;
  if (line.textContent !== words) line.textContent = words;
}

function showSignedOut() {
  say("You are signed out. Load the page again to go on.");
  rows.replaceChildren();
  table.hidden = true;
}

// A stream that is refused does not say why: whoever is led to the sign-in page has been signed out.
async function watchAgain() {
  const answer = await fetch(location.href, { redirect: "manual" }).catch(() => null);
  if (answer?.type === "opaqueredirect" || answer?.status === 401) showSignedOut();
  else watch();
}

function watch() {
  clearTimeout(stream.timer);
  stream.source?.close();
  const source = new EventSource(`${table.dataset.events}&since=${stream.mark}`);
  stream.source = source;
  source.addEventListener("open", () => {
    table.dataset.watching = "yes";
    say("");
  });
  source.addEventListener("rows", (event) => {
    stream.mark = event.lastEventId || stream.mark;
    showRows(JSON.parse(event.data));
  });
  source.addEventListener("reload", () => location.reload());
  source.addEventListener("ended", () => {
    source.close();
    showSignedOut();
  });
  source.addEventListener("error", () => {
    table.dataset.watching = "no";
    say("Connection lost, trying again");
    if (source.readyState === EventSource.CLOSED) stream.timer = setTimeout(watchAgain, RETRY_MS); // refused, not cut off
  });
}

// Keys ----------------------------------------------------------------------------------------------------------------

function move(step) {
  const shown = allRows();
  if (!shown.length) return;
  const at = shown.findIndex((row) => row.contains(document.activeElement));
  const to = at < 0 ? (step > 0 ? 0 : shown.length - 1) : Math.min(shown.length - 1, Math.max(0, at + step));
  const link = shown[to].querySelector(".open-study");
  link.focus({ preventScroll: true });
  shown[to].scrollIntoView({ block: "nearest" });
}

const KEYS = {
  j: () => move(1),
  ArrowDown: () => move(1),
  k: () => move(-1),
  ArrowUp: () => move(-1),
  "/": () => search.select() ?? search.focus(),
  n: () => paging.hidden || nextPage.click(),
  a: () => acknowledge(document.activeElement.closest("tr.study")?.querySelector("button.acknowledge")),
  "?": () => help.showModal(),
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || help.open) return;
  if (event.key === "Escape" && document.activeElement === search) search.blur();
  if (event.target.closest("input, select, textarea, summary")) return;
  const action = KEYS[event.key];
  if (!action) return;
  event.preventDefault();
  action();
});

// Acknowledging -------------------------------------------------------------------------------------------------------

async function acknowledge(button) {
  if (!button || button.disabled || !document.body.classList.contains("may-read")) return;
  button.disabled = true;
  const answer = await send("POST", `/studies/${button.dataset.uid}/acknowledge`).catch(() => null);
  if (answer?.ok || answer?.type === "opaqueredirect") return; // the stream brings the row as it then is
  button.disabled = false;
  const said = answer ? "It could not be acknowledged: open the study to see how it stands." : "The node does not answer.";
  document.getElementById("announcement").textContent = said;
  button.title = said;
}

rows.addEventListener("click", (event) => {
  const button = event.target.closest("button.acknowledge");
  if (button) acknowledge(button);
});

// A choice in the filters shows at once; the search when Enter is pressed.
for (const each of document.querySelectorAll("#filters select, #filters input[type=checkbox], #filters input[type=date]")) {
  each.addEventListener("change", () => each.form.requestSubmit());
}
// Fields that ask nothing stay out of the address, so that it can be read and kept.
document.getElementById("filters").addEventListener("formdata", (event) => {
  for (const [name, value] of [...event.formData]) if (!value) event.formData.delete(name);
});

document.getElementById("show-help").hidden = false;
document.getElementById("show-help").addEventListener("click", () => help.showModal());
addEventListener("pagehide", () => stream.source?.close());
addEventListener("pageshow", (event) => event.persisted && location.reload());
watch();
