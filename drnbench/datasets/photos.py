"""The embedded default set: photographs that scikit-image, scikit-learn and matplotlib install with themselves.

Nothing is downloaded, so a first study runs anywhere. The packages are located but never imported. The order is
part of the set: the last training images are held out for validation, hence the last one is a colour photograph.
A part that results rest on stays as it is; photographs that are added get a part of their own.

Licences: see `skimage.data` (each image), scikit-learn's `datasets/images/README.txt` (china and flower, CC BY) and, of
grace_hopper, https://commons.wikimedia.org/wiki/File:Grace_Hopper.jpg (US Navy, public domain). Not among them, as they lack
detail to restore: scikit-image's clock_motion (blurred by motion) and cell (a phase image).
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from drnbench.errors import DataError, nearest


class Photo(NamedTuple):
    """One photograph.

    Attributes:
        name: in results.
        file: path inside its package.
        note: its subject, colour if gray, and size.
    """

    name: str
    file: str
    note: str


SPLITS: dict[str, tuple[Photo, ...]] = {
    "train": (
        Photo("brick", "skimage/data/brick.png", "a brick wall, gray, 512 x 512"),
        Photo("china", "sklearn/datasets/images/china.jpg", "a Chinese palace under trees, 640 x 427"),
        Photo("grass", "skimage/data/grass.png", "grass, gray, 512 x 512"),
        Photo("gravel", "skimage/data/gravel.png", "gravel, gray, 512 x 512"),
        Photo("hubble_deep_field", "skimage/data/hubble_deep_field.jpg", "galaxies, 1000 x 872"),
        # Left image only: the right one shows the same scene, and a stereo pair is one image.
        Photo("motorcycle", "skimage/data/motorcycle_left.png", "a motorcycle in a garage, 741 x 500"),
        Photo("page", "skimage/data/page.png", "a printed page, gray, 384 x 191"),
        Photo("ihc", "skimage/data/ihc.png", "stained tissue under a microscope, 512 x 512"),
    ),
    "unpaired": (
        Photo("coins", "skimage/data/coins.png", "ancient coins, gray, 384 x 303"),
        Photo("flower", "sklearn/datasets/images/flower.jpg", "a dahlia, 640 x 427"),
        Photo("moon", "skimage/data/moon.png", "the surface of the Moon, gray, 512 x 512"),
        Photo("retina", "skimage/data/retina.jpg", "a human retina, 1411 x 1411"),
    ),
    "test": (
        Photo("astronaut", "skimage/data/astronaut.png", "portrait of Eileen Collins, 512 x 512"),
        Photo("camera", "skimage/data/camera.png", "a photographer, gray, 512 x 512"),
        Photo("chelsea", "skimage/data/chelsea.png", "a cat, 451 x 300"),
        Photo("coffee", "skimage/data/coffee.png", "a cup of espresso, 600 x 400"),
        Photo("rocket", "skimage/data/rocket.jpg", "a rocket on its launch pad, 640 x 427"),
    ),
    "more": (
        Photo(
            "grace_hopper", "matplotlib/mpl-data/sample_data/grace_hopper.jpg", "portrait of Grace Hopper, 512 x 600"
        ),
        Photo("text", "skimage/data/text.png", "handwriting on ruled paper, gray, 448 x 172"),
    ),
}

_PACKAGES = {"skimage": "scikit-image>=0.24", "sklearn": "scikit-learn>=1.5", "matplotlib": "matplotlib>=3.9"}


def photos(split: str) -> list[tuple[str, Path]]:
    """Return (name, file) of each photograph of a split, in the set's order.

    Raises:
        DataError: no such split, or a file that its package did not install.
    """
    if split not in SPLITS:
        names = [f"photos/{name}" for name in SPLITS]
        raise DataError(f"unknown photographs 'photos/{split}': {nearest(f'photos/{split}', names)}")
    # Each package is located once: that takes longer than all else.
    folders = {package: _folders(package) for package in {photo.file.partition("/")[0] for photo in SPLITS[split]}}
    return [(photo.name, _find(photo, folders)) for photo in SPLITS[split]]


def _folders(package: str) -> list[str]:
    spec = find_spec(package)
    return list(spec.submodule_search_locations or ()) if spec else []


def _find(photo: Photo, folders_of: Mapping[str, list[str]]) -> Path:
    package, _, inside = photo.file.partition("/")
    folders = folders_of[package]
    for folder in folders:
        path = Path(folder) / inside
        if path.is_file():
            return path
    reason = f"in {folders[0]}" if folders else "since the package is not installed"
    raise DataError(
        f"photograph {photo.file} is missing {reason}: pip install --force-reinstall '{_PACKAGES[package]}'"
    )
