// How far the slices are enlarged and which part of them is in sight: the same in all windows, and never an empty screen.

const LARGEST = 8;

export class SliceZoom {
  // `changed`: called with the scale and the place of the upper left corner, in parts of the screen.
  constructor(changed) {
    this.changed = changed;
    this.scale = 1;
    this.x = 0;
    this.y = 0;
  }

  // The point (x, y), in parts of the screen, stays where it is.
  by(factor, x = 0.5, y = 0.5) {
    const scale = Math.min(Math.max(this.scale * factor, 1), LARGEST);
    const grown = scale / this.scale;
    this.place(scale, x - (x - this.x) * grown, y - (y - this.y) * grown);
  }

  move(x, y) {
    this.place(this.scale, this.x + x, this.y + y);
  }

  reset() {
    this.place(1, 0, 0);
  }

  place(scale, x, y) {
    this.scale = scale;
    this.x = Math.min(Math.max(x, 1 - scale), 0);
    this.y = Math.min(Math.max(y, 1 - scale), 0);
    this.changed(this.scale, this.x, this.y);
  }
}
