// Training curves: one stage and one curve at a time, arms switched on and off.

const DASHES = [null, "6 3", "2 3", "8 3 2 3"];

/** Return colour and dash of an arm, as the figures have them. */
function look(data, arm) {
  const n = data.styles[arm];
  return n === null || n === undefined ? { colour: "var(--soft)", dash: null } : { colour: data.colours[n % data.colours.length], dash: DASHES[Math.floor(n / data.colours.length) % DASHES.length] };
}

function showCurves(data, mount) {
  const { stages, curves, series, steps } = data.curves;
  const on = new Set([-1, ...data.shown]);
  const state = { stage: 0, curve: 0 };
  const controls = element("div", { class: "controls" });
  const arms = element("fieldset", { class: "arms" }, element("legend", {}, "arms"));
  mount.append(controls, arms);
  const chart = new Chart(mount, "Training curves");
  const of = (wanted) => series.filter((entry) => entry.stage === state.stage && (wanted === null || entry.curve === wanted));

  const draw = () => {
    const { label, log } = curves[state.curve];
    const lines = of(state.curve).filter((entry) => on.has(entry.arm)).map((entry) => {
      const x = steps[entry.steps];
      const name = entry.arm < 0 ? "shared by several arms" : data.arms[entry.arm];
      return { ...look(data, entry.arm), x, y: entry.mean, low: entry.low, high: entry.high, text: (n) => `${name}: ${label} ${tickText(entry.mean[n])} at step ${x[n]}` };
    });
    const values = lines.flatMap((line) => line.y);
    const spread = Math.min(...values) > 0 && Math.max(...values) > 10 * Math.min(...values);
    chart.show({ lines, xLabel: "step", yLabel: label, yLog: log && spread });
  };
  const boxes = new Map();
  const fill = () => {
    const present = [...new Set(of(null).map((entry) => entry.arm))].sort((a, b) => a - b);
    boxes.clear();
    const labels = present.map((arm) => {
      const box = element("input", { type: "checkbox", change: () => { on[box.checked ? "add" : "delete"](arm); draw(); } });
      box.checked = on.has(arm);
      boxes.set(arm, box);
      const { colour, dash } = look(data, arm);
      const swatch = shape("svg", { class: "swatch", viewBox: "0 0 24 6", "aria-hidden": "true" }, shape("path", { d: "M0 3H24", stroke: colour, "stroke-width": 3, "stroke-dasharray": dash }));
      return element("label", {}, box, swatch, arm < 0 ? "shared by several arms" : data.arms[arm]);
    });
    const all = (value) => element("button", { type: "button", click: () => {
      boxes.forEach((box, arm) => { box.checked = value; on[value ? "add" : "delete"](arm); });
      draw();
    } }, value ? "all" : "none");
    arms.replaceChildren(element("legend", {}, "arms"), all(true), all(false), ...labels);
    const available = [...new Set(of(null).map((entry) => entry.curve))].sort((a, b) => a - b);
    if (!available.includes(state.curve)) state.curve = available[0];
    curve.fill(available.map((n) => [n, curves[n].label]), state.curve);
    draw();
  };
  const stage = labelledSelect("stage", stages.map((name, n) => [n, name]), 0, (value) => { state.stage = Number(value); fill(); });
  const curve = labelledSelect("curve", [], "", (value) => { state.curve = Number(value); draw(); });
  controls.append(stage.node, curve.node);
  // Validation says more than the loss, whose terms differ between arms.
  state.stage = stages.length - 1;
  stage.select.value = state.stage;
  state.curve = Math.max(0, curves.findIndex((entry) => !entry.log));
  fill();
}
