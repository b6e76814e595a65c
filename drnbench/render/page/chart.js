// A chart in SVG with two axes: lines, bands and points, which the mouse and the arrow keys reach.

const MARGIN = { right: 16, top: 28, bottom: 44 };
const LETTER = 6.6; // width of a letter of 12 px

/** Return round ticks in a range; on a logarithmic axis powers of ten, with 2 and 5 where there are few. */
function ticks(low, high, log, count) {
  if (log) {
    const powers = [];
    for (let n = Math.floor(Math.log10(low)); n <= Math.ceil(Math.log10(high)); n += 1) powers.push(n);
    const steps = powers.length > 4 ? [1] : [1, 2, 5];
    const all = powers.flatMap((n) => steps.map((step) => step * 10 ** n)).filter((value) => value >= low && value <= high);
    if (all.length > 1) return all;
  }
  const rough = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((factor) => factor * power >= rough);
  const values = [];
  for (let n = Math.ceil(low / step); n * step <= high + 1e-9 * step; n += 1) values.push(n * step);
  return values;
}

function tickText(value) {
  const text = Math.abs(value) >= 1e5 || (value !== 0 && Math.abs(value) < 1e-3) ? value.toExponential(0) : String(Number(value.toPrecision(6)));
  return text.replace("-", MINUS);
}

/** Return the range of some values with a margin; logarithmic only where all are positive. */
function range(values, log) {
  const finite = values.filter((value) => Number.isFinite(value) && (!log || value > 0));
  if (!finite.length) return log ? [1, 10] : [0, 1];
  const [low, high] = finite.reduce(([a, b], value) => [Math.min(a, value), Math.max(b, value)], [Infinity, -Infinity]);
  if (log) return low === high ? [low / 2, high * 2] : [low / (high / low) ** 0.06, high * (high / low) ** 0.06];
  const pad = 0.06 * (high - low) || Math.abs(high) * 0.05 || 1;
  return [low - pad, high + pad];
}

class Chart {
  /**
   * @param mount the element that holds it.
   * @param label what it shows, for screen readers.
   */
  constructor(mount, label) {
    this.output = element("output", { class: "reading" }, "\u00a0");
    this.frame = element("div", { class: "chart", tabindex: 0, role: "group", "aria-label": `${label}; arrow keys go through the points` });
    mount.append(this.frame, this.output);
    this.frame.addEventListener("keydown", (event) => this.key(event));
    new ResizeObserver(() => this.draw()).observe(this.frame);
  }

  /**
   * @param content xLabel, yLabel, xLog, yLog; lines: [{x, y, colour, dash, low, high}]; points: [{x, y, half, colour, hollow,
   *   text, label, open}]; diagonal: draw x = y; rules: [{y, label}], horizontal.
   */
  show(content) {
    this.content = { lines: [], points: [], rules: [], ...content };
    this.selected = null;
    this.output.textContent = "\u00a0";
    this.draw();
  }

  draw() {
    const width = this.frame.clientWidth;
    if (!this.content || width === 0) return;
    const { lines, points, rules, xLog, yLog, diagonal } = this.content;
    this.size = { width, height: Math.min(420, Math.max(260, width * 0.55)) };
    const xs = [...lines.flatMap((line) => line.x), ...points.map((point) => point.x)];
    const ys = [
      ...lines.flatMap((line) => [...line.y, ...(line.low ?? []), ...(line.high ?? [])]),
      ...points.flatMap((point) => [point.y - (point.half ?? 0), point.y + (point.half ?? 0)]),
      ...rules.map((rule) => rule.y),
    ];
    this.y = this.axis(diagonal ? [...xs, ...ys] : ys, yLog, this.size.height - MARGIN.bottom, MARGIN.top);
    this.left = 14 + LETTER * Math.max(...this.y.ticks.map((value) => tickText(value).length), 2);
    this.x = this.axis(diagonal ? [...xs, ...ys] : xs, xLog, this.left, width - MARGIN.right);
    this.boxes = [];
    const svg = shape("svg", { viewBox: `0 0 ${width} ${this.size.height}`, "aria-hidden": "true", focusable: "false" });
    svg.append(this.axes(), ...rules.map((rule) => this.rule(rule)), ...lines.flatMap((line) => this.line(line)));
    if (diagonal) svg.append(shape("path", { class: "diagonal", d: this.path(this.x.ends, this.y.ends) }));
    svg.append(...points.map((point, n) => this.point(point, n)));
    this.pointer = shape("circle", { class: "pointer", r: 7, visibility: "hidden" });
    svg.append(this.pointer);
    svg.addEventListener("pointermove", (event) => this.hover(event));
    svg.addEventListener("click", (event) => this.hover(event) && this.open());
    this.frame.replaceChildren(svg);
    if (this.selected !== null) this.select(this.selected);
  }

