// What every page does: the theme switch, times in the browser's own time zone, waiting times that go on.

const THEMES = ["system", "dark", "light"];

function showTheme(button, theme) {
  if (theme === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  button.querySelector(".theme-name").textContent = theme;
}

function startThemeSwitch() {
  const button = document.getElementById("theme-switch");
  if (!button) return;
  let theme = THEMES.includes(localStorage.getItem("theme")) ? localStorage.getItem("theme") : "system";
  showTheme(button, theme);
  button.hidden = false;
  button.addEventListener("click", () => {
    theme = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length];
    localStorage.setItem("theme", theme);
    showTheme(button, theme);
  });
}

// A time of today as its clock time, an older one with its day; the whole of it on hovering.
export function shownMoment(moment, now = new Date()) {
  const clock = moment.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
  if (moment.toDateString() === now.toDateString()) return clock;
  const day = { day: "numeric", month: "short" };
  if (moment.getFullYear() !== now.getFullYear()) day.year = "numeric";
  return `${moment.toLocaleDateString([], day)}, ${clock}`;
}

// As web/words.py::elapsed_words says it.
export function shownElapsed(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const minutes = Math.floor(whole / 60);
  const hours = Math.floor(minutes / 60);
  if (whole < 60) return `${whole} s`;
  if (hours < 1) return `${minutes} min`;
  if (hours < 48) return `${hours} h ${String(minutes % 60).padStart(2, "0")} min`;
  return `${Math.floor(hours / 24)} days`;
}

// <time datetime=...> shows its moment, <time class="since" datetime=...> how long ago it was; call it on what is added later.
export function showTimes(root = document) {
  for (const each of root.querySelectorAll("time[datetime]:not(.since)")) {
    const moment = new Date(each.dateTime);
    each.textContent = shownMoment(moment);
    each.title = moment.toLocaleString([], { dateStyle: "full", timeStyle: "long" });
  }
  showElapsed(root);
}

function showElapsed(root = document) {
  const now = Date.now();
  for (const each of root.querySelectorAll("time.since")) {
    const shown = shownElapsed((now - new Date(each.dateTime)) / 1000);
    if (each.textContent !== shown) each.textContent = shown;
  }
}

// A request that changes something, with the session's CSRF token; a page that it leads to is not loaded.
export function send(method, path, body) {
  const token = document.querySelector('meta[name="csrf-token"]')?.content ?? "";
  const headers = { "X-CSRF-Token": token };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const content = body === undefined ? undefined : JSON.stringify(body);
  return fetch(path, { method, headers, body: content, redirect: "manual" });
}

startThemeSwitch();
document.querySelector(".site-navigation a[aria-current]")?.scrollIntoView({ block: "nearest", inline: "nearest" });
showTimes();
setInterval(showElapsed, 1000);
