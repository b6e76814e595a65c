"""From the name of a set of images to its files.

A source is `photos/train|unpaired|test`, the name of a folder or video under a data root (`Set5`, `clip.mp4`), any
folder or video, or several of them joined by `+`. A video gives 32 of its frames, `clip.mp4@8` gives 8
(`drnbench.datasets.video`). Data roots are the folders of the environment variable DRNBENCH_DATA, which `--data-root` sets,
or else the first that exists of ./data, ../data and ../shared/data. Images lie at ROOT/NAME/HR/* or ROOT/NAME/*;
standard names are also found where EDSR and the sets' authors keep them (`drnbench.datasets.layouts`).
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from drnbench.datasets import layouts, video
from drnbench.datasets.catalogue import how
from drnbench.datasets.layouts import EXTENSIONS, JOINED, STANDARD
from drnbench.datasets.photos import SPLITS, photos
from drnbench.errors import DataError, nearest

DEFAULT_ROOTS = ("data", "../data", "../shared/data")


class ImageFile(NamedTuple):
    """An image of a source: its name in results, which is the file's stem, and where it lies."""

    name: str
    path: Path


class Source(NamedTuple):
    """A resolved source: what tables call it and its images in order; names are unique."""

    label: str
    images: tuple[ImageFile, ...]


class Dataset(NamedTuple):
    """A line of a listing: what to write, where it lies, how many images it holds (0: a video, not decoded here)."""

    name: str
    where: str
    images: int


def resolve(source: str, cache: Path | None = None, *, here: bool = False) -> Source:
    """Return the images of a source: photographs in their listed order, folders sorted by file name, frames by time.

    Args:
        source: what to look for.
        cache: folder in which the frames of videos are kept, and made if they are not there. None: nothing is decoded,
            and the video file itself stands in the place of its frames: enough for the label.
        here: a folder of that path comes before one of that name under a data root: for what users made themselves.

    Raises:
        DataError: unknown, empty, or two images of one name; with a cache, a video that cannot be read.

    """
    # A folder or video whose own name holds a plus is that one.
    parts = [source] if "+" not in source or _is_one(source) else source.split("+")
    found = [_resolve_one(part.strip(), cache, here=here) for part in parts]
    label = "+".join(one.label for one in found)
    images = tuple(image for one in found for image in one.images)
    seen: dict[str, Path] = {}
    for name, path in images:
        if name in seen:
            raise DataError(f"{source}: two images are called {name!r}: {seen[name]} and {path}; rename one")
        seen[name] = path
    return Source(label, images)


def roots() -> list[Path]:
    """Return the data roots in use, whether they exist or not where DRNBENCH_DATA names them."""
    named = os.environ.get("DRNBENCH_DATA", "")
    if named:
        return [Path(root).expanduser() for root in named.split(os.pathsep) if root]
    return [Path(root) for root in DEFAULT_ROOTS if Path(root).is_dir()][:1]


def datasets() -> list[Dataset]:
    """Return everything `resolve` knows by name: the photographs, then folders and videos under the roots."""
    listed = {f"photos/{split}": Dataset(f"photos/{split}", "installed", len(SPLITS[split])) for split in SPLITS}
    for root in roots():
        for name, dataset in sorted(_under(root).items()):
            listed.setdefault(name, dataset)  # the first root wins, as in `resolve`
    for name, parts in JOINED.items():
        if name not in listed and all(part in listed for part in parts):
            listed[name] = Dataset(name, " + ".join(parts), sum(listed[part].images for part in parts))
    return list(listed.values())


def absent() -> list[tuple[str, str]]:
    """Return the standard sets that are not under the roots: name, and what it is with the way to get it."""
    here = {one.name for one in datasets()}
    ways = {name: how(name) for name in STANDARD if name not in here}
    return [(name, f"not here: {STANDARD[name]}; {way}") for name, way in ways.items() if way]


def _under(root: Path) -> dict[str, Dataset]:
    if not root.is_dir():
        return {}
    standard = {name: files for name in STANDARD if (files := layouts.find(name, root))}
    found = {name: Dataset(name, str(files[0].parent), len(files)) for name, files in standard.items()}
    told = {files[0].parent for files in standard.values()}
    for folder in root.iterdir():
        files = layouts.images(folder, "HR", ".") if folder.is_dir() and folder.name not in STANDARD else []
        if files and files[0].parent not in told:  # BSD100 is listed as B100 already
            found[folder.name] = Dataset(folder.name, str(files[0].parent), len(files))
        elif _is_video(folder):
            found[folder.name] = Dataset(folder.name, f"video {folder}", 0)
    return found


