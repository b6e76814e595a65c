"""Pairing of SR and LR files with HR images by the stem of the file."""

from __future__ import annotations

import re
from collections.abc import Iterable

# Suffixes that benchmark packs append to the names of HR images: baby_HR_x4, img_001_SRF_4_HR, 0001_GT. A number alone is
# no suffix: fox1 is a name, and so is box2.
_DECORATION = re.compile(r"(?:[_-]SRF[_-]?\d+)?[_-](?:HR|GT)(?:[_-]?x\d+)?$", re.IGNORECASE)


def matching_hr(stem: str, names: Iterable[str]) -> str | None:
    """Return the HR image, one of `names`, that an SR or LR file belongs to by its stem; None if none fits.

    The longest name is chosen that the stem begins with, where no letter or digit follows, or `x` and a digit. Names of HR
    images count with and without the suffixes of benchmark packs (`baby_HR_x4`); case is ignored.

    >>> [matching_hr(stem, ["baby", "bird"]) for stem in ("baby_RCAN_x4", "babyx4", "BABY", "babysit")]
    ['baby', 'baby', 'baby', None]
    """
    names = list(names)
    if stem in names:
        return stem
    short: dict[str, list[str]] = {}
    for name in names:
        short.setdefault(_DECORATION.sub("", name).casefold(), []).append(name)
    # A shortened name that several images share is ambiguous; a full name takes precedence over a shortened one.
    by_prefix = {prefix: several[0] for prefix, several in short.items() if prefix and len(several) == 1}
    by_prefix |= {name.casefold(): name for name in names}
    stem = stem.casefold()
    fitting = [prefix for prefix in by_prefix if stem.startswith(prefix) and _is_suffix(stem[len(prefix) :])]
    return by_prefix[max(fitting, key=len)] if fitting else None


def _is_suffix(rest: str) -> bool:
    return not rest or not rest[0].isalnum() or re.match(r"x\d", rest) is not None
