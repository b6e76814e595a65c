"""Which image belongs to which: by the stem of the file, whatever SR and LR files append to it."""

from __future__ import annotations

import re
from collections.abc import Iterable

# What HR files of benchmark packs append to the name of the picture: baby_HR_x4, img_001_SRF_4_HR, 0001_GT. Nothing
# less: fox1 is a name, and so is box2.
_DECORATION = re.compile(r"(?:[_-]SRF[_-]?\d+)?[_-](?:HR|GT)(?:[_-]?x\d+)?$", re.IGNORECASE)


def owner(stem: str, names: Iterable[str]) -> str | None:
    """Return the HR image that a file shows, by its stem: `baby_RCAN_x4`, `babyx4` and `baby` all belong to `baby`.

    The longest name wins that the stem begins with, where what follows is no letter or digit, or is `x` and a digit.
    Names of HR images count with and without what benchmark packs append to them (`baby_HR_x4`); upper and lower case are
    the same.

    Args:
        stem: of an SR or LR file.
        names: of the HR images.

    Returns:
        One of `names`; None where none fits.

    """
    names = list(names)
    short: dict[str, list[str]] = {}
    for name in names:
        short.setdefault(_DECORATION.sub("", name).casefold(), []).append(name)
    # A shortened name that several have tells nothing; a name as it stands comes before a shortened one.
    known = {key: several[0] for key, several in short.items() if key and len(several) == 1}
    known |= {name.casefold(): name for name in names}
    if stem in names:
        return stem
    stem = stem.casefold()
    fitting = [name for name in known if stem.startswith(name) and _ends(stem[len(name) :])]
    return known[max(fitting, key=len)] if fitting else None


def _ends(rest: str) -> bool:
    return not rest or not rest[0].isalnum() or re.match(r"x\d", rest) is not None
