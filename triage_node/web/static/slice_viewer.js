// The slices of a series in three windows, with the heatmap over them: scrolled by wheel, keys, touch and the curve below.

import { NotShown, SliceLoader } from "./slice_loader.js";

const MOST_PICTURES = 240;
const AHEAD = 8;
const BEHIND = 3;
const PAGE = 5;
const WHEEL_STEP = 40; // pixels of a trackpad; a wheel's notch has more and is one slice
const DRAG_STEP = 12; // pixels
const NARROW = "(max-width: 48rem)";

// One window on the screen.
class Pane {
  constructor(figure) {
    this.figure = figure;
    this.name = figure.dataset.window;
    this.screen = figure.querySelector(".screen");
    this.slice = figure.querySelector("canvas.slice");
    this.heat = figure.querySelector("canvas.heat");
    this.heatButton = figure.querySelector(".pane-heat");
    this.slice.hidden = this.heat.hidden = false;
    if (this.heatButton) this.heatButton.hidden = false;
  }

  get isShown() {
    return this.figure.offsetParent !== null;
  }

  get heatIsOn() {
    return this.figure.dataset.heat === "on";
  }

  switchHeat() {
    const on = !this.heatIsOn;
    this.figure.dataset.heat = on ? "on" : "off";
    this.heatButton.setAttribute("aria-pressed", String(on));
  }

  say(selector, words) {
    this.figure.querySelector(selector).textContent = words;
  }

  // The picture, what is written on it and its heatmap change together: none of them is ever another slice's.
  draw(picture, heatmap, words, trouble) {
    put(this.slice, picture);
    put(this.heat, heatmap);
    this.figure.classList.remove("waiting");
    this.say(".place", words.place);
    this.say(".chance", words.chance);
    this.say(".trouble", trouble);
    this.slice.setAttribute("aria-label", `${this.name} window, ${words.place}, ${words.chance}`);
  }
}

function put(canvas, picture) {
  const context = canvas.getContext("2d");
  context.clearRect(0, 0, canvas.width, canvas.height);
  if (!picture) return;
  if (canvas.width !== picture.width || canvas.height !== picture.height) {
    canvas.width = picture.width;
    canvas.height = picture.height;
  }
  context.drawImage(picture, 0, 0);
}

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
    root.querySelector(".viewer-tools").hidden = false;
    this.slider.hidden = false;
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

  // A heatmap that cannot be had must not take the slice with it.
  async heatmapOf(pane, index) {
    if (!this.heatSwitch?.checked || !pane.heatIsOn || !this.slices[index].heatmap) return null;
    return this.loader.get(this.heatmapPath(index)).catch(() => null);
  }

  slicePath(pane, index) {
    return `${this.root.dataset.slicePath}${index}.png?window=${pane.name}&revision=${this.root.dataset.revision}`;
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
    this.listenToWheel();
    for (const pane of this.panes) this.listenToDragging(pane);
    document.addEventListener("keydown", (event) => this.onKey(event));
  }

  listenToTools() {
    const on = (selector, event, act) => this.root.querySelector(selector)?.addEventListener(event, act);
    on("#jump-top", "click", () => this.jumpToTop());
    on("#jump-previous", "click", () => this.jumpToFlagged(-1));
    on("#jump-next", "click", () => this.jumpToFlagged(1));
    on("#heat-on", "change", () => this.show(this.index));
    on("#heat-fade", "input", () => this.setFade());
    on("#slice-slider", "input", () => this.show(Number(this.slider.value) - 1));
    for (const button of this.root.querySelectorAll(".show-window")) {
      button.addEventListener("click", () => this.showWindow(button.dataset.show));
    }
    for (const pane of this.panes) {
      pane.heatButton?.addEventListener("click", () => {
        pane.switchHeat();
        this.draw(pane);
      });
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

  listenToWheel() {
    let turned = 0;
    const turn = (event) => {
      if (event.ctrlKey) return; // the browser's zoom
      event.preventDefault();
      turned += event.deltaMode === WheelEvent.DOM_DELTA_PIXEL ? event.deltaY : event.deltaY * WHEEL_STEP;
      if (Math.abs(turned) < WHEEL_STEP) return;
      this.show(this.index - Math.sign(turned));
      turned = 0;
    };
    for (const each of this.root.querySelectorAll(".panes, .curve-frame")) {
      each.addEventListener("wheel", turn, { passive: false });
    }
  }

  listenToDragging(pane) {
    let from = null;
    pane.screen.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      from = event.clientY;
      pane.screen.setPointerCapture(event.pointerId);
      this.root.focus({ preventScroll: true });
    });
    pane.screen.addEventListener("pointermove", (event) => {
      if (from === null) return;
      const steps = Math.trunc((event.clientY - from) / DRAG_STEP);
      if (steps === 0) return;
      from += steps * DRAG_STEP;
      this.show(this.index - steps);
    });
    for (const end of ["pointerup", "pointercancel"]) pane.screen.addEventListener(end, () => (from = null));
  }

  onKey(event) {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const focused = document.activeElement;
    const inViewer = this.root.contains(focused);
    const nowhere = !focused || focused === document.body || focused.id === "main";
    if (!inViewer && !nowhere) return;
    if (focused?.matches("input, textarea, select, summary") && focused !== this.slider && !inViewer) return;
    if (focused?.matches('input[type="range"]') && focused !== this.slider && event.key.startsWith("Arrow")) return;
    const act = this.movement(event.key) ?? (inViewer ? this.command(event.key) : null);
    if (!act) return;
    event.preventDefault();
    act();
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
        "+": () => this.changeFade(10),
        "-": () => this.changeFade(-10),
        0: () => this.showWindow("all"),
        1: () => this.showWindow("brain"),
        2: () => this.showWindow("subdural"),
        3: () => this.showWindow("bone"),
      }[key.toLowerCase()] ?? null
    );
  }
}