def _resolve_one(name: str, cache: Path | None, *, here: bool = False) -> Source:
    if not name:
        raise DataError("a source is empty: name images, such as photos/test, Set5 or a folder")
    if name == "photos" or name.startswith("photos/"):
        split = name.removeprefix("photos").removeprefix("/")
        return Source(f"photos-{split}", tuple(ImageFile(*photo) for photo in photos(split)))
    # ./x, ~/x and /x are spelt as folders and mean nothing under a root.
    named = [] if name[0] in ".~" or Path(name).is_absolute() or (here and _folder(name).exists()) else roots()
    for root in named if name in STANDARD else ():
        if found := layouts.find(name, root):
            return Source(name, tuple(ImageFile(file.stem, file) for file in found))
    candidates = [(root / name, ("HR", ".")) for root in named] + [(_folder(name), (".", "HR"))]
    folders = [(folder, order) for folder, order in candidates if folder.is_dir()]
    # Under a root a standard set was looked for above, and not every image of its folder need belong to it.
    for folder, order in candidates[-1:] if name in STANDARD else folders:
        if files := layouts.images(folder, *order):
            label = name if name in STANDARD else _label(folder)
            return Source(label, tuple(ImageFile(file.stem, file) for file in files))
    if not folders and (clip := video.split(name)):
        return _video(clip[0], clip[1], cache)
    if not folders and name in JOINED:
        return _join(name, cache)
    if folders and name not in STANDARD:
        kinds = ", ".join(sorted(kind[1:] for kind in EXTENSIONS))
        raise DataError(f"{folders[0][0]} holds no images, nor does its folder HR: put {kinds} files there")
    if _folder(name).is_file():
        raise DataError(f"{name} is a file and no video; name the folder it lies in")
    if not named:
        raise DataError(f"{name}: no such folder; looked in {_folder(name).absolute()}")
    raise DataError(_unknown(name))


def _video(name: str, count: int | None, cache: Path | None) -> Source:
    named = [] if name[0] in ".~" or Path(name).is_absolute() else roots()
    candidates = [root / name for root in named] + [_folder(name)]
    path = next((file for file in candidates if file.is_file()), None)
    if path is None:
        raise DataError(f"{name}: no such video; looked in {', '.join(str(file.absolute()) for file in candidates)}")
    if cache is None:
        return Source(path.stem, (ImageFile(path.stem, path),))
    files = video.frames(path, count, cache)
    return Source(path.stem, tuple(ImageFile(f"{path.stem}_{file.stem}", file) for file in files))


def _join(name: str, cache: Path | None) -> Source:
    found, missing = [], []
    for part in JOINED[name]:
        try:
            found.append(_resolve_one(part, cache))
        except DataError as error:
            missing.append(str(error))
    if missing:
        raise DataError(f"{name} is {'+'.join(JOINED[name])}; {'; '.join(missing)}")
    return Source(name, tuple(image for one in found for image in one.images))


def _is_one(source: str) -> bool:
    return _folder(source).is_dir() or any(_is_video(_folder(name)) for name in (source, source.rpartition("@")[0]))


def _is_video(path: Path) -> bool:
    return path.suffix.lower() in video.EXTENSIONS and not path.name.startswith(".") and path.is_file()


def _folder(name: str) -> Path:
    return Path(name).expanduser()


def _label(folder: Path) -> str:
    folder = folder.resolve()
    # "HR" says nothing in a table: .../Set5/HR is Set5.
    return folder.parent.name if folder.name == "HR" and folder.parent.name else folder.name


def _unknown(name: str) -> str:
    looked = [str(root / name) for root in roots()] or [f"{root}/{name}" for root in DEFAULT_ROOTS]
    what = f"{name!r}, {STANDARD[name]}, is not here" if name in STANDARD else f"unknown images {name!r}"
    known = "" if name in STANDARD else f"; {nearest(name, [one.name for one in datasets()])}"
    way = how(name)
    return (
        f"{what}: looked in {', '.join(looked)} and for a folder of that path{known}; {f'{way}, or ' if way else ''}"
        f"put the images at ROOT/{Path(name).name}/HR and name ROOT with --data-root or DRNBENCH_DATA, or give a folder"
    )
