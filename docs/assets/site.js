/* Tables and diagrams that are wider than the page scroll by keyboard, too. */
const WIDE = '.md-typeset__scrollwrap:not([tabindex]), .md-typeset p:has(> img[src$="concepts.svg"]):not([tabindex])'
const focusable = () =>
  document.querySelectorAll(WIDE).forEach(wrap => {
    wrap.tabIndex = 0
    wrap.setAttribute("role", "region")
    wrap.setAttribute("aria-label", wrap.tagName === "P" ? "Diagram" : "Table")
  })
new MutationObserver(focusable).observe(document.documentElement, { childList: true, subtree: true })
