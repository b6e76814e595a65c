// Images of a test set: any arm against any other, LR or HR; slider, side by side, blink, error map.

const MODES = { slider: "slider", side: "side by side", blink: "blink", error: "error map" };
const BLINK_MS = 700;
const SAMPLES = ["LR", "HR"];

class Explorer {
  constructor(data, pictures, mount) {
    Object.assign(this, { data, pictures, mount, built: false });
    this.state = { set: 0, image: null, a: String(data.pair[0]), b: String(data.pair[1]), mode: "slider", byName: false };
  }

  /** Show an image in two arms; false where the store keeps no picture of it. */
  open(condition, image, a, b) {
    const set = this.pictures?.sets.findIndex((candidate) => candidate.condition === condition && candidate.images.some(({ name }) => name === image));
    if (set === undefined || set < 0) return false;
    Object.assign(this.state, { set, image, a: String(a), b: String(b) });
    this.build();
    this.fillSets();
    this.mount.closest("section").scrollIntoView();
    this.stages[0].focus({ preventScroll: true });
    return true;
  }

  build() {
    if (this.built) return;
    this.built = true;
    this.viewport = new Viewport();
    this.viewport.changed = () => { this.zoomed.textContent = `${Math.round(100 * this.viewport.zoom)} %`; };
    this.zoomed = element("output", { "aria-label": "zoom" }, "100 %");
    this.makeControls();
    this.makeViews();
    this.gallery = element("div", { class: "gallery" });
    const all = element("details", { class: "all-arms" }, element("summary", {}, "this image in every arm"), this.gallery);
    all.addEventListener("toggle", () => this.fillGallery());
    this.allArms = all;
    this.mount.append(this.controls, this.tools, this.panes, this.legend, this.status, all);
    this.fillSets();
  }

  makeControls() {
    const change = (name, next) => (value) => { this.state[name] = value; next(); };
    const refresh = () => this.refresh();
    this.set = labelledSelect("test set", [], "", (value) => { Object.assign(this.state, { set: Number(value), image: null }); this.fillSets(); });
    this.image = labelledSelect("image", [], "", change("image", refresh));
    this.order = labelledSelect("order", [["difference", "largest difference first"], ["name", "by name"]], "difference", (value) => { this.state.byName = value === "name"; this.fillImages(); });
    this.a = labelledSelect("A", [], "", change("a", () => this.fillImages()));
    this.b = labelledSelect("B", [], "", change("b", () => this.fillImages()));
    const swap = element("button", { type: "button", click: () => { [this.state.a, this.state.b] = [this.state.b, this.state.a]; this.fillSets(); } }, "swap");
    this.controls = element("div", { class: "controls" }, this.set.node, this.image.node, this.order.node, this.a.node, this.b.node, swap);
    const modes = Object.entries(MODES).map(([mode, name]) => {
      const radio = element("input", { type: "radio", name: "mode", value: mode, checked: mode === this.state.mode, change: () => { this.state.mode = mode; this.refresh(); } });
      return element("label", {}, radio, name);
    });
    const button = (text, label, click) => element("button", { type: "button", "aria-label": label, click }, text);
    this.split = element("input", { type: "range", min: 0, max: 100, value: 50, "aria-label": "position of the slider between A and B, percent", input: () => this.setSplit(Number(this.split.value)) });
    this.gain = element("input", { type: "range", min: 1, max: 50, value: 8, "aria-label": "gain of the error map", input: () => this.setGain() });
    this.splitLabel = element("label", { class: "check" }, "A | B", this.split);
    this.gainLabel = element("label", { class: "check" }, "gain", this.gain);
    this.pause = element("button", { type: "button", "aria-pressed": "false", click: () => this.setPaused(!this.paused) }, "pause");
    this.tools = element("div", { class: "controls" },
      element("fieldset", { class: "modes" }, element("legend", { class: "hidden" }, "view"), ...modes),
      element("span", { class: "zoom" }, button(MINUS, "zoom out", () => this.viewport.zoomBy(0.67)), this.zoomed, button("+", "zoom in", () => this.viewport.zoomBy(1.5)), button("fit", "fit the whole image", () => this.viewport.reset())),
      this.splitLabel, this.gainLabel, this.pause);
  }

