// Elements, numbers in writing, and the data blocks of the page.

const MINUS = "\u2212";
const SVG = "http://www.w3.org/2000/svg";

/** Return the content of a data block of the page; null where it has none. */
function readData(id) {
  const block = document.getElementById(id);
  return block === null ? null : JSON.parse(block.textContent);
}

/** Set attributes and append children: functions become listeners, null and false are left out; text is never parsed. */
function furnish(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") node.addEventListener(name, value);
    else if (value !== null && value !== undefined && value !== false) node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== null));
  return node;
}

function element(tag, attributes = {}, ...children) {
  return furnish(document.createElement(tag), attributes, children);
}

function shape(tag, attributes = {}, ...children) {
  return furnish(document.createElementNS(SVG, tag), attributes, children);
}

/** Return a select with a label; options are [value, text], and `changed` gets the value. */
function labelledSelect(text, options, value, changed) {
  const select = element("select", { name: text, change: () => changed(select.value) });
  const fill = (entries, chosen) => {
    select.replaceChildren(...entries.map(([key, name]) => element("option", { value: key }, name)));
    select.value = chosen;
  };
  fill(options, value);
  return { node: element("label", {}, element("span", {}, text), select), select, fill };
}

/** Return a number with a minus sign, a dash where there is none; infinity is written as in the tables. */
function written(value, decimals) {
  if (value === null || value === undefined || Number.isNaN(value)) return "\u2013";
  if (!Number.isFinite(value)) return value > 0 ? "\u221e" : MINUS + "\u221e";
  return value.toFixed(decimals).replace("-", MINUS);
}

function signed(value, decimals) {
  return (value > 0 ? "+" : "") + written(value, decimals);
}

/** Return a score of the data block as a number: null stays, "inf" is infinity, which JSON lacks. */
function score(value) {
  return value === "inf" ? Infinity : value === "-inf" ? -Infinity : value;
}

/** Return the first number in a text; NaN where it holds none. */
function numberIn(text) {
  const plain = text.replaceAll(MINUS, "-").replaceAll("\u2009", "");
  if (/^[^\d]*\u221e/.test(plain)) return plain.includes("-") ? -Infinity : Infinity;
  const match = plain.match(/[-+]?\d+(\.\d+)?(e[-+]?\d+)?/i);
  return match === null ? NaN : Number(match[0]);
}

/** Call `make` with a mount once it is near the window. */
function whenNear(id, make) {
  const mount = document.getElementById(id);
  if (mount === null) return;
  const observer = new IntersectionObserver(
    (entries) => {
      if (!entries.some((entry) => entry.isIntersecting)) return;
      observer.disconnect();
      make(mount);
    },
    { rootMargin: "300px" },
  );
  observer.observe(mount);
}
