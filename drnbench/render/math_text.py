r"""Formulas in names: which part of a text is math that every LaTeX sets, such as `$\mathcal{L}_1$`."""

from __future__ import annotations

import re

CANDIDATE = re.compile(r"(?<![\\$])\$(?=[^\s$])([^$]*?)(?<=[^\s\\])\$(?![\d$])")
"""Text between dollar signs as pandoc reads it: `$5 and $6` is no formula."""
TOKEN = re.compile(r"\\(?:[A-Za-z]+|[,;:!|{}%#&_ ])|[^\\]")
SYMBOLS = frozenset(
    re.findall(r"\w+", """alpha beta gamma delta epsilon varepsilon zeta eta theta vartheta iota kappa lambda mu nu xi pi rho sigma tau
    upsilon phi varphi chi psi omega Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega
    times cdot div pm mp ast star circ bullet oplus otimes infty ell partial nabla forall exists emptyset
    leq le geq ge neq ne approx sim simeq equiv propto ll gg in notin subset cup cap to rightarrow leftarrow Rightarrow
    uparrow downarrow mapsto sum prod int max min sup inf arg log ln exp sin cos tan det dim lim
    dagger ddagger prime dots ldots cdots quad qquad lbrace rbrace langle rangle lfloor rfloor lceil rceil
    Vert vert mid parallel top bot perp""")
)  # fmt: skip
"""Commands of plain LaTeX without an argument."""
ARGUMENTS = {
    **dict.fromkeys(
        ("mathcal", "mathbf", "mathrm", "mathit", "mathsf", "mathtt", "hat", "bar", "tilde", "vec", "dot", "ddot", "check",
         "breve", "acute", "grave", "overline", "underline", "widehat", "widetilde", "sqrt"), 1,
    ),
    "frac": 2,
}  # fmt: skip
"""Commands of plain LaTeX with arguments, and how many they have."""
PACKAGES = {
    **dict.fromkeys(("mathbb", "mathfrak"), "amssymb"),
    **dict.fromkeys(("boldsymbol", "text", "operatorname"), "amsmath"),
}
"""Commands with one argument that a package defines."""
BRACED = frozenset(
    [",", ";", ":", "!", " ", "quad", "qquad", "dots", "ldots", "cdots", "notin", "int", "sum", "prod", "max", "min", "sup", "inf",
     "arg", "log", "ln", "exp", "sin", "cos", "tan", "det", "dim", "lim"]
)  # fmt: skip
"""Commands that TeX does not take as a script without braces: `x_\\max` stops it, `x_{\\max}` does not."""
TEXT = frozenset({"text", "operatorname"})
"""Commands whose argument is text."""


def split(text: str) -> list[tuple[bool, str]]:
    r"""Split a text into formulas, dollar signs included, and what stands between them.

    >>> split(r"ours, $\mathcal{L}_1$")
    [(False, 'ours, '), (True, '$\\mathcal{L}_1$')]
    >>> split(r"$\frac{a$")
    [(False, '$\\frac{a$')]
    """
    parts, begin = list[tuple[bool, str]](), 0
    for candidate in CANDIDATE.finditer(text):
        if valid(candidate[1]):
            parts += [(False, text[begin : candidate.start()]), (True, candidate[0])]
            begin = candidate.end()
    return [(is_math, part) for is_math, part in [*parts, (False, text[begin:])] if part]


def valid(formula: str) -> bool:
    """Return True if LaTeX sets a formula without an error: supported commands, balanced braces, one script of a kind."""
    tokens = TOKEN.findall(formula)
    if not formula.isascii() or "".join(tokens) != formula:
        return False
    try:
        return _group(tokens, 0, closed=False) == len(tokens)
    except (IndexError, ValueError):  # it ends in the middle of a group, or has what is not allowed there
        return False


def packages(text: str) -> set[str]:
    """Return the packages that the formulas of a text need."""
    commands = (name for is_math, part in split(text) if is_math for name in re.findall(r"\\([A-Za-z]+)", part))
    return {PACKAGES[name] for name in commands if name in PACKAGES}


def visible(formula: str) -> str:
    """Return about the characters that a formula shows, to measure it."""
    accents = ARGUMENTS.keys() | PACKAGES.keys()
    words = re.sub(r"\\([A-Za-z]+)", lambda command: "" if command[1] in accents else "x", formula)
    return re.sub(r"[\\{}$^_]", "", words)


def _group(tokens: list[str], n: int, *, closed: bool) -> int:
    """Return the position after a group: after its brace where it is `closed`, else at the end."""
    scripts = set[str]()
    while n < len(tokens):
        atom = tokens[n]
        if atom == "}":
            if not closed:
                raise ValueError
            return n + 1
        if atom in {"_", "^", "'"}:
            script = "_" if atom == "_" else "^"  # a prime is a superscript
            if script in scripts and not atom == tokens[n - 1] == "'":
                raise ValueError
            scripts.add(script)
            n = n + 1 if atom == "'" else _script(tokens, n + 1)
        else:
            scripts = scripts if atom.isspace() else set()
            n = _atom(tokens, n)
    if closed:
        raise ValueError
    return n


def _script(tokens: list[str], n: int) -> int:
    """Return the position after a script: a group, or what is one character; TeX takes no word, space or argument there."""
    n = _after_space(tokens, n)
    if tokens[n] in {"_", "^", "'"} or tokens[n][1:] in ARGUMENTS.keys() | PACKAGES.keys() | BRACED:
        raise ValueError
    return _atom(tokens, n)


def _atom(tokens: list[str], n: int) -> int:
    """Return the position after a character, a group, or a command with its arguments."""
    atom = tokens[n]
    if atom == "{":
        return _group(tokens, n + 1, closed=True)
    if not atom.startswith("\\"):
        if atom in "}%#&~$" or not atom.isprintable():
            raise ValueError
        return n + 1
    name = atom[1:]
    count = 1 if name in PACKAGES else ARGUMENTS.get(name, 0)
    if not count and name.isalpha() and name not in SYMBOLS:
        raise ValueError
    n += 1
    for _ in range(count):
        n = _after_space(tokens, n)
        if tokens[n] != "{":
            raise ValueError
        end = _atom(tokens, n)
        if name in TEXT and not all(part.isalnum() or part in " .,-" for part in tokens[n + 1 : end - 1]):
            raise ValueError
        n = end
    return n


def _after_space(tokens: list[str], n: int) -> int:
    while tokens[n].isspace():
        n += 1
    return n
