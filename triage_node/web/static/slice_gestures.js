// What mouse, trackpad and fingers do on the slices: scroll, enlarge, move what is enlarged, and set width and level.

const WHEEL_STEP = 40; // pixels of a trackpad; a wheel's notch has more and is one slice
const DRAG_STEP = 12; // pixels a slice
const WHEEL_ZOOM = 0.0025; // of the scale's logarithm, a pixel; a notch enlarges by about a quarter
const WINDOW_STEP = 1; // HU a pixel
const RIGHT_BUTTON = 2;

// The wheel scrolls; with Ctrl, as with two fingers on a trackpad, it enlarges what is under the pointer.
export function listenToWheel(viewer, areas) {
  let turned = 0;
  const turn = (event) => {
    event.preventDefault();
    const pixels = event.deltaMode === WheelEvent.DOM_DELTA_PIXEL ? event.deltaY : event.deltaY * WHEEL_STEP;
    const screen = event.target.closest(".screen");
    if (event.ctrlKey) {
      if (screen) viewer.zoom.by(Math.exp(-pixels * WHEEL_ZOOM), ...partOf(screen, event));
      return;
    }
    turned += pixels;
    if (Math.abs(turned) < WHEEL_STEP) return;
    viewer.show(viewer.index - Math.sign(turned));
    turned = 0;
  };
  for (const each of areas) each.addEventListener("wheel", turn, { passive: false });
}

// One pointer scrolls, or moves what is enlarged; the right button sets the window; two fingers enlarge.
export class Dragging {
  constructor(viewer, pane) {
    this.viewer = viewer;
    this.pane = pane;
    this.pointers = new Map();
    this.button = 0;
    this.turned = 0;
    this.from = null;
    pane.screen.addEventListener("pointerdown", (event) => this.begin(event));
    pane.screen.addEventListener("pointermove", (event) => this.move(event));
    for (const end of ["pointerup", "pointercancel"]) {
      pane.screen.addEventListener(end, (event) => this.pointers.delete(event.pointerId));
    }
    pane.screen.addEventListener("contextmenu", (event) => event.preventDefault());
  }

  begin(event) {
    if (event.button !== 0 && event.button !== RIGHT_BUTTON) return;
    this.pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    this.button = event.button;
    this.turned = 0;
    this.from = { x: event.clientX, y: event.clientY, ...this.pane.window };
    this.pane.screen.setPointerCapture(event.pointerId);
    this.viewer.root.focus({ preventScroll: true });
  }

  move(event) {
    const before = this.pointers.get(event.pointerId);
    if (!before) return;
    const now = { x: event.clientX, y: event.clientY };
    const other = [...this.pointers].find(([id]) => id !== event.pointerId)?.[1];
    this.pointers.set(event.pointerId, now);
    if (other) this.pinch(before, now, other);
    else if (this.button === RIGHT_BUTTON) this.setWindow(now.x - this.from.x, now.y - this.from.y);
    else if (this.viewer.zoom.scale > 1) this.pan(now.x - before.x, now.y - before.y);
    else this.scroll(now.y - before.y);
  }

  pinch(before, now, other) {
    const apart = (point) => Math.max(Math.hypot(point.x - other.x, point.y - other.y), 1);
    const middle = { clientX: (now.x + other.x) / 2, clientY: (now.y + other.y) / 2 };
    this.viewer.zoom.by(apart(now) / apart(before), ...partOf(this.pane.screen, middle));
    this.pan((now.x - before.x) / 2, (now.y - before.y) / 2);
  }

  pan(x, y) {
    const { width, height } = this.pane.screen.getBoundingClientRect();
    this.viewer.zoom.move(x / width, y / height);
  }

  scroll(y) {
    this.turned += y;
    const steps = Math.trunc(this.turned / DRAG_STEP);
    if (steps === 0) return;
    this.turned -= steps * DRAG_STEP;
    this.viewer.show(this.viewer.index - steps);
  }

  // To the right wider, downwards brighter, as on workstations.
  setWindow(x, y) {
    this.viewer.setWindow(this.pane, this.from.width + x * WINDOW_STEP, this.from.center - y * WINDOW_STEP);
  }
}

function partOf(screen, { clientX, clientY }) {
  const box = screen.getBoundingClientRect();
  return [(clientX - box.left) / box.width, (clientY - box.top) / box.height];
}
