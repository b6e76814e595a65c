// Tables that can be sorted by each column, filtered by text, and whose columns can be hidden.

const MANY_ROWS = 6;
const MANY_COLUMNS = 4;

/** Give each row whose first cell is empty, as its group is named above, the name of the group; it is shown where rows are sorted. */
function nameGroups(rows) {
  let above = "";
  for (const row of rows) {
    const own = row.cells[0].textContent;
    if (own || row.classList.contains("rule")) above = own;
    else if (above) row.cells[0].dataset.above = above;
  }
}

/** Where groups are named in the first column, keep the second in sight, too: it tells their rows apart. */
function keepSecondColumn(table, heads, rows) {
  if (!rows.some((row) => row.cells[0].dataset.above) || !heads[1].classList.contains("l")) return;
  const left = `${heads[0].offsetWidth}px`;
  for (const cell of [heads[1], ...rows.map((row) => row.cells[1])]) {
    cell.classList.add("kept");
    cell.style.left = left;
  }
}

function textOf(cell) {
  return cell.textContent || (cell.dataset.above ?? "");
}

/** Return the order of two rows by a column: text by its words and numbers, numbers by size, cells without one last. */
function compareCells(column, isText, direction) {
  const key = (row) => (isText ? textOf(row.cells[column]) : numberIn(row.cells[column].textContent));
  return (first, second) => {
    const [a, b] = [key(first), key(second)];
    if (isText) return direction * a.localeCompare(b, undefined, { numeric: true });
    if (Number.isNaN(a) || Number.isNaN(b)) return Number(Number.isNaN(a)) - Number(Number.isNaN(b));
    return a === b ? 0 : direction * (a - b);
  };
}

/** Put a button into each head: ascending, descending, and back to the order of the study. */
function makeSortable(table, heads, original) {
  const body = table.tBodies[0];
  heads.forEach((head, column) => {
    const button = element("button", { type: "button", class: "sort" });
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const next = { none: "ascending", ascending: "descending", descending: "none" }[head.ariaSort ?? "none"];
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      if (next !== "none") head.ariaSort = next;
      body.classList.toggle("sorted", next !== "none");
      const rows = [...original];
      if (next !== "none") rows.sort(compareCells(column, head.classList.contains("l"), next === "ascending" ? 1 : -1));
      body.append(...rows);
    });
  });
}

function filterBox(original) {
  const count = element("output", {}, "");
  const box = element("input", { type: "search", placeholder: "filter rows", "aria-label": "filter rows" });
  const texts = original.map((row) => [...row.cells].map(textOf).join(" ").toLowerCase());
  box.addEventListener("input", () => {
    const words = box.value.toLowerCase().split(/\s+/).filter(Boolean);
    let left = 0;
    original.forEach((row, n) => {
      row.hidden = !words.every((word) => texts[n].includes(word));
      left += row.hidden ? 0 : 1;
    });
    count.textContent = words.length ? `${left} of ${original.length} rows` : "";
  });
  return [box, count];
}

/** Return a list of check boxes that hide columns; the first column names the row and stays. */
function columnBoxes(table, heads) {
  const groups = table.tHead.rows.length > 1 ? [...table.tHead.rows[0].cells] : [];
  const spans = groups.map((cell) => cell.colSpan);
  const shown = heads.map(() => true);
  const show = (column, visible) => {
    shown[column] = visible;
    for (const row of [heads[column].parentElement, ...table.tBodies[0].rows]) row.cells[column].hidden = !visible;
    let start = 0;
    groups.forEach((cell, n) => {
      const left = shown.slice(start, start + spans[n]).filter(Boolean).length;
      cell.hidden = left === 0;
      cell.colSpan = Math.max(1, left);
      start += spans[n];
    });
  };
  const names = heads.map((head, column) => {
    let start = 0;
    const group = groups.find((cell, n) => (start += spans[n]) > column && start - spans[n] <= column);
    return `${group?.textContent ?? ""} ${head.textContent}`.trim();
  });
  const boxes = names.map((name, column) => {
    const box = element("input", { type: "checkbox", checked: true, change: () => show(column, box.checked) });
    return column === 0 ? null : element("label", {}, box, name);
  });
  return element("details", { class: "columns" }, element("summary", {}, "columns"), element("div", {}, ...boxes));
}

function enhanceTable(table) {
  const heads = [...table.tHead.rows[table.tHead.rows.length - 1].cells];
  const original = [...table.tBodies[0].rows];
  nameGroups(original);
  keepSecondColumn(table, heads, original);
  makeSortable(table, heads, original);
  const tools = [];
  if (original.length >= MANY_ROWS) tools.push(...filterBox(original));
  if (heads.length >= MANY_COLUMNS) tools.push(columnBoxes(table, heads));
  if (tools.length) table.closest(".scroll").before(element("div", { class: "tools" }, ...tools));
}

/** Return a table made here: heads are [text, isText]; each row is a list of texts or elements. */
function buildTable(label, heads, rows) {
  const table = element(
    "table",
    { class: "data" },
    element("caption", { class: "hidden" }, label),
    element("thead", {}, element("tr", {}, ...heads.map(([text, isText]) => element("th", { scope: "col", class: isText ? "l" : null }, text)))),
    element("tbody", {}, ...rows.map((cells) => element("tr", {}, ...cells.map((cell, n) =>
      element(n === 0 ? "th" : "td", { scope: n === 0 ? "row" : null, class: heads[n][1] ? "l" : null }, cell))))),
  );
  const scroll = element("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": label }, table);
  const holder = element("div", {}, scroll);
  enhanceTable(table);
  return holder;
}