  makeViews() {
    this.layers = {};
    const picture = () => element("img", { class: "picture", alt: "", draggable: "false", error: (event) => this.missing(event.target) });
    const stage = (label, ...layers) => element("div", { class: "stage", tabindex: 0, role: "group", "aria-label": label }, ...layers);
    for (const name of ["a", "b", "rightB"]) this.layers[name] = picture();
    this.clip = element("div", { class: "layer clip" }, this.layers.b);
    this.handle = element("div", { class: "handle", "aria-hidden": "true" });
    const both = element("div", { class: "layer both" }, element("div", { class: "layer" }, this.layers.a), this.clip);
    this.both = both;
    this.stages = [stage("image: arrow keys pan, plus and minus zoom, 0 fits", both, this.handle), stage("image B, moves with A", element("div", { class: "layer" }, this.layers.rightB))];
    this.captions = [element("figcaption"), element("figcaption")];
    this.panes = element("div", { class: "panes" }, ...this.stages.map((node, n) => element("figure", {}, node, this.captions[n])));
    this.stages.forEach((node) => this.viewport.attach(node));
    this.stages[0].addEventListener("keydown", (event) => {
      if (event.key === " " && this.state.mode === "blink") { event.preventDefault(); this.flip(); }
    });
    this.handle.addEventListener("pointerdown", (event) => this.handle.setPointerCapture(event.pointerId));
    this.handle.addEventListener("pointermove", (event) => {
      if (!this.handle.hasPointerCapture(event.pointerId)) return;
      const box = this.stages[0].getBoundingClientRect();
      this.setSplit(Math.min(100, Math.max(0, (100 * (event.clientX - box.left)) / box.width)));
    });
    this.status = element("output", { class: "reading" });
    this.legend = element("div", { class: "legend" }, element("span", {}, "0"), element("i"), this.most = element("span"));
    this.makeFilter();
    this.setGain();
  }

  /** The error map is |A − B|, mean of the channels times the gain, in a perceptually ordered scale of colours. */
  makeFilter() {
    const tables = { R: "0 .26 .58 .87 .99 .99", G: ".0 .04 .15 .32 .65 1", B: ".02 .41 .4 .23 .04 .64" };
    this.matrix = shape("feColorMatrix", { type: "matrix" });
    const transfer = shape("feComponentTransfer", {}, ...Object.entries(tables).map(([channel, tableValues]) => shape(`feFunc${channel}`, { type: "table", tableValues })));
    const filter = shape("filter", { id: "error-map", "color-interpolation-filters": "sRGB", x: 0, y: 0, width: 1, height: 1 }, this.matrix, transfer);
    this.mount.append(shape("svg", { class: "hidden", "aria-hidden": "true", width: 0, height: 0 }, filter));
  }

  setGain() {
    const weight = Number(this.gain.value) / 3;
    const row = `${weight} ${weight} ${weight} 0 0`;
    this.matrix.setAttribute("values", `${row} ${row} ${row} 0 0 0 1 0`);
    this.most.textContent = `${Math.round(255 / Number(this.gain.value))} gray levels and more`;
  }

  setSplit(percent) {
    this.split.value = percent;
    this.stages[0].style.setProperty("--split", `${percent}%`);
  }

  setPaused(paused) {
    this.paused = paused;
    this.pause.setAttribute("aria-pressed", String(paused));
  }

  flip() {
    this.showsB = !this.showsB;
    this.stages[0].classList.toggle("shows-b", this.showsB);
    this.caption();
  }

  get images() {
    return this.pictures.sets[this.state.set].images;
  }

  /** Return the score of an image in an arm, of the seed that is shown, in the first metric of its test set; null for LR and HR. */
  scoreOf(image, which) {
    const { condition } = this.pictures.sets[this.state.set];
    const value = SAMPLES.includes(which) ? null : this.images.find(({ name }) => name === image).scores[Number(which)];
    const metric = Object.keys(this.data.conditions[condition].scores)[0];
    return value === null || metric === undefined ? null : { value: score(value), style: this.data.metrics[metric] };
  }

  nameOf(which) {
    return SAMPLES.includes(which) ? which : this.data.arms[Number(which)];
  }

  source(image, which) {
    const number = which === "HR" ? image.hr : which === "LR" ? image.lr : image.sr[Number(which)];
    return number === null ? null : this.pictures.sources[number];
  }

  fillSets() {
    const sets = this.pictures.sets;
    this.set.fill(sets.map(({ condition }, n) => [n, this.data.conditions[condition].label]), this.state.set);
    const arms = this.data.arms.map((name, arm) => [String(arm), name]).filter(([arm]) => this.images.some((image) => image.sr[Number(arm)] !== null));
    if (this.images.some((image) => image.lr !== null)) arms.push(["LR", "LR"]);
    if (this.images.some((image) => image.hr !== null)) arms.push(["HR", "HR"]);
    const kept = (which, n) => (arms.some(([arm]) => arm === which) ? which : arms[Math.min(n, arms.length - 1)][0]);
    [this.state.a, this.state.b] = [kept(this.state.a, 0), kept(this.state.b, 1)];
    this.a.fill(arms, this.state.a);
    this.b.fill(arms, this.state.b);
    this.fillImages();
  }

