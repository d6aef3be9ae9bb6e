// The slices of a series in three windows, with the heatmap over them: scrolled by wheel, keys, touch and the curve below,
// enlarged alike in all windows.

import { Dragging, listenToWheel } from "./slice_gestures.js";
import { NotShown, SliceLoader } from "./slice_loader.js";
import { Pane } from "./slice_pane.js";
import { SliceZoom } from "./slice_zoom.js";

const MOST_PICTURES = 240;
const AHEAD = 8;
const BEHIND = 3;
const PAGE = 5;
const ZOOM_STEP = 1.25;
const PAN_STEP = 0.1; // of the screen
const NARROW = "(max-width: 48rem)";

// As web/words.py::probability_words says it.
function percent(probability) {
  if (probability > 0.99) return "over 99 %";
  return probability < 0.01 ? "under 1 %" : `${Math.round(probability * 100)} %`;
}

export class SliceViewer {
  constructor(root) {
    this.root = root;
    this.slices = JSON.parse(root.dataset.slices);
    this.panes = [...root.querySelectorAll(".pane")].map((figure) => new Pane(figure));
    this.loader = new SliceLoader(MOST_PICTURES);
    this.index = Number(root.dataset.first);
    this.direction = 1;
    this.heatSwitch = root.querySelector("#heat-on");
    this.fade = root.querySelector("#heat-fade");
    this.slider = root.querySelector("#slice-slider");
    this.cursor = root.querySelector(".cursor");
    this.bars = [...root.querySelectorAll("a.bar")];
    root.style.setProperty("--aspect", root.dataset.aspect);
    for (const tools of root.querySelectorAll(".viewer-tools, .jumps")) tools.hidden = false;
    this.slider.hidden = false;
    this.zoom = new SliceZoom((scale, x, y) => this.enlarge(scale, x, y));
    this.listen();
    this.showWindow(matchMedia(NARROW).matches ? "brain" : "all");
    this.setFade();
    this.show(this.index);
  }

  // what is shown ------------------------------------------------------------------------------------------------------

  show(index) {
    const wanted = Math.min(Math.max(index, 0), this.slices.length - 1);
    this.direction = wanted < this.index ? -1 : 1;
    this.index = wanted;
    this.mark();
    for (const pane of this.panes) if (pane.isShown) this.draw(pane);
    this.preload();
    document.querySelectorAll("input.slice-field").forEach((field) => {
      field.value = String(wanted + 1);
      field.disabled = false;
    });
  }

  async draw(pane) {
    const index = this.index;
    const waiting = setTimeout(() => pane.figure.classList.add("waiting"), 80);
    let picture = null;
    let heatmap = null;
    let trouble = "";
    try {
      [picture, heatmap] = await Promise.all([this.loader.get(this.slicePath(pane, index)), this.heatmapOf(pane, index)]);
    } catch (error) {
      trouble = error instanceof NotShown ? error.message : "This image cannot be shown.";
    }
    clearTimeout(waiting);
    if (index === this.index) pane.draw(picture, heatmap, this.wordsOf(index), trouble);
  }

  // While a window is being dragged each picture is awaited before the next is asked for: only the last one counts.
  async redraw(pane) {
    pane.isStale = true;
    if (pane.isDrawing) return;
    pane.isDrawing = true;
    while (pane.isStale) {
      pane.isStale = false;
      await this.draw(pane);
    }
    pane.isDrawing = false;
  }

  // A heatmap that cannot be had must not take the slice with it.
  async heatmapOf(pane, index) {
    if (!this.heatSwitch?.checked || !pane.heatIsOn || !this.slices[index].heatmap) return null;
    return this.loader.get(this.heatmapPath(index)).catch(() => null);
  }

  slicePath(pane, index) {
    return `${this.root.dataset.slicePath}${index}.png?${pane.query}&revision=${this.root.dataset.revision}`;
  }

  heatmapPath(index) {
    return `${this.root.dataset.heatmapPath}${index}.png`;
  }

  wordsOf(index) {
    const slice = this.slices[index];
    const position = `${slice.position_mm > 0 ? "+" : ""}${slice.position_mm.toFixed(1)} mm`;
    const flag = slice.flagged ? " flagged" : "";
    return {
      place: `${index + 1}/${this.slices.length}  ${position}`,
      chance: slice.probability === null ? "" : `${percent(slice.probability)}${flag}`,
    };
  }

