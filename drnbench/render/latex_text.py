"""Text for plain pdflatex: escaping and approximate widths."""

from __future__ import annotations

SPECIAL = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{",
    "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}",
    ">": r"\textgreater{}", "|": r"\textbar{}", "×": r"$\times$", "±": r"$\pm$", "−": r"$-$",
    "·": r"$\cdot$", "≥": r"$\geq$", "≤": r"$\leq$", "→": r"$\rightarrow$", "∞": r"$\infty$",
    "†": r"$^{\dagger}$", "–": "--", "—": "---", "…": r"\ldots{}", "°": r"$^{\circ}$", "²": r"$^{2}$",
    "µ": r"$\mu$", "≈": r"$\approx$", "≠": r"$\neq$", "‘": "`", "’": "'", "“": "``", "”": "''",
    "\u00a0": "~", "↑": r"$\uparrow$", "↓": r"$\downarrow$",
    # A straight double quote exists in T1 alone, not in pdflatex's default encoding.
    '"': "''", "*": r"$^{*}$",
}  # fmt: skip
GREEK = {
    "alpha": "αΑ", "beta": "βΒ", "gamma": "γΓ", "delta": "δΔ", "epsilon": "εΕ", "zeta": "ζΖ", "eta": "ηΗ",
    "theta": "θΘ", "iota": "ιΙ", "kappa": "κΚ", "lambda": "λΛ", "mu": "μΜ", "nu": "νΝ", "xi": "ξΞ",
    "pi": "πΠ", "rho": "ρΡ", "sigma": "σΣ", "tau": "τΤ", "upsilon": "υΥ", "phi": "φΦ", "chi": "χΧ",
    "psi": "ψΨ", "omega": "ωΩ",
}  # fmt: skip
LATIN_CAPITALS = "ΑΒΕΖΗΙΚΜΝΡΤΧ"


def _greek() -> dict[str, str]:
    table = {}
    for name, both in GREEK.items():
        small, capital = both[0], both[1]
        table[small] = f"$\\{name}$"
        # TeX has no command for capitals that look Latin.
        table[capital] = f"${name[0].upper()}$" if capital in LATIN_CAPITALS else f"$\\{name.capitalize()}$"
    return table


TABLE = str.maketrans({**SPECIAL, **_greek()})


def escape(text: str) -> str:
    """Return text that plain pdflatex sets as it reads; whitespace runs become one space.

    A character that neither pdflatex's default encoding nor the tables above have (emoji, CJK) becomes `?`, since it
    would stop the whole paper.
    """
    out = " ".join(text.split()).translate(TABLE)
    return "".join(c if ord(c) < 0x180 and c.isprintable() else "?" for c in out)


def em_width(text: str) -> float:
    """Return the approximate width of text in Computer Modern, in em: enough to choose between layouts."""
    narrow, wide = set(".,[]|:;'()i l"), set("±−+=→↑↓×Δ")
    return sum(0.3 if c in narrow else 0.8 if c in wide else 0.68 if c.isupper() else 0.53 for c in text)
