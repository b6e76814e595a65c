"""From the name of a set of images to its files.

A source is `photos/train|unpaired|test`, the name of a folder or video under a data root (`Set5`, `clip.mp4`), any
folder or video, or several of them joined by `+`. A video gives 32 of its frames, `clip.mp4@8` gives 8
(`drnbench.datasets.video`). `Set5 without woman` leaves images out by name,
several with commas. Data roots are the folders of the environment variable DRNBENCH_DATA, which `--data-root` sets,
or else the first that exists of ./data, ../data and ../shared/data. Images lie at ROOT/NAME/HR/* or ROOT/NAME/*;
standard names are also looked up where EDSR and the sets' authors keep them (`drnbench.datasets.layouts`).
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from drnbench.datasets import layouts, video
from drnbench.datasets.catalogue import way_to_get
from drnbench.datasets.layouts import EXTENSIONS, JOINED, STANDARD
from drnbench.datasets.pairing import clash
from drnbench.datasets.photos import SPLITS, photos
from drnbench.errors import DataError, nearest

WITHOUT = " without "
"""Between a source and the names of images, separated by commas, that are left out of it."""

DEFAULT_ROOTS = ("data", "../data", "../shared/data")


class ImageFile(NamedTuple):
    """An image of a source: its name in results, which is the file's stem, and its file."""

    name: str
    path: Path


class Source(NamedTuple):
    """A resolved source: its label in tables and its images in order; names are unique."""

    label: str
    images: tuple[ImageFile, ...]


class Dataset(NamedTuple):
    """A line of a listing: name of the source, its location, its number of images (0: a video, not decoded here)."""

    name: str
    where: str
    images: int


class _Query(NamedTuple):
    """One source to resolve.

    Attributes:
        name: without a plus that joins.
        cache: folder of the frames of videos; None: nothing is decoded.
        is_path: the name is a path, and is not looked for under a data root.
    """

    name: str
    cache: Path | None
    is_path: bool

    @property
    def roots(self) -> list[Path]:
        """The data roots that the name is looked for under."""
        return [] if self.is_path else roots()

    @property
    def path(self) -> Path:
        """The name as a path."""
        return _path(self.name)

    @property
    def folders(self) -> list[tuple[Path, tuple[str, ...]]]:
        """Existing folders of that name or path, each with the order in which its subfolders are looked into."""
        candidates = [*((root / self.name, ("HR", ".")) for root in self.roots), (self.path, (".", "HR"))]
        return [(folder, order) for folder, order in candidates if folder.is_dir()]


def resolve(source: str, cache: Path | None = None, *, paths_first: bool = False) -> Source:
    """Return the images of a source: photographs in their listed order, folders sorted by file name, frames by time.

    Args:
        source: name, path, or several joined by `+`.
        cache: folder in which the frames of videos are kept, and made if they are not there. None: nothing is decoded,
            and the video file itself is returned in place of its frames: enough for the label.
        paths_first: a file or folder of that path comes before one of that name under a data root, as is wanted for
            images that users made themselves.

    Raises:
        DataError: unknown, empty, two images of one name or picture (X_HR and X_LR), or an image to leave out that is not
            there; with a cache, a video that cannot be read.
    """
    # A folder or video whose own name holds a plus is that one.
    parts = [source] if "+" not in source or _exists(source) else source.split("+")
    sources = [_resolve_part(part.strip(), cache, paths_first=paths_first) for part in parts]
    images = tuple(image for part in sources for image in part.images)
    paths: dict[str, Path] = {}
    for name, path in images:
        if name in paths:
            raise DataError(f"{source}: two images are called {name!r}: {paths[name]} and {path}; rename one")
        paths[name] = path
    for folder in dict.fromkeys(path.parent for path in paths.values()):
        if names := clash(name for name, path in images if path.parent == folder):
            raise DataError(
                f"{source}: {' and '.join(paths[name].name for name in names)} in {folder} stand for one picture by their "
                f"names: keep one of them there, or write {source + WITHOUT + names[1]!r}"
            )
    return Source("+".join(part.label for part in sources), images)


def roots() -> list[Path]:
    """Return the data roots in use, whether they exist or not where DRNBENCH_DATA names them."""
    named = os.environ.get("DRNBENCH_DATA", "")
    if named:
        return [Path(root).expanduser() for root in named.split(os.pathsep) if root]
    return [Path(root) for root in DEFAULT_ROOTS if Path(root).is_dir()][:1]


