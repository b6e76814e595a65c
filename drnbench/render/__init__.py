"""Tables, numbers and figures in writing: Markdown, LaTeX, HTML, terminal, the style of figures."""
