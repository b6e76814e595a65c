"""The pictures of report.html: the images of one seed of each arm that the store keeps, held by the page while they fit."""

from __future__ import annotations

import base64
import io
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

from drnbench.outputs.base import StudyResults
from drnbench.parallel import cores
from drnbench.render import html
from drnbench.results.scores import Condition, Scores
from drnbench.results.sr_images import SRImage, image_scores, sr_images
from drnbench.store import Fault, Store, safe, sample_folder
from drnbench.store.integrity import report

if TYPE_CHECKING:
    from PIL.Image import Image

Json = dict[str, Any]
T = TypeVar("T")


def pictures(study: StudyResults, folder: Path, budget: int) -> Json | None:
    """Return the SR images of every condition by arm, with LR and HR; of a condition without any, the crops of it.

    Args:
        study: whose store is looked through.
        folder: of the page, which refers to the pictures that it does not hold by their paths from there.
        budget: bytes of the page that may be pictures, as data URIs of lossless WebP; those of one image are held
            together, as they are compared.

    Returns:
        The images of each condition by number, each with its pictures by number of their source, and the sources; None
        where the store has no pictures.

    """
    # Pillow encodes beside other threads.
    with ThreadPoolExecutor(cores(), thread_name_prefix="pictures") as pool:
        return _pictures(study, _Sources(folder, budget, pool))


def _pictures(study: StudyResults, sources: _Sources) -> Json | None:
    scores, sets = study.scores, []
    whole = sr_images(scores, study.store)
    for number, condition in enumerate(scores.conditions):
        kept = [image for images in whole.values() for image in images if image.condition == condition]
        by_name: dict[str, dict[str, SRImage]] = {}
        for image in kept or crops(scores, study.store, condition):
            by_name.setdefault(image.name, {})[image.arm] = image
        images = [_image(scores, name, by_arm, sources) for name, by_arm in sorted(by_name.items())]
        if any(images):
            sets.append({"condition": number, "crops": not kept, "images": list(filter(None, images))})
    return {"sets": sets, "sources": sources.texts} if sets else None


def _image(scores: Scores, name: str, by_arm: dict[str, SRImage], sources: _Sources) -> Json | None:
    """Return name, size, pictures, seeds and scores of an image, by arm; None where no picture of it is whole."""
    images = [by_arm.get(arm.name) for arm in scores.arms]
    hr, lr = (next((path for i in by_arm.values() if (path := getattr(i, kind))), None) for kind in ("hr", "lr"))
    numbers, size = sources.add_together([*(image.sr if image else None for image in images), hr, lr])
    return size and {
        "name": name,
        "width": size[0],
        "height": size[1],
        "sr": numbers[:-2],
        "hr": numbers[-2],
        "lr": numbers[-1],
        "seeds": [image and image.seed for image in images],
        "scores": [image and _score(scores, image) for image in images],
    }


def _score(scores: Scores, image: SRImage) -> float | str | None:
    """Return the score of an image in its seed, in the first metric of its test set."""
    metric = scores.metrics[image.condition][0]
    return html.rounded([image.scores[metric]], metric)[0] if metric in image.scores else None


def crops(scores: Scores, store: Store, condition: Condition) -> Iterator[SRImage]:
    """Yield the crops of a condition, of the first seed of each arm that has any."""
    if condition in scores.means:
        return
    shown = (scores.names[condition], condition.kernel)
    wanted = (e for trial in scores.plan.trials for e in trial.wanted if (e.dataset, e.kernel) == shown)
    # Earlier versions kept crops of all sizes in one folder.
    places = dict.fromkeys([*map(sample_folder, wanted), f"samples/{shown[0]}/{safe(shown[1])}"])
    for arm in (arm for arm in scores.arms if condition in arm.conditions):
        folders = ((trial.seed, store.trial(trial.key) / place) for trial in arm.trials for place in places)
        seed, folder = next(((seed, folder) for seed, folder in folders if folder.is_dir()), (0, None))
        files = {} if folder is None else {file.name: file for file in folder.iterdir()}
        for file, path in files.items():
            if file.endswith("_sr.png"):
                name = file.removesuffix("_sr.png")
                lr, hr = (files.get(f"{name}_{kind}.png") for kind in ("lr", "hr"))
                values = image_scores(scores, arm.name, condition, seed, name)
                yield SRImage(arm.name, seed, condition, name, path, lr, hr, values)


class _Sources:
    """Where each picture is: in the page while there is room, else beside it.

    Attributes:
        texts: data URIs and relative URLs.

    """

    def __init__(self, folder: Path, budget: int, pool: ThreadPoolExecutor) -> None:
        self.texts: list[str] = []
        self._folder, self._left, self._pool = folder, budget, pool

    def add_together(self, paths: list[Path | None]) -> tuple[list[int | None], tuple[int, int] | None]:
        """Return the number of each picture, None where it is not there or broken, and the size of the first in pixels.

        The page holds all of them, or none. Lossless WebP is smaller than PNG by about as much as base64 adds.
        """
        held = sum(path.stat().st_size for path in paths if path is not None) <= self._left
        code = _webp if held else self._beside
        coded = list(self._pool.map(lambda path: None if path is None else code(path), paths))
        for path, content in zip(paths, coded, strict=True):
            if path is not None and content is None:
                report(Fault(path, "is not a whole picture"), "the page does without it")
        self._left -= sum(len(text) for text, _ in filter(None, coded)) if held else 0
        numbers = list[int | None]()
        for content in coded:
            numbers.append(None if content is None else len(self.texts))
            self.texts += [] if content is None else [content[0]]
        return numbers, next((size for _, size in filter(None, coded)), None)

    def _beside(self, path: Path) -> tuple[str, tuple[int, int]] | None:
        size = _opened(path, lambda image: image.size)
        return None if size is None else (quote(Path(os.path.relpath(path, self._folder)).as_posix()), size)


def _webp(path: Path) -> tuple[str, tuple[int, int]] | None:
    """Return a picture as a data URI of lossless WebP, and its size in pixels; None for one that is not whole."""

    def encode(image: Image) -> tuple[str, tuple[int, int]]:
        buffer = io.BytesIO()
        image.convert("RGB").save(buffer, "WEBP", lossless=True, quality=20, method=1, exact=True)
        return f"data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode()}", image.size

    return _opened(path, encode)


def _opened(path: Path, use: Callable[[Image], T]) -> T | None:
    """Return a result of an opened picture; None for one that is not whole."""
    from PIL import Image

    try:
        with Image.open(path) as image:
            return use(image)
    except Exception:  # noqa: BLE001 - decoders raise anything on broken bytes
        return None