  fillImages() {
    const entries = this.images.map(({ name }) => {
      const [a, b] = [this.scoreOf(name, this.state.a), this.scoreOf(name, this.state.b)];
      const delta = a && b && Number.isFinite(b.value - a.value) ? b.value - a.value : null;
      const text = delta === null ? name : `${name} (Δ ${signed(delta, a.style.deltaDecimals)}${a.style.unit})`;
      return { name, size: Math.abs(delta ?? 0), text };
    });
    if (!this.state.byName) entries.sort((first, second) => second.size - first.size);
    if (!entries.some(({ name }) => name === this.state.image)) this.state.image = entries[0].name;
    this.image.fill(entries.map(({ name, text }) => [name, text]), this.state.image);
    this.refresh();
  }

  refresh() {
    const { a, b, mode } = this.state;
    const image = this.images.find(({ name }) => name === this.state.image);
    this.status.textContent = this.kindText(image);
    if (image !== this.drawn) this.viewport.setImage(image.width, image.height);
    this.drawn = image;
    for (const [layer, which] of [["a", a], ["b", b], ["rightB", b]]) {
      const source = this.source(image, which);
      const node = this.layers[layer];
      node.hidden = source === null;
      node.alt = `${image.name}, ${this.nameOf(which)}`;
      if (source !== null) node.src = source;
      else this.status.textContent = `no picture of ${image.name} by ${this.nameOf(which)}`;
    }
    this.panes.dataset.mode = mode;
    this.stages[0].classList.remove("shows-b");
    this.showsB = false;
    this.splitLabel.hidden = mode !== "slider";
    this.gainLabel.hidden = this.legend.hidden = mode !== "error";
    this.pause.hidden = mode !== "blink";
    this.panes.children[1].hidden = mode !== "side";
    this.both.style.filter = mode === "error" ? "url(#error-map)" : "";
    clearInterval(this.timer);
    if (mode === "blink") {
      this.setPaused(matchMedia("(prefers-reduced-motion: reduce)").matches);
      this.timer = setInterval(() => { if (!this.paused) this.flip(); }, BLINK_MS);
    }
    this.setSplit(Number(this.split.value));
    this.caption();
    this.viewport.update();
    this.fillGallery();
  }

  /** Return an arm with the score of its whole image: `ρ=0.3: PSNR-Y 27.31 dB`. */
  described(which) {
    const result = this.scoreOf(this.state.image, which);
    return this.nameOf(which) + (result ? `: ${result.style.label} ${written(result.value, result.style.decimals)}${result.style.unit}` : "");
  }

  /** Return what the pictures are: seeds, and whether they are crops. */
  kindText(image) {
    const shown = [this.state.a, this.state.b].filter((which) => !SAMPLES.includes(which)).map((which) => image.seeds[Number(which)]);
    const seeds = [...new Set(shown)].filter((seed) => seed !== null);
    const crops = this.pictures.sets[this.state.set].crops ? "crops of the images, whose scores are those of the whole ones; " : "";
    return `${crops}${image.width} × ${image.height} pixels${seeds.length ? `, seed ${seeds.join(" and ")}` : ""}`;
  }

  caption() {
    const { a, b, mode } = this.state;
    const texts = { slider: `left ${this.described(a)} | right ${this.described(b)}`, side: this.described(a), blink: this.described(this.showsB ? b : a), error: `|A − B|: ${this.described(a)}, ${this.described(b)}` };
    this.captions[0].textContent = texts[mode];
    this.captions[1].textContent = this.described(b);
  }

  fillGallery() {
    if (!this.allArms.open) return;
    const image = this.images.find(({ name }) => name === this.state.image);
    const shown = [...this.a.select.options].map(({ value }) => value).filter((which) => this.source(image, which) !== null);
    this.gallery.replaceChildren(...shown.map((which) => element("button", { type: "button", "aria-label": `show ${this.nameOf(which)} as B`, click: () => { this.state.b = which; this.fillSets(); } },
      element("img", { src: this.source(image, which), alt: "", loading: "lazy" }), element("span", {}, this.described(which)))));
  }

  missing(node) {
    this.status.textContent = `${node.alt}: its file is not there; pictures that this page does not hold are read from the store beside it`;
  }
}
