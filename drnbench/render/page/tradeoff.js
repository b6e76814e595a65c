// A metric against what it costs: one point an arm, read by hovering or with the arrow keys.

function showTradeoff(data, mount) {
  const names = Object.keys(data.costs);
  const state = { condition: data.primary.condition, metric: data.primary.metric, cost: names[0] };
  const controls = element("div", { class: "controls" });
  mount.append(controls);
  const chart = new Chart(mount, "Metric against cost");
  const draw = () => {
    const { label, values } = data.costs[state.cost];
    const style = data.metrics[state.metric];
    const means = data.conditions[state.condition].means[state.metric];
    const points = [];
    const rules = [];
    means.forEach((entry, arm) => {
      if (entry === null || !Number.isFinite(score(entry[0]))) return;
      const [mean, half] = entry;
      const text = `${data.arms[arm]}: ${style.label} ${written(mean, style.decimals)}${half ? ` ± ${written(half, style.decimals)}` : ""}${style.unit}`;
      if (values[arm] === null) rules.push({ y: mean, label: data.arms[arm] });
      else points.push({ x: values[arm], y: mean, half, colour: look(data, arm).colour, hollow: data.baselines.includes(arm), label: means.length <= 12 ? cutText(data.arms[arm]) : null, text: `${text}, ${label} ${Number(values[arm].toPrecision(4))}` });
    });
    chart.show({ points, rules: rules.slice(0, 3), xLabel: label, yLabel: style.label + (style.unit ? ` (${style.unit.trim()})` : ""), xLog: true });
  };
  const metric = labelledSelect("metric", [], "", (value) => { state.metric = value; draw(); });
  const fillMetrics = () => {
    const available = Object.keys(data.conditions[state.condition].means);
    if (!available.includes(state.metric)) state.metric = available[0];
    metric.fill(available.map((name) => [name, data.metrics[name].label]), state.metric);
    draw();
  };
  const condition = labelledSelect("test set", data.conditions.map((entry, n) => [n, entry.label]), state.condition, (value) => { state.condition = Number(value); fillMetrics(); });
  const cost = labelledSelect("cost", names.map((name) => [name, data.costs[name].label]), state.cost, (value) => { state.cost = value; draw(); });
  controls.append(condition.node, metric.node, cost.node);
  fillMetrics();
}

/** Return a name that fits beside a point. */
function cutText(name) {
  return name.length > 28 ? `${name.slice(0, 27)}…` : name;
}
