// Scores of every image: two arms against each other, and a table of all arms; a click opens the image.

function showScores(data, mount, explorer) {
  const state = { condition: data.primary.condition, metric: data.primary.metric, a: data.pair[0], b: data.pair[1], difference: true };
  const controls = element("div", { class: "controls" });
  const note = element("output", { class: "reading" });
  mount.append(controls);
  const chart = new Chart(mount, "Scores of each image, one arm against another");
  const holder = element("div");
  mount.append(note, holder);

  const open = (image) => {
    const { label } = data.conditions[state.condition];
    if (explorer.open(state.condition, image, state.a, state.b)) note.textContent = "";
    else note.textContent = `no picture of ${image} (${label}) is kept in the store`;
  };
  const draw = () => {
    const { images, scores } = data.conditions[state.condition];
    const style = data.metrics[state.metric];
    const columns = scores[state.metric].map((column) => column && column.map(score));
    const [a, b] = [columns[state.a] ?? [], columns[state.b] ?? []];
    const points = images.map((image, n) => ({ image, n })).filter(({ n }) => Number.isFinite(a[n]) && Number.isFinite(b[n])).map(({ image, n }) => ({
      x: a[n], y: state.difference ? b[n] - a[n] : b[n], colour: look(data, state.b).colour, open: () => open(image),
      text: `${image}: ${written(a[n], style.decimals)} → ${written(b[n], style.decimals)}${style.unit} (Δ ${signed(b[n] - a[n], style.deltaDecimals)})`,
    }));
    const unit = style.unit ? ` (${style.unit.trim()})` : "";
    const names = [state.a, state.b].map((arm) => cutText(data.arms[arm]));
    chart.show({
      points,
      diagonal: !state.difference && points.length > 0,
      rules: state.difference ? [{ y: 0, label: "equal" }] : [],
      xLabel: `${names[0]}: ${style.label}${unit}`,
      yLabel: state.difference ? `Δ ${names[1]} ${MINUS} ${names[0]}${unit}` : `${names[1]}: ${style.label}${unit}`,
    });
    const arms = columns.map((column, arm) => arm).filter((arm) => columns[arm] !== null);
    const heads = [["image", true], [`Δ ${names[1]} ${MINUS} ${names[0]}`, false], ...arms.map((arm) => [data.arms[arm], false])];
    const rows = images.map((image, n) => [
      element("button", { type: "button", class: "link", click: () => open(image) }, image),
      Number.isFinite(a[n]) && Number.isFinite(b[n]) ? signed(b[n] - a[n], style.deltaDecimals) : "–",
      ...arms.map((arm) => written(columns[arm][n], style.decimals)),
    ]);
    holder.replaceChildren(buildTable(`${style.label} of each image, ${data.conditions[state.condition].label}, means over seeds`, heads, rows));
  };
  const metric = labelledSelect("metric", [], "", (value) => { state.metric = value; fill(); });
  const [a, b] = ["a", "b"].map((side) => labelledSelect(side === "a" ? "arm A" : "arm B", [], "", (value) => { state[side] = Number(value); draw(); }));
  const fill = () => {
    const { scores } = data.conditions[state.condition];
    const available = Object.keys(scores);
    if (!available.includes(state.metric)) state.metric = available[0];
    metric.fill(available.map((name) => [name, data.metrics[name].label]), state.metric);
    const arms = data.arms.map((name, arm) => [arm, name]).filter(([arm]) => scores[state.metric][arm] !== null);
    const kept = (arm, n) => (arms.some(([other]) => other === arm) ? arm : (arms[Math.min(n, arms.length - 1)] ?? [0])[0]);
    [state.a, state.b] = [kept(state.a, 0), kept(state.b, 1)];
    a.fill(arms, state.a);
    b.fill(arms, state.b);
    draw();
  };
  const condition = labelledSelect("test set", data.conditions.map((entry, n) => [n, entry.label]), state.condition, (value) => { state.condition = Number(value); fill(); });
  const views = [["difference", "difference B − A"], ["both", "B against A"]];
  const view = labelledSelect("vertical", views, "difference", (value) => { state.difference = value === "difference"; draw(); });
  controls.append(condition.node, metric.node, a.node, b.node, view.node);
  fill();
}
