"""How tables, numbers and figures are written: Markdown, LaTeX, HTML, terminal, the style of figures."""
