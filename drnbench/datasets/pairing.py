"""Pairing of SR and LR files with HR images by the stem of the file."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

# Suffixes that benchmark packs append to the names of HR images: baby_HR_x4, img_001_SRF_4_HR, 0001_GT. A number alone is
# no suffix: fox1 is a name, and so is box2.
_DECORATION = re.compile(r"(?:[_-]SRF[_-]?\d+)?[_-](?:HR|GT)(?:[_-]?x\d+)?$", re.IGNORECASE)


# Of the other images that packs put beside an HR image: 0801x4, img_001_SRF_4_LR, baby_LRBI_x2, baby_bicubic.
_COMPANION = re.compile(
    r"(?:[_-]SRF[_-]?\d+)?(?:[_-](?:HR|GT|LR(?:BI|BICUBIC|BD|DN)?|SR|bicubic|nearest|bilinear))?(?:[_-]x\d+|(?<=\d)x\d+)?$",
    re.IGNORECASE,
)
_FACTOR = re.compile(r"x\d+$", re.IGNORECASE)


def folded(name: str) -> str:
    """Return a name as it is compared: without case, and with letters composed (NFC), which macOS takes apart (NFD)."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def clash(names: Iterable[str]) -> tuple[str, str] | None:
    """Return the first two names of one folder that stand for one picture: X_HR and X_LR, X and Xx4, x and X.

    >>> clash(["baby", "bird", "Baby_x4"]), clash(["img_1", "img_1_2"])
    (('baby', 'Baby_x4'), None)
    """
    names = list(names)
    whole, first = {folded(name) for name in names}, dict[str, str]()
    for name in names:
        picture = folded(_COMPANION.sub("", name) or name)
        short = folded(_FACTOR.sub("", name))
        if short != folded(name) and short in whole:  # babyx4 beside baby; fox1 beside fox2 are two pictures
            picture = short
        if first.setdefault(picture, name) != name:
            return first[picture], name
    return None


def matching_hr(stem: str, names: Iterable[str]) -> str | None:
    """Return the HR image, one of `names`, that an SR or LR file belongs to by its stem; None if none fits.

    The longest name is chosen that the stem begins with, where no letter or digit follows, or `x` and a digit. Names of HR
    images count with and without the suffixes of benchmark packs (`baby_HR_x4`); names are compared as `folded`.

    >>> [matching_hr(stem, ["baby", "bird"]) for stem in ("baby_RCAN_x4", "babyx4", "BABY", "babysit")]
    ['baby', 'baby', 'baby', None]
    """
    names = list(names)
    if stem in names:
        return stem
    short: dict[str, list[str]] = {}
    for name in names:
        short.setdefault(folded(_DECORATION.sub("", name)), []).append(name)
    # A shortened name that several images share is ambiguous; a full name takes precedence over a shortened one.
    by_prefix = {prefix: several[0] for prefix, several in short.items() if prefix and len(several) == 1}
    by_prefix |= {folded(name): name for name in names}
    stem = folded(stem)
    fitting = [prefix for prefix in by_prefix if stem.startswith(prefix) and _is_suffix(stem[len(prefix) :])]
    return by_prefix[max(fitting, key=len)] if fitting else None


def _is_suffix(rest: str) -> bool:
    return not rest or not rest[0].isalnum() or re.match(r"x\d", rest) is not None
