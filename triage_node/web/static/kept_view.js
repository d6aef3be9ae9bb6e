// A form of the page loads it anew: how the reader had set the viewer, and where the page stood, must outlast that.

const FRESH_MS = 30_000; // what is older was left on purpose

export function keepView(viewer) {
  const kept = { path: location.pathname, at: Date.now(), scrollY, view: viewer.view() };
  sessionStorage.setItem("study-view", JSON.stringify(kept));
}

export function restoreView(viewer) {
  const kept = JSON.parse(sessionStorage.getItem("study-view") ?? "null");
  sessionStorage.removeItem("study-view");
  if (kept?.path !== location.pathname || Date.now() - kept.at > FRESH_MS) return;
  viewer.setView(kept.view);
  if (!document.getElementById("problem")) scrollTo({ top: kept.scrollY, behavior: "instant" });
}
