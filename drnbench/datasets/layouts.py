"""Folder layouts of the field's sets under a data root, by standard name.

EDSR puts test sets into `benchmark/`, the authors of DIV2K unpack to `DIV2K_train_HR`, others call B100 BSD100. One name
stands for all of these. LR folders (`LR_bicubic`, `X4`) and cropped copies (`GTmod12`) are never read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from drnbench.errors import DataError

EXTENSIONS = {".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"}

STANDARD = {
    "B100": "100 test images of BSDS300 (Martin et al. 2001)",
    "BSDS200": "200 training images of BSDS300 (Martin et al. 2001)",
    "DF2K": "DIV2K and Flickr2K together",
    "DIV2K": "800 training photographs in 2K (Agustsson and Timofte 2017)",
    "DIV2K-valid": "100 validation photographs of DIV2K (Agustsson and Timofte 2017)",
    "Flickr2K": "2650 photographs in 2K (Timofte et al. 2017; Lim et al. 2017)",
    "Manga109": "109 manga covers (Matsui et al. 2017)",
    "RealSRSet": "20 real LR images without HR (Zhang et al. 2021)",
    "Set14": "14 images (Zeyde et al. 2010)",
    "Set5": "5 images (Bevilacqua et al. 2012)",
    "T91": "91 training images (Yang et al. 2010)",
    "Urban100": "100 buildings (Huang et al. 2015)",
    "clip_city": "8 frames of a video clip of a city",
}

JOINED = {"DF2K": ("DIV2K", "Flickr2K")}
"""Names that mean several sets, unless a folder has that name."""

CLIPS = frozenset({"clip_city"})
"""Sets whose images are frames of one video clip."""

LEFT_OUT = {"BSDS200": {"302003": "Set5's woman"}}
"""Images of training sets that a test set of the field shows too, with what they are there; they belong to no set here.

302003 at 0.72 times the size is Set5's woman (correlation 0.999); docs/overlaps.md has what else was looked at.
"""

_INSIDE = {
    "B100": ("BSDS300/images/test",),
    "BSDS200": ("BSDS300/images/train",),
    "DF2K": ("DF2K/DF2K_HR", "DF2K_HR"),
    "DIV2K": ("DIV2K/DIV2K_train_HR", "DIV2K_train_HR"),
    # EDSR's archive keeps all 900 photographs in the training folder; `_belongs` splits them.
    "DIV2K-valid": ("DIV2K/DIV2K_valid_HR", "DIV2K_valid_HR", "DIV2K/DIV2K_train_HR", "DIV2K_train_HR"),
    "Flickr2K": ("Flickr2K/Flickr2K_HR", "Flickr2K_HR"),
}
"""Folders under a root that belong to one set alone, as its authors' archives unpack."""

_ALIASES = {
    "B100": ("BSD100", "BSDS100"),
    "BSDS200": ("BSD200",),
    "DIV2K-valid": ("DIV2K_valid", "DIV2K100"),
    "T91": ("91-image", "91-images", "91images"),
}
"""Other names of the folder; like the standard name itself, they may also differ in upper and lower case."""


def images(folder: Path, *order: str) -> list[Path]:
    """Return the images of the first subfolder that has any, by name; hidden files are other programs' leftovers.

    A name counts even if it cannot be opened (a link to a file that was not fetched, a folder): reading reports it.

    Raises:
        DataError: a folder cannot be listed.
    """
    for sub in order:
        inside = folder / sub
        try:
            files = list(inside.iterdir()) if inside.is_dir() else []
        except OSError as error:
            raise DataError(f"{inside} cannot be listed ({error.strerror}): check its permissions") from None
        if pictures := [f for f in files if f.suffix.lower() in EXTENSIONS and f.name[0] != "."]:
            return sorted(pictures, key=lambda file: file.name)
    return []


def find(name: str, root: Path, *, complete: bool = False) -> list[Path]:
    """Return the images of the set of that standard name under a root, sorted by file name; empty if it is absent.

    A folder of exactly that name wins over the authors' own layout, which wins over an alias.

    Args:
        name: of the set.
        root: the data root.
        complete: with the images of `LEFT_OUT`, as the authors give the set out.
    """
    for folder, order in _candidates(name, root):
        if files := [file for file in images(folder, *order) if _belongs(name, file)]:
            return files if complete else used(name, files)
    return []


def used(name: str, files: Sequence[Path]) -> list[Path]:
    """Return the images of a set of that standard name without those of `LEFT_OUT`."""
    return [file for file in files if file.stem not in LEFT_OUT.get(name, ())]


def left_out(name: str) -> str:
    """Return what a standard set lacks here, such as `without 302003 (Set5's woman)`; empty for nothing."""
    parts = [f"{stem} ({reason})" for stem, reason in LEFT_OUT.get(name, {}).items()]
    return f"without {', '.join(parts)}" if parts else ""


def _candidates(name: str, root: Path) -> Iterator[tuple[Path, tuple[str, ...]]]:
    """Yield the folders that may hold a set, each with the order in which its subfolders are looked into."""
    for parent in (root, root / "benchmark"):
        yield parent / name, ("HR", ".")
    for inside in _INSIDE.get(name, ()):
        yield root / inside, (".",)
    names = [alias.casefold() for alias in (name, *_ALIASES.get(name, ()))]
    for parent in (root, root / "benchmark"):
        folders = [folder for folder in parent.iterdir() if folder.is_dir()] if parent.is_dir() else []
        for folder in sorted(folders, key=lambda path: path.name):
            if folder.name.casefold() in names:
                yield folder, ("HR", ".")


def _belongs(name: str, file: Path) -> bool:
    """Split DIV2K where one folder holds all 900 photographs: 0801 to 0900 are the validation images."""
    validation = file.stem.isdecimal() and 801 <= int(file.stem) <= 900
    if name == "DIV2K-valid" and file.parent.name == "DIV2K_train_HR":
        return validation
    return name != "DIV2K" or not validation
