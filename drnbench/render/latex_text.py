"""Text for plain pdflatex: escaping and approximate widths."""

from __future__ import annotations

import hashlib
import re

from drnbench.render.spelling import GREEK, with_code_points

SPECIAL = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{",
    "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}",
    ">": r"\textgreater{}", "|": r"\textbar{}", "×": r"$\times$", "±": r"$\pm$", "−": r"$-$",
    "·": r"$\cdot$", "≥": r"$\geq$", "≤": r"$\leq$", "→": r"$\rightarrow$", "∞": r"$\infty$",
    "†": r"$^{\dagger}$", "‡": r"$^{\ddagger}$", "–": "--", "—": "---", "…": r"\ldots{}", "°": r"$^{\circ}$", "²": r"$^{2}$",
    "µ": r"$\mu$", "≈": r"$\approx$", "≠": r"$\neq$", "‘": "`", "’": "'", "“": "``", "”": "''",
    "\u00a0": "~", "\u200b": r"\hspace{0pt plus .2em}", "↑": r"$\uparrow$", "↓": r"$\downarrow$",
    # A straight double quote exists in T1 alone, not in pdflatex's default encoding.
    '"': "''", "*": r"$^{*}$",
}  # fmt: skip
BREAKABLE_EM = 30.0
"""A word wider than this has no room in a line of a caption."""
LATIN_CAPITALS = "ΑΒΕΖΗΙΚΜΝΡΤΧ"
NOT_IN_OT1 = frozenset("«»ÐÞðþĄąĐđĘęĦħĮįĸĿŀŉŊŋŦŧŲųſ")
"""Letters below U+0180 that pdflatex's default encoding lacks: each of them stops the paper."""


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

    Characters that neither its default encoding nor the tables above have (emoji, CJK) would stop the whole paper; they
    become their code points, so that two names stay two: `[U+4E2D U+6587]`.
    """
    out = " ".join(text.split())
    return with_code_points(out, _settable).translate(TABLE)


def _settable(character: str) -> bool:
    if ord(character) in TABLE:
        return True
    return ord(character) < 0x180 and character.isprintable() and character not in NOT_IN_OT1


def comment(text: str) -> str:
    """Return text as a comment, which TeX ends at the next line end: line ends of every kind become spaces.

    Control characters, which some engines and editors take for line ends, become their code points.
    """
    spaced = "".join(" " if character.isspace() else character for character in text)
    return f"% {with_code_points(spaced, str.isprintable)}"


def label(name: str) -> str:
    r"""Return a name for `\label`: letters, digits and a few signs; a digest tells other names apart.

    >>> label("rho_sweep-7f3a"), label("a}b")
    ('rho_sweep-7f3a', 'a-b-538c54fe')
    """
    plain = re.sub(r"[^A-Za-z0-9_.:+-]", "-", name)
    return (
        plain if plain == name else f"{plain}-{hashlib.sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"
    )


def breakable(text: str) -> str:
    """Return text whose very long words may be broken: no line of a caption has room for a name of 200 letters.

    They may be broken anywhere, with some stretch at each place: TeX rather sets too long a line than one with gaps.
    """

    def parts(word: re.Match[str]) -> str:
        return re.sub(r"..(?=.)", "\\g<0>\u200b", word[0]) if em_width(word[0]) > BREAKABLE_EM else word[0]

    return re.sub(r"\S+", parts, with_code_points(text, _settable))


def em_width(text: str) -> float:
    """Return the approximate width of text in Computer Modern, in em: enough to choose between layouts."""
    text = with_code_points(text, _settable)
    narrow, wide = set(".,[]|:;'()i l"), set("±−+=→↑↓×Δ")
    return sum(0.3 if c in narrow else 0.8 if c in wide else 0.68 if c.isupper() else 0.53 for c in text)
