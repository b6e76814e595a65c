// Zoom and pan, shared by all views of an explorer: wheel, drag, pinch, double click, and keys.

const MOST_ZOOM = 32;

class Viewport {
  /** @param width, height of the image in pixels; each view has its own size on the screen. */
  constructor() {
    this.views = [];
    this.setImage(1, 1);
  }

  setImage(width, height) {
    Object.assign(this, { width, height, zoom: 1, centre: [width / 2, height / 2] });
    this.update();
  }

  /** The scale at which the whole image is seen; a whole number where it is larger than 1, so that pixels stay equal. */
  fit(stage) {
    const scale = Math.min(stage.clientWidth / this.width, stage.clientHeight / this.height);
    return scale > 1 ? Math.floor(scale) : scale;
  }

  /** Make a view of a stage, whose pictures (`.picture`) move together with those of all others. */
  attach(stage) {
    this.views.push(stage);
    const pointers = new Map();
    stage.addEventListener("pointerdown", (event) => {
      if (event.target.closest(".handle")) return;
      stage.setPointerCapture(event.pointerId);
      pointers.set(event.pointerId, [event.clientX, event.clientY]);
    });
    stage.addEventListener("pointermove", (event) => {
      const before = pointers.get(event.pointerId);
      if (before === undefined) return;
      const other = [...pointers].find(([id]) => id !== event.pointerId)?.[1];
      const now = [event.clientX, event.clientY];
      pointers.set(event.pointerId, now);
      if (other) {
        const spread = (point) => Math.hypot(point[0] - other[0], point[1] - other[1]) || 1;
        this.zoomBy(spread(now) / spread(before));
      } else {
        this.pan(stage, before[0] - now[0], before[1] - now[1]);
      }
    });
    for (const end of ["pointerup", "pointercancel"]) stage.addEventListener(end, (event) => pointers.delete(event.pointerId));
    stage.addEventListener("dblclick", (event) => this.zoomBy(2, this.pixelAt(stage, event)));
    stage.addEventListener("wheel", (event) => {
      // The page scrolls over a view until it is chosen by a click or the keyboard.
      if (!event.ctrlKey && !stage.matches(":focus-within")) return;
      event.preventDefault();
      this.zoomBy(event.deltaY < 0 ? 1.25 : 0.8, this.pixelAt(stage, event));
    }, { passive: false });
    stage.addEventListener("keydown", (event) => this.key(stage, event));
    new ResizeObserver(() => this.update()).observe(stage);
  }

  key(stage, event) {
    const step = 40;
    const actions = {
      "+": () => this.zoomBy(1.5), "=": () => this.zoomBy(1.5), "-": () => this.zoomBy(1 / 1.5), 0: () => this.reset(),
      ArrowLeft: () => this.pan(stage, -step, 0), ArrowRight: () => this.pan(stage, step, 0),
      ArrowUp: () => this.pan(stage, 0, -step), ArrowDown: () => this.pan(stage, 0, step),
    };
    if (!(event.key in actions) || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    actions[event.key]();
  }

  /** Return the pixel of the image under an event. */
  pixelAt(stage, event) {
    const box = stage.getBoundingClientRect();
    const scale = this.fit(stage) * this.zoom;
    return [
      this.centre[0] + (event.clientX - box.left - box.width / 2) / scale,
      this.centre[1] + (event.clientY - box.top - box.height / 2) / scale,
    ];
  }

  zoomBy(factor, at = this.centre) {
    const zoom = Math.min(MOST_ZOOM, Math.max(1, this.zoom * factor));
    const kept = this.zoom / zoom;
    this.zoom = zoom;
    this.moveTo(at.map((pixel, n) => pixel + (this.centre[n] - pixel) * kept));
  }

  pan(stage, x, y) {
    const scale = this.fit(stage) * this.zoom;
    this.moveTo([this.centre[0] + x / scale, this.centre[1] + y / scale]);
  }

  reset() {
    this.zoom = 1;
    this.moveTo([this.width / 2, this.height / 2]);
  }

  moveTo(centre) {
    this.centre = [this.width, this.height].map((side, n) => {
      const half = side / 2 / this.zoom;
      return Math.min(side - half, Math.max(half, centre[n]));
    });
    this.update();
  }

  update() {
    for (const stage of this.views) {
      const scale = this.fit(stage) * this.zoom;
      stage.style.touchAction = this.zoom > 1 ? "none" : "pan-y"; // an image that is seen whole leaves scrolling to the page
      const x = stage.clientWidth / 2 - this.centre[0] * scale;
      const y = stage.clientHeight / 2 - this.centre[1] * scale;
      for (const picture of stage.querySelectorAll(".picture")) {
        Object.assign(picture.style, { width: `${this.width}px`, height: `${this.height}px`, transform: `translate(${x}px, ${y}px) scale(${scale})` });
      }
    }
    this.changed?.();
  }
}