def datasets() -> list[Dataset]:
    """Return every source that `resolve` takes by name: the photographs, then folders and videos under the roots."""
    listed = {f"photos/{split}": Dataset(f"photos/{split}", "installed", len(SPLITS[split])) for split in SPLITS}
    for root in roots():
        for name, dataset in sorted(_datasets_under(root).items()):
            listed.setdefault(name, dataset)  # the first root wins, as in `resolve`
    for name, parts in JOINED.items():
        if name not in listed and all(part in listed for part in parts):
            listed[name] = Dataset(name, " + ".join(parts), sum(listed[part].images for part in parts))
    return list(listed.values())


def absent() -> list[tuple[str, str]]:
    """Return the standard sets that are not under the roots: name, and description with the way to get it."""
    present = {dataset.name for dataset in datasets()}
    ways = {name: way_to_get(name) for name in STANDARD if name not in present}
    return [(name, f"not here: {STANDARD[name]}; {way}") for name, way in ways.items() if way]


def _datasets_under(root: Path) -> dict[str, Dataset]:
    if not root.is_dir():
        return {}
    standard = {name: files for name in STANDARD if (files := layouts.find(name, root, complete=True))}
    out = {name: _standard_dataset(name, files) for name, files in standard.items()}
    listed = {files[0].parent for files in standard.values()}
    for folder in root.iterdir():
        files = layouts.images(folder, "HR", ".") if folder.is_dir() and folder.name not in STANDARD else []
        if files and files[0].parent not in listed:  # BSD100 is listed as B100 already
            out[folder.name] = Dataset(folder.name, str(files[0].parent), len(files))
        elif _is_video(folder):
            out[folder.name] = Dataset(folder.name, f"video {folder}", 0)
    return out


def _standard_dataset(name: str, files: Sequence[Path]) -> Dataset:
    """Return the line of a standard set, with the images of its folder that are left out."""
    images = layouts.used(name, files)
    missing = f", {layouts.left_out(name)}" if len(images) < len(files) else ""
    return Dataset(name, f"{files[0].parent}{missing}", len(images))


def left_out(source: str) -> list[str]:
    """Return the standard sets of a source that lack images here, such as `BSDS200 without 302003 (Set5's woman)`."""
    names = [name for part in source.split("+") for name in JOINED.get(part.strip(), (part.strip(),))]
    names = [name.partition(WITHOUT)[0] for name in names]
    return [f"{name} {missing}" for name in names if (missing := layouts.left_out(name))]


def clips(source: str, cache: Path) -> dict[Path, str]:
    """Return the folders of a source that hold frames of a video, or of a set that is a clip, with the clip's identity."""
    folders: dict[Path, str] = {}
    for part in source.split("+"):
        name = part.partition(WITHOUT)[0].strip()
        query = _Query(name, cache, name[:1] in {".", "~", "/"})
        clip = None if query.folders else video.split(name)
        if clip is not None or name in layouts.CLIPS:
            identity = name if clip is None else str(_video_path(query, clip[0]).resolve())
            folders |= {image.path.parent: identity for image in _resolve_one(name, cache).images}
    return folders


def _resolve_part(part: str, cache: Path | None, *, paths_first: bool) -> Source:
    """Return one source of those that a plus joins, without the images that it leaves out."""
    name, separator, listed = part.partition(WITHOUT)
    if not separator or _exists(part):
        return _resolve_one(part, cache, paths_first=paths_first)
    whole = _resolve_one(name.strip(), cache, paths_first=paths_first)
    names = {image.name for image in whole.images}
    excluded = [image.strip() for image in listed.split(",")]
    for image in excluded:
        # A video is not decoded where its label alone is wanted, so the names of its frames do not exist yet.
        if image not in names and (cache is not None or video.split(name.strip()) is None):
            likely = difflib.get_close_matches(image, names, n=8, cutoff=0.0)
            raise DataError(f"{part}: {whole.label} has no image {image!r}: {nearest(image, likely)}")
    kept = tuple(image for image in whole.images if image.name not in excluded)
    if not kept:
        raise DataError(f"{part}: no image is left of {whole.label}")
    return Source(f"{whole.label}{WITHOUT}{', '.join(excluded)}", kept)


def _resolve_one(name: str, cache: Path | None, *, paths_first: bool = False) -> Source:
    if not name:
        raise DataError("a source is empty: name images, such as photos/test, Set5 or a folder")
    # ./x, ~/x and /x are spelt as paths.
    is_path = name[0] in ".~" or Path(name).is_absolute() or (paths_first and _path(name).exists())
    query = _Query(name, cache, is_path)
    for resolver in _RESOLVERS:
        if source := resolver(query):
            return source
    raise DataError(_not_found(query))


