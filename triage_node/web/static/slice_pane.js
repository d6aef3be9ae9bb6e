// One window on the screen: a slice, the heatmap over it, what is written on it, and the reader's own width and level.

const LOWEST_CENTER_HU = -1024;
const HIGHEST_CENTER_HU = 3072;
const WIDEST_HU = 4096;

export class Pane {
  constructor(figure) {
    this.figure = figure;
    this.name = figure.dataset.window;
    this.screen = figure.querySelector(".screen");
    this.slice = figure.querySelector("canvas.slice");
    this.heat = figure.querySelector("canvas.heat");
    this.heatButton = figure.querySelector(".pane-heat");
    this.widthField = figure.querySelector(".window-width");
    this.centerField = figure.querySelector(".window-center");
    this.named = { width: Number(this.widthField.value), center: Number(this.centerField.value) };
    this.window = { ...this.named };
    this.slice.hidden = this.heat.hidden = false;
    figure.querySelector(".window-values").hidden = true;
    figure.querySelector(".window-fields").hidden = false;
    if (this.heatButton) this.heatButton.hidden = false;
  }

  get isShown() {
    return this.figure.offsetParent !== null;
  }

  get heatIsOn() {
    return this.figure.dataset.heat === "on";
  }

  // What the address of a slice says of the window.
  get query() {
    const { width, center } = this.window;
    const own = width === this.named.width && center === this.named.center ? "" : `&width_hu=${width}&center_hu=${center}`;
    return `window=${this.name}${own}`;
  }

  switchHeat() {
    const on = !this.heatIsOn;
    this.figure.dataset.heat = on ? "on" : "off";
    this.heatButton.setAttribute("aria-pressed", String(on));
  }

  // What is no number, or beyond what a CT can hold, becomes the nearest that is one. Returns whether anything changed.
  setWindow(width, center) {
    const next = {
      width: Math.min(Math.max(Math.round(width) || this.named.width, 1), WIDEST_HU),
      center: Math.min(
        Math.max(Number.isFinite(center) ? Math.round(center) : this.named.center, LOWEST_CENTER_HU),
        HIGHEST_CENTER_HU,
      ),
    };
    this.widthField.value = String(next.width);
    this.centerField.value = String(next.center);
    const changed = next.width !== this.window.width || next.center !== this.window.center;
    this.window = next;
    return changed;
  }

  resetWindow() {
    return this.setWindow(this.named.width, this.named.center);
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

  // Slice and heatmap lie in register at any zoom.
  enlarge(scale, x, y) {
    const moved = scale === 1 ? "" : `translate(${x * 100}%, ${y * 100}%) scale(${scale})`;
    this.slice.style.transform = this.heat.style.transform = moved;
    this.screen.classList.toggle("enlarged", scale > 1);
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
