/* Tables that are wider than the page scroll by keyboard, too. */
const focusable = () =>
  document.querySelectorAll(".md-typeset__scrollwrap:not([tabindex])").forEach(wrap => {
    wrap.tabIndex = 0
    wrap.setAttribute("role", "region")
    wrap.setAttribute("aria-label", "Table")
  })
new MutationObserver(focusable).observe(document.documentElement, { childList: true, subtree: true })