  // Curve and slider follow at once, also where the picture is still on its way.
  mark() {
    const slice = this.slices[this.index];
    const chance = slice.probability === null ? "" : `, probability ${percent(slice.probability)}`;
    const words = `Slice ${this.index + 1} of ${this.slices.length}${chance}${slice.flagged ? ", flagged" : ""}`;
    this.slider.value = String(this.index + 1);
    this.slider.setAttribute("aria-valuetext", words);
    this.root.querySelector("#slice-words").textContent = words;
    this.bars.forEach((bar, index) => {
      bar.classList.toggle("current", index === this.index);
      if (index === this.index) bar.setAttribute("aria-current", "true");
      else bar.removeAttribute("aria-current");
    });
    if (this.cursor) this.cursor.setAttribute("x", this.bars[this.index].querySelector(".column").getAttribute("x"));
  }

  preload() {
    const steps = [];
    for (let step = 1; step <= AHEAD; step += 1) {
      steps.push(step * this.direction);
      if (step <= BEHIND) steps.push(-step * this.direction);
    }
    for (const step of steps) {
      const index = this.index + step;
      if (index < 0 || index >= this.slices.length) continue;
      for (const pane of this.panes) {
        if (!pane.isShown) continue;
        this.loader.get(this.slicePath(pane, index)).catch(() => {});
        this.heatmapOf(pane, index);
      }
    }
  }

  // tools --------------------------------------------------------------------------------------------------------------

  showWindow(name) {
    this.root.querySelector(".panes").dataset.showing = name;
    for (const button of this.root.querySelectorAll(".show-window")) {
      button.setAttribute("aria-pressed", String(button.dataset.show === name));
    }
    this.show(this.index);
  }

  setWindow(pane, width, center) {
    if (pane.setWindow(width, center)) this.redraw(pane);
  }

  enlarge(scale, x, y) {
    for (const pane of this.panes) pane.enlarge(scale, x, y);
    this.root.querySelector("#zoom-level").value = `${Math.round(scale * 100)} %`;
  }

  resetView() {
    this.zoom.reset();
    for (const pane of this.panes) if (pane.resetWindow()) this.redraw(pane);
  }

  // How the reader has set it, for a page that is loaded anew; which slice is shown is in the address.
  view() {
    return {
      showing: this.root.querySelector(".panes").dataset.showing,
      zoom: [this.zoom.scale, this.zoom.x, this.zoom.y],
      heat: this.heatSwitch ? [this.heatSwitch.checked, this.fade.value] : null,
      panes: this.panes.map((pane) => [pane.window.width, pane.window.center, pane.heatIsOn]),
    };
  }

  setView({ showing, zoom, heat, panes }) {
    this.zoom.place(...zoom);
    if (heat && this.heatSwitch) [this.heatSwitch.checked, this.fade.value] = heat;
    this.setFade();
    this.panes.forEach((pane, index) => {
      const [width, center, heatIsOn] = panes[index];
      pane.setWindow(width, center);
      if (pane.heatButton && pane.heatIsOn !== heatIsOn) pane.switchHeat();
    });
    this.showWindow(showing);
  }

  setFade() {
    if (!this.fade) return;
    for (const pane of this.panes) pane.heat.style.opacity = String(Number(this.fade.value) / 100);
  }

  switchHeat() {
    if (!this.heatSwitch) return;
    this.heatSwitch.checked = !this.heatSwitch.checked;
    this.show(this.index);
  }

  changeFade(by) {
    if (!this.fade) return;
    this.fade.value = String(Number(this.fade.value) + by);
    this.setFade();
  }

  jumpToTop() {
    const chances = this.slices.map((slice) => slice.probability ?? -1);
    this.show(chances.indexOf(Math.max(...chances)));
  }

  jumpToFlagged(direction) {
    for (let index = this.index + direction; index >= 0 && index < this.slices.length; index += direction) {
      if (this.slices[index].flagged) {
        this.show(index);
        return;
      }
    }
  }

  // listening ----------------------------------------------------------------------------------------------------------

