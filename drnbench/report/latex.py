"""LaTeX for plain pdflatex: escaping, and tables with booktabs."""

from __future__ import annotations

from drnbench.report.tables import Body, Entry, Row

SPECIAL = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", '"': r"\textquotedbl{}", "×": r"$\times$", "±": r"$\pm$", "−": r"$-$", "·": r"$\cdot$",
    "≥": r"$\geq$", "≤": r"$\leq$", "→": r"$\rightarrow$", "∞": r"$\infty$", "†": r"$^{\dagger}$", "–": "--",
    "—": "---", "…": r"\ldots{}", "°": r"$^{\circ}$", "²": r"$^{2}$", "µ": r"$\mu$", "≈": r"$\approx$", "≠": r"$\neq$",
    "‘": "`", "’": "'", "“": "``", "”": "''", "\u00a0": "~", "↑": r"$\uparrow$", "↓": r"$\downarrow$", "√": r"$\surd$",
}  # fmt: skip
# T1 has a straight double quote, plain pdflatex's OT1 has none.
SPECIAL['"'] = "''"
GREEK = {
    "alpha": "αΑ", "beta": "βΒ", "gamma": "γΓ", "delta": "δΔ", "epsilon": "εΕ", "zeta": "ζΖ", "eta": "ηΗ", "theta": "θΘ",
    "iota": "ιΙ", "kappa": "κΚ", "lambda": "λΛ", "mu": "μΜ", "nu": "νΝ", "xi": "ξΞ", "pi": "πΠ", "rho": "ρΡ",
    "sigma": "σΣ", "tau": "τΤ", "upsilon": "υΥ", "phi": "φΦ", "chi": "χΧ", "psi": "ψΨ", "omega": "ωΩ",
}  # fmt: skip
LATIN_CAPITALS = "ΑΒΕΖΗΙΚΜΝΡΤΧ"
GROUPS_ABREAST = 2
"""Column groups that fit side by side into a two-column paper's text width; further ones stand below."""


def _greek() -> dict[str, str]:
    table = {}
    for name, (small, capital) in GREEK.items():
        table[small] = f"$\\{name}$"
        # TeX has no command for capitals that look Latin.
        table[capital] = (
            f"$\\mathrm{{{name[0].upper()}}}$" if capital in LATIN_CAPITALS else f"$\\{name.capitalize()}$"
        )
    return table


TABLE = str.maketrans({**SPECIAL, **_greek()})


def escape(text: str) -> str:
    """Return text that plain pdflatex sets as it reads; whitespace runs become one space.

    What neither pdflatex's default encoding nor the tables above know (emoji, CJK) becomes `?`, since one such
    letter would stop the whole paper.
    """
    out = " ".join(text.split()).translate(TABLE)
    return "".join(c if ord(c) < 0x180 and c.isprintable() else "?" for c in out)


def _entry(entry: Entry) -> str:
    main = escape(entry.main)
    text = (f"\\textbf{{{main}}}" if entry.bold else main) + (f" {escape(entry.tail)}" if entry.tail else "")
    # The mark hangs over the edge, so that numbers stay aligned.
    marks = {"*": r"\rlap{$^{*}$}", "†": r"\rlap{$^{\dagger}$}"}
    return text + marks.get(entry.mark, "")


def _tabular(body: Body, columns: list[int]) -> list[str]:
    used = [body.columns[c] for c in columns]
    lines = [f"\\begin{{tabular}}{{@{{}}{''.join('l' if c.left else 'r' for c in used)}@{{}}}}", r"\toprule"]
    heads, rules, at = [], [], 0
    while at < len(used):
        group = used[at].group
        wide = next((n for n in range(at, len(used)) if used[n].group != group), len(used)) - at
        if group:
            heads.append(f"\\multicolumn{{{wide}}}{{c}}{{{escape(group)}}}")
            rules.append(f"\\cmidrule(lr){{{at + 1}-{at + wide}}}")
        else:
            heads += [""] * wide
        at += wide
    if rules:
        lines += [" & ".join(heads) + r" \\", "".join(rules)]
    lines += [" & ".join(escape(c.header) for c in used) + r" \\", r"\midrule"]
    for row in body.rows:
        lines += _row(row, columns)
    return [*lines, r"\bottomrule", r"\end{tabular}"]


def _row(row: Row, columns: list[int]) -> list[str]:
    line = " & ".join(_entry(row.entries[c]) for c in columns) + r" \\"
    return [r"\midrule", line] if row.rule else [line]


def render(body: Body, label: str) -> str:
    """Return a float with caption and `\\label{tab:...}`; needs booktabs alone.

    A table of one group fits one column of a two-column paper or stands in `table*`; further groups stand below
    each other, since shrinking a table to fit makes it unreadable.
    """
    common = [n for n, c in enumerate(body.columns) if not c.group]
    groups = list(dict.fromkeys(c.group for c in body.columns if c.group))
    lines = [
        "% needs \\usepackage{booktabs}",
        r"\begin{table*}[t]",
        r"\centering",
        f"\\caption{{{escape(body.caption)}}}",
        f"\\label{{tab:{label}}}",
        r"\footnotesize",
        r"\setlength{\tabcolsep}{4pt}",
    ]
    for start in range(0, max(1, len(groups)), GROUPS_ABREAST):
        chosen = groups[start : start + GROUPS_ABREAST]
        columns = sorted([*common, *(n for n, c in enumerate(body.columns) if c.group in chosen)])
        lines += [r"\par\medskip"] if start else []
        lines += _tabular(body, columns)
    return "\n".join([*lines, r"\end{table*}", ""])
