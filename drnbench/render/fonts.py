"""Fonts of figures: one that matplotlib ships, fonts of this machine for the letters that it lacks, and which to install.

`DRNBENCH_FIGURE_FONT` names another family, or `serif`: STIX, which matplotlib ships, and which stands beside the Times of
IEEEtran, elsarticle and most journals; its mathematics is set to match.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

SANS, SERIF = "DejaVu Sans", "STIXGeneral"
VARIABLE = "DRNBENCH_FIGURE_FONT"
FALLBACKS = (
    "notosanscjk", "sourcehansans", "wqy-microhei", "wqy-zenhei", "droidsansfallback", "notosansarabic", "notosanshebrew",
    "notosansdevanagari", "notosansthai", "notoemoji", "symbola", "notosanssymbols2",
)  # fmt: skip
"""Beginnings of the files of fonts for letters that others lack, in the order that they are asked in."""
PACKAGES = (
    ((0x1100, 0x11FF), "Noto Sans CJK (Debian and Ubuntu: fonts-noto-cjk)"),
    ((0x2E80, 0xD7FF), "Noto Sans CJK (Debian and Ubuntu: fonts-noto-cjk)"),
    ((0xF900, 0xFAFF), "Noto Sans CJK (Debian and Ubuntu: fonts-noto-cjk)"),
    ((0xFF00, 0xFFEF), "Noto Sans CJK (Debian and Ubuntu: fonts-noto-cjk)"),
    ((0x2600, 0x27BF), "Symbola (Debian and Ubuntu: fonts-symbola)"),
    ((0x1F000, 0x1FAFF), "Symbola (Debian and Ubuntu: fonts-symbola)"),
    ((0x20000, 0x3FFFF), "Noto Sans CJK (Debian and Ubuntu: fonts-noto-cjk)"),
)
"""Ranges of code points, and the font that has their letters."""
OTHERS = "the Noto font of their script (Debian and Ubuntu: fonts-noto-core)"


def settings() -> dict[str, Any]:
    """Return the settings of matplotlib that choose the fonts."""
    return {
        "font.family": list(families()),
        # Mathematics, such as the powers of a logarithmic axis, in letters of the same kind.
        "mathtext.fontset": "stix" if families()[0] == SERIF else "dejavusans",
    }


@functools.cache
def families() -> tuple[str, ...]:
    """Return the families of figures: that of text, and those of this machine that have what it lacks."""
    from matplotlib import font_manager

    asked = os.environ.get(VARIABLE, "")
    first = {"": SANS, "sans": SANS, "serif": SERIF}.get(asked, asked)
    installed = {font.name for font in font_manager.fontManager.ttflist}
    names = [first] if first in installed else []
    files = [Path(path) for path in font_manager.findSystemFonts()]
    for start in FALLBACKS:
        regular = sorted(path for path in files if path.name.lower().startswith(start) and _is_regular(path))
        if regular and _embeds(regular[0]):
            # Added here: matplotlib's own list may be older than the font.
            font_manager.fontManager.addfont(regular[0])
            names.append(font_manager.get_font(str(regular[0])).family_name)
    return tuple(dict.fromkeys([*names[:1], SANS, *names[1:]] if names else [SANS]))


def _is_regular(path: Path) -> bool:
    weights = ("bold", "light", "thin", "medium", "black", "italic", "mono", "demi")
    return not any(weight in path.stem.lower() for weight in weights)


def _embeds(path: Path) -> bool:
    """Return True if matplotlib embeds a font in a PDF file: before 3.11 TrueType alone, and no colour emoji."""
    import matplotlib as mpl

    if "color" in path.stem.lower():
        return False
    return path.suffix.lower() == ".ttf" or mpl.__version_info__[:2] >= (3, 11)


@functools.cache
def glyphs() -> frozenset[int]:
    """Return the code points that the fonts of figures have."""
    from matplotlib.font_manager import FontProperties, findfont, get_font

    files = {findfont(FontProperties(family=family)) for family in families()}
    return frozenset(code for file in files for code in get_font(file).get_charmap())


def lacking(texts: Iterable[str]) -> list[str]:
    """Return warnings of the characters that no font here has, with the font to install, and of a family that is not here."""
    asked = os.environ.get(VARIABLE, "")
    unknown = asked not in {"", "sans", "serif", families()[0]}
    warnings = [
        f"{VARIABLE}={asked}: matplotlib finds no font of that name; figures are set in {families()[0]}"
    ] * unknown
    missing = sorted(
        {c for text in texts for c in text if c.isprintable() and not c.isspace() and ord(c) not in glyphs()}
    )
    if not missing:
        return warnings
    fonts = dict.fromkeys(_font_of(ord(character)) for character in missing)
    more = f" and {len(missing) - 8} more" if len(missing) > 8 else ""
    letters = f"{''.join(missing[:8])}{more}"
    message = f"no font here has {letters}, which figures write by code point: install {', and '.join(fonts)}, and report again"
    return [*warnings, message]


def _font_of(code: int) -> str:
    return next((font for (low, high), font in PACKAGES if low <= code <= high), OTHERS)