def _photographs(query: _Query) -> Source | None:
    if query.name != "photos" and not query.name.startswith("photos/"):
        return None
    split = query.name.removeprefix("photos").removeprefix("/")
    return Source(f"photos-{split}", tuple(ImageFile(*photo) for photo in photos(split)))


def _standard_set(query: _Query) -> Source | None:
    """Look under the roots, and then for a folder of that path; not every image of a folder need belong to the set."""
    if query.name not in STANDARD:
        return None
    layout = (files for root in query.roots if (files := layouts.find(query.name, root)))
    folder = layouts.used(query.name, layouts.images(query.path, ".", "HR"))
    return _source(query.name, next(layout, []) or folder)


def _folder(query: _Query) -> Source | None:
    if query.name in STANDARD:
        return None
    for folder, order in query.folders:
        if source := _source(_label(folder), layouts.images(folder, *order)):
            return source
    return None


def _video(query: _Query) -> Source | None:
    clip = None if query.folders else video.split(query.name)
    if clip is None:
        return None
    path, count = _video_path(query, clip[0]), clip[1]
    if query.cache is None:
        return Source(path.stem, (ImageFile(path.stem, path),))
    files = video.frames(path, count, query.cache)
    return Source(path.stem, tuple(ImageFile(f"{path.stem}_{file.stem}", file) for file in files))


def _video_path(query: _Query, name: str) -> Path:
    candidates = [*(root / name for root in query.roots), _path(name)]
    path = next((file for file in candidates if file.is_file()), None)
    if path is None:
        raise DataError(f"{name}: no such video{_looked_in(name, candidates)}")
    return path


def _joined_sets(query: _Query) -> Source | None:
    if query.folders or query.name not in JOINED:
        return None
    images: list[ImageFile] = []
    missing = []
    for part in JOINED[query.name]:
        try:
            images += _resolve_one(part, query.cache).images
        except DataError as error:
            missing.append(str(error))
    if missing:
        raise DataError(f"{query.name} is {'+'.join(JOINED[query.name])}; {'; '.join(missing)}")
    return Source(query.name, tuple(images))


_RESOLVERS: tuple[Callable[[_Query], Source | None], ...] = (_photographs, _standard_set, _folder, _video, _joined_sets)
"""Tried in this order; each returns None for a name that it does not resolve."""


def _source(label: str, files: list[Path]) -> Source | None:
    return Source(label, tuple(ImageFile(file.stem, file) for file in files)) if files else None


def _exists(source: str) -> bool:
    return _path(source).is_dir() or any(_is_video(_path(name)) for name in (source, source.rpartition("@")[0]))


def _is_video(path: Path) -> bool:
    return path.suffix.lower() in video.EXTENSIONS and not path.name.startswith(".") and path.is_file()


def _path(name: str) -> Path:
    return Path(name).expanduser()


def _label(folder: Path) -> str:
    folder = folder.resolve()
    # "HR" is no useful label in a table: .../Set5/HR is Set5.
    return folder.parent.name if folder.name == "HR" and folder.parent.name else folder.name


def _looked_in(name: str, candidates: Sequence[Path]) -> str:
    """Return the places where a name was looked for; empty where that is the name itself."""
    places = dict.fromkeys(str(path.absolute()) for path in candidates)
    return "" if list(places) == [name] else f"; looked in {', '.join(places)}"


def _not_found(query: _Query) -> str:
    name, standard = query.name, STANDARD.get(query.name)
    if query.folders and standard is None:
        kinds = ", ".join(sorted(kind[1:] for kind in EXTENSIONS))
        return f"{query.folders[0][0]} holds no images, nor does its folder HR: put {kinds} files there"
    if query.path.is_file():
        return f"{name} is a file and no video; name the folder it lies in"
    if query.is_path:
        return f"{name}: no such folder{_looked_in(name, [query.path])}; name one that holds images"
    looked = ", ".join(f"{root}/{name}" for root in query.roots or DEFAULT_ROOTS)
    subject = f"{name!r}, {standard}, is not here" if standard else f"unknown images {name!r}"
    similar = "" if standard else f"; {nearest(name, [dataset.name for dataset in datasets()])}"
    way = way_to_get(name)
    return (
        f"{subject}: looked in {looked} and for a folder of that path{similar}; {f'{way}, or ' if way else ''}"
        f"put the images at ROOT/{Path(name).name}/HR and name ROOT with --data-root or DRNBENCH_DATA, or give a folder"
    )
