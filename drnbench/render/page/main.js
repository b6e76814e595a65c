// The page: everything that needs no data at once, the rest when the reader comes near it.

/** Figures open in a dialog with zoom and pan. */
function makeZoomable(figures) {
  const stage = element("div", { class: "stage", tabindex: 0, role: "group", "aria-label": "figure: arrow keys pan, plus and minus zoom, 0 fits" });
  const close = element("button", { type: "button", click: () => dialog.close() }, "close");
  const dialog = element("dialog", { class: "zoomed", "aria-label": "figure" }, close, stage);
  document.body.append(dialog);
  const viewport = new Viewport();
  viewport.attach(stage);
  for (const button of figures) {
    button.addEventListener("click", () => {
      const image = button.querySelector("img");
      stage.replaceChildren(element("img", { class: "picture smooth", src: image.currentSrc, alt: image.alt }));
      stage.classList.toggle("both", button.classList.contains("both"));
      dialog.showModal();
      viewport.setImage(image.naturalWidth, image.naturalHeight);
      stage.focus();
    });
  }
}

function start() {
  document.querySelectorAll("table.data").forEach(enhanceTable);
  makeZoomable(document.querySelectorAll("button.zoomable"));
  window.addEventListener("beforeprint", () => document.querySelectorAll("main details:not(.columns)").forEach((node) => { node.open = true; }));
  const data = readData("data");
  if (data === null) return;
  data.pair = data.pair ?? [0, Math.min(1, data.arms.length - 1)];
  const pictures = document.getElementById("explorer");
  const explorer = new Explorer(data, pictures && readData("pictures"), pictures);
  whenNear("explorer", () => explorer.build());
  whenNear("score-chart", (mount) => showScores(data, mount, explorer));
  whenNear("curve-chart", (mount) => showCurves(data, mount));
  whenNear("tradeoff-chart", (mount) => showTradeoff(data, mount));
  whenNear("configuration-table", (mount) => showConfigurations(data, mount));
}

start();
