"""Any text in letters alone, as the names of TeX's commands want it, and characters that a font lacks by code point."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Callable

DIGITS = ("Zero", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine")
GREEK = {
    "alpha": "αΑ", "beta": "βΒ", "gamma": "γΓ", "delta": "δΔ", "epsilon": "εΕ", "zeta": "ζΖ", "eta": "ηΗ",
    "theta": "θΘ", "iota": "ιΙ", "kappa": "κΚ", "lambda": "λΛ", "mu": "μΜ", "nu": "νΝ", "xi": "ξΞ",
    "pi": "πΠ", "rho": "ρΡ", "sigma": "σΣ", "tau": "τΤ", "upsilon": "υΥ", "phi": "φΦ", "chi": "χΧ",
    "psi": "ψΨ", "omega": "ωΩ",
}  # fmt: skip
LONGEST, KEPT = 60, 24
"""Characters of a name that is shown whole, and those that are left of a longer one."""
GREEK_NAMES = {letter: name for name, both in GREEK.items() for letter in both} | {"ς": "sigma"}


def letters(words: str) -> str:
    """Return a name of letters alone, never empty: `ρ=0.3` is `RhoZeroPointThree`, `Müller–Ångström` `MullerAngstrom`.

    Accents are dropped, letters of other scripts spelt by their Unicode names, ideographs by their code points.
    Characters that are no letters separate words; a text of such characters alone is spelt by their names.
    """
    plain = "".join(map(_without_accents, unicodedata.normalize("NFKC", words)))
    plain = re.sub(r"(?<=\d)\.(?=\d)", " point ", plain).replace("+", " plus ").replace("%", " percent ")
    plain = re.sub(r"-(?=\d)", " minus ", plain) if re.search(r"(^|[=\s])-\d", plain) else plain
    parts = re.split(r"[^A-Za-z]+", "".join(map(_spelt, plain))) if plain else []
    joined = "".join(part[0].upper() + part[1:] for part in parts if part)
    return joined or "".join(_by_name(c) for c in words) or "Empty"


def mark(words: str) -> str:
    """Return four letters that are a function of a text, to keep apart names that `letters` makes equal."""
    number = int.from_bytes(hashlib.sha256(words.encode("utf-8", "surrogatepass")).digest()[:8], "big")
    return "".join(chr(ord("a") + number // 26**n % 26) for n in range(4))


def shortened(name: str) -> str:
    """Return a name that fits a cell or a legend; two long names stay two."""
    return name if len(name) <= LONGEST else f"{name[:KEPT].rstrip()}… ({mark(name)})"


def cut(words: str, most: int) -> str:
    """Return a text of at most so many characters, cut after a word and with an ellipsis where it is longer."""
    if len(words) <= most:
        return words
    head = words[: most - 1]
    at_word = head.rpartition(" ")[0] if " " in head[most // 2 :] else head
    return f"{at_word.rstrip(' ,;:')}…"


def legible(words: str) -> str:
    """Return a text in which characters that no terminal or page shows are their code points: `[U+0000]`."""
    return with_code_points(words, lambda character: character.isprintable() or character == "\n")


def with_code_points(text: str, available: Callable[[str], bool]) -> str:
    """Replace characters that are not available by their code points: `中文` becomes `[U+4E2D U+6587]`."""
    if all(map(available, text)):
        return text
    out, missing = list[str](), list[str]()
    for character in [*text, ""]:
        if character and not available(character):
            missing.append(f"U+{ord(character):04X}")
            continue
        if missing:
            out.append(f"[{' '.join(missing)}]")
            missing = []
        out.append(character)
    return "".join(out)


def _without_accents(character: str) -> str:
    """Return the Latin or Greek letters under the accents of a character, and `ss` for `ß`; any other unchanged."""
    base = "".join(c for c in unicodedata.normalize("NFKD", character) if not unicodedata.combining(c))
    base = base.replace("ß", "ss").replace("ẞ", "SS")
    return base if base and all(c.isascii() or c in GREEK_NAMES for c in base) else character


def _spelt(character: str) -> str:
    """Return ASCII for a character; a space for one that separates words."""
    if character.isascii():
        return f" {DIGITS[int(character)]} " if character.isdigit() else character
    if character in GREEK_NAMES:
        return f" {GREEK_NAMES[character]} "
    if (digit := unicodedata.decimal(character, None)) is not None:
        return f" {DIGITS[digit]} "
    # Arrows, crosses and dashes separate; emoji and the like are all that some names have.
    if unicodedata.category(character)[0] not in "LMN" and unicodedata.category(character) != "So":
        return " "
    name = _by_name(character)
    return name.lower() if re.search("LETTER|SYLLABLE", unicodedata.name(character, "")) else f" {name} "


def _by_name(character: str) -> str:
    """Return a character's Unicode name in letters: `ж` is `Zhe`, `🚀` is `Rocket`, `中` is `UEocn`."""
    name = unicodedata.name(character, "")
    if not name or re.search(r"-[0-9A-F]{4,}$", name):
        # One letter for each hexadecimal digit: a to p.
        return "U" + "".join(chr(ord("a") + int(digit, 16)) for digit in f"{ord(character):04x}")
    if script := re.search("(LETTER|SYLLABLE) (.*)", name):
        name = script[2].partition(" WITH ")[0]
    return "".join(word.capitalize() for word in re.split(r"[^A-Z]+", name) if word) or "U"
