// The configuration of one arm beside that of another, what differs first.

function showConfigurations(data, mount) {
  const { common, own } = data.configurations;
  const arms = data.arms.map((name, arm) => [arm, name]).filter(([arm]) => own[arm] !== null);
  const kept = (arm, n) => (arms.some(([other]) => other === arm) ? arm : arms[Math.min(n, arms.length - 1)][0]);
  const state = { a: kept(data.pair[0], 0), b: kept(data.pair[1], 1), all: false };
  const holder = element("div");
  const draw = () => {
    const [a, b] = [{ ...common, ...own[state.a] }, { ...common, ...own[state.b] }];
    const paths = Object.keys({ ...a, ...b }).filter((path) => state.all || a[path] !== b[path]);
    const rows = paths.map((path) => [path, a[path] ?? "–", b[path] ?? "–"]);
    const label = `Configuration of ${data.arms[state.a]} and ${data.arms[state.b]}`;
    holder.replaceChildren(rows.length ? buildTable(label, [["field", true], ["A", true], ["B", true]], rows) : element("p", {}, "Their configurations are equal."));
  };
  const [a, b] = ["a", "b"].map((side) => labelledSelect(`arm ${side.toUpperCase()}`, arms, state[side], (value) => { state[side] = Number(value); draw(); }));
  const all = element("input", { type: "checkbox", change: () => { state.all = all.checked; draw(); } });
  mount.append(element("div", { class: "controls" }, a.node, b.node, element("label", { class: "check" }, all, "equal fields, too")), holder);
  draw();
}