  listen() {
    this.listenToTools();
    this.listenToCurve();
    listenToWheel(this, this.root.querySelectorAll(".panes, .curve-frame"));
    for (const pane of this.panes) new Dragging(this, pane);
    document.addEventListener("keydown", (event) => this.onKey(event));
  }

  listenToTools() {
    const on = (selector, event, act) => this.root.querySelector(selector)?.addEventListener(event, act);
    on("#jump-top", "click", () => this.jumpToTop());
    on("#jump-previous", "click", () => this.jumpToFlagged(-1));
    on("#jump-next", "click", () => this.jumpToFlagged(1));
    on("#heat-on", "change", () => this.show(this.index));
    on("#heat-fade", "input", () => this.setFade());
    on("#zoom-in", "click", () => this.zoom.by(ZOOM_STEP));
    on("#zoom-out", "click", () => this.zoom.by(1 / ZOOM_STEP));
    on("#view-reset", "click", () => this.resetView());
    on("#slice-slider", "input", () => this.show(Number(this.slider.value) - 1));
    for (const button of this.root.querySelectorAll(".show-window")) {
      button.addEventListener("click", () => this.showWindow(button.dataset.show));
    }
    for (const pane of this.panes) {
      pane.heatButton?.addEventListener("click", () => {
        pane.switchHeat();
        this.draw(pane);
      });
      for (const field of [pane.widthField, pane.centerField]) {
        field.addEventListener("change", () =>
          this.setWindow(pane, pane.widthField.valueAsNumber, pane.centerField.valueAsNumber),
        );
      }
    }
  }

  listenToCurve() {
    for (const bar of this.bars) {
      bar.setAttribute("tabindex", "-1"); // the slider below is the keyboard's way along the curve
      bar.addEventListener("click", (event) => {
        event.preventDefault();
        this.show(Number(bar.dataset.slice));
      });
      bar.addEventListener("pointerenter", (event) => {
        if (event.buttons === 1) this.show(Number(bar.dataset.slice));
      });
      bar.addEventListener("dragstart", (event) => event.preventDefault());
    }
  }

  onKey(event) {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const focused = document.activeElement;
    const inViewer = this.root.contains(focused);
    const nowhere = !focused || focused === document.body || focused.id === "main";
    if (!inViewer && !nowhere) return;
    if (focused?.matches("input, textarea, select, summary") && focused !== this.slider && !inViewer) return;
    if (focused?.matches('input[type="number"]')) return;
    if (focused?.matches('input[type="range"]') && focused !== this.slider && event.key.startsWith("Arrow")) return;
    const act = event.shiftKey && event.key.startsWith("Arrow") ? this.panning(event.key) : this.action(event.key, inViewer);
    if (!act) return;
    event.preventDefault();
    act();
  }

  action(key, inViewer) {
    return this.movement(key) ?? (inViewer ? this.command(key) : null);
  }

  // The picture moves against the arrow: what lies that way comes into sight.
  panning(key) {
    const [x, y] = { ArrowLeft: [1, 0], ArrowRight: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[key];
    return () => this.zoom.move(x * PAN_STEP, y * PAN_STEP);
  }

  movement(key) {
    const by = { ArrowUp: 1, ArrowDown: -1, PageUp: PAGE, PageDown: -PAGE }[key];
    if (by) return () => this.show(this.index + by);
    if (key === "Home") return () => this.show(0);
    if (key === "End") return () => this.show(this.slices.length - 1);
    return null;
  }

  command(key) {
    return (
      {
        n: () => this.jumpToFlagged(1),
        p: () => this.jumpToFlagged(-1),
        h: () => this.switchHeat(),
        f: () => this.changeFade(-10),
        g: () => this.changeFade(10),
        "+": () => this.zoom.by(ZOOM_STEP),
        "=": () => this.zoom.by(ZOOM_STEP), // where the plus sign needs Shift
        "-": () => this.zoom.by(1 / ZOOM_STEP),
        r: () => this.resetView(),
        0: () => this.showWindow("all"),
        1: () => this.showWindow("brain"),
        2: () => this.showWindow("subdural"),
        3: () => this.showWindow("bone"),
      }[key.toLowerCase()] ?? null
    );
  }
}