  axis(values, log, start, end) {
    const [low, high] = range(values, log);
    const [from, to] = log ? [Math.log(low), Math.log(high)] : [low, high];
    const place = (value) => start + ((log ? Math.log(value) : value) - from) / (to - from) * (end - start);
    return { place, ends: [low, high], ticks: ticks(low, high, log, Math.max(3, Math.abs(end - start) / 80)) };
  }

  axes() {
    const { width, height } = this.size;
    const bottom = height - MARGIN.bottom;
    const group = shape("g", { class: "axes" });
    for (const value of this.x.ticks) {
      const x = this.x.place(value);
      group.append(shape("line", { x1: x, x2: x, y1: MARGIN.top, y2: bottom }), shape("text", { x, y: bottom + 16, "text-anchor": "middle" }, tickText(value)));
    }
    for (const value of this.y.ticks) {
      const y = this.y.place(value);
      group.append(shape("line", { x1: this.left, x2: width - MARGIN.right, y1: y, y2: y }), shape("text", { x: this.left - 6, y: y + 4, "text-anchor": "end" }, tickText(value)));
    }
    group.append(
      shape("text", { class: "title", x: (this.left + width) / 2, y: height - 8, "text-anchor": "middle" }, this.content.xLabel),
      shape("text", { class: "title", x: 4, y: 14 }, this.content.yLabel),
    );
    return group;
  }

  rule(rule) {
    const y = this.y.place(rule.y);
    const group = shape("g", { class: "rule" }, shape("line", { x1: this.left, x2: this.size.width - MARGIN.right, y1: y, y2: y }));
    const width = LETTER * rule.label.length;
    const place = this.freePlace(this.size.width - MARGIN.right - width - 8, y, width);
    if (place) group.append(shape("text", place, rule.label));
    return group;
  }

  path(xs, ys) {
    const places = xs.map((x, n) => [this.x.place(x), this.y.place(ys[n])]).filter((place) => place.every(Number.isFinite));
    return places.map(([x, y], n) => `${n ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`).join("");
  }

  line({ x, y, low, high, colour, dash }) {
    const shapes = [];
    if (low) {
      const back = this.path([...x].reverse(), [...low].reverse());
      shapes.push(shape("path", { class: "band", fill: colour, d: `${this.path(x, high)}${back.replace("M", "L")}Z` }));
    }
    shapes.push(shape("path", { class: "line", stroke: colour, "stroke-dasharray": dash, d: this.path(x, y) }));
    return shapes;
  }

  point(point, n) {
    const [x, y] = [this.x.place(point.x), this.y.place(point.y)];
    const group = shape("g", { class: point.open ? "point opens" : "point", "data-point": n });
    if (point.half) group.append(shape("line", { stroke: point.colour, x1: x, x2: x, y1: this.y.place(point.y - point.half), y2: this.y.place(point.y + point.half) }));
    group.append(shape("circle", { cx: x, cy: y, r: 5, stroke: point.colour, fill: point.hollow ? "none" : point.colour }));
    const place = point.label && this.freePlace(x, y, LETTER * point.label.length);
    if (place) group.append(shape("text", place, point.label));
    return group;
  }

  /** Return a place for the label of a point where it covers no other; null where there is none: the label is read by hovering. */
  freePlace(x, y, width) {
    for (const [dx, dy] of [[8, -6], [8, 14], [-8 - width, -6], [-8 - width, 14]]) {
      const box = [x + dx, y + dy - 11, x + dx + width, y + dy + 2];
      const inside = box[0] >= this.left && box[2] <= this.size.width;
      if (inside && !this.boxes.some((other) => box[0] < other[2] && other[0] < box[2] && box[1] < other[3] && other[1] < box[3])) {
        this.boxes.push(box);
        return { x: x + dx, y: y + dy };
      }
    }
    return null;
  }

  /** Everything that can be read: the points, or the points of the lines. */
  get readable() {
    const { points, lines } = this.content;
    return points.length ? points : lines.flatMap((line) => line.x.map((x, n) => ({ x, y: line.y[n], text: line.texts?.[n] ?? line.text(n) })));
  }

  hover(event) {
    const box = this.frame.getBoundingClientRect();
    const [px, py] = [event.clientX - box.left, event.clientY - box.top];
    let [nearest, least] = [null, 30 ** 2];
    this.readable.forEach((point, n) => {
      const distance = (this.x.place(point.x) - px) ** 2 + (this.y.place(point.y) - py) ** 2;
      if (distance < least) [nearest, least] = [n, distance];
    });
    if (nearest !== null) this.select(nearest);
    return nearest !== null;
  }

  key(event) {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    const count = this.readable.length;
    if (event.key === "Enter") this.open();
    if (step === undefined || count === 0) return;
    event.preventDefault();
    this.select(this.selected === null ? 0 : (this.selected + step + count) % count);
  }

  select(n) {
    const point = this.readable[n];
    if (point === undefined) return;
    this.selected = n;
    furnish(this.pointer, { cx: this.x.place(point.x), cy: this.y.place(point.y), visibility: "visible" }, []);
    this.output.textContent = point.text;
  }

  open() {
    this.readable[this.selected]?.open?.();
  }
}
