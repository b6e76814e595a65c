"""The whole SR images that a store keeps of one seed of each arm, with their LR and HR images and their scores."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from drnbench.results.condition_names import ConditionNames
from drnbench.results.scores import Condition, Scores
from drnbench.store import Fault, Store, image_folder
from drnbench.store.integrity import report
from drnbench.store.unit_files import IMAGES

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class SRImage:
    """One test image through one arm; the files are 8-bit RGB PNGs, SR as it was scored.

    Attributes:
        arm: its name.
        seed: of the trial whose SR this is; any for a method that is not trained.
        condition: test set, kernel and scale.
        name: of the image, as in tables of scores; a second one of a set has `#2`.
        sr: file of the SR image.
        lr, hr: files of the LR and the HR image, which may lie in the folder of another trial; HR has the size of SR.
            None: not kept, or, for HR of real LR images, there is none.
        scores: of this image and seed, by metric.

    """

    arm: str
    seed: int
    condition: Condition
    name: str
    sr: Path
    lr: Path | None
    hr: Path | None
    scores: dict[str, float] = field(compare=False)

    @property
    def dataset(self) -> str:
        """Name of the test set."""
        return self.condition.dataset

    @property
    def kernel(self) -> str:
        """Degradation that made LR."""
        return self.condition.kernel


def sr_images(scores: Scores, store: Store) -> dict[str, list[SRImage]]:
    """Return the images of each arm that has some, in table order; conditions and images in the order of scoring and by name.

    Nothing is read but names of files: stores of earlier versions, and arms whose images were cleaned away, have none.
    """
    names = ConditionNames(scores.plan)
    places: dict[tuple[str, Condition], tuple[int, Path]] = {}
    files: dict[Path, frozenset[str]] = {}
    for trial in scores.plan.trials:
        folder = store.trial(trial.key)
        if (folder / IMAGES).is_dir():
            for evaluation in trial.wanted:
                place = folder / image_folder(evaluation)
                if place not in files:
                    files[place] = _listing(place)
                if files[place]:
                    places.setdefault((trial.arm, names.condition(trial.scale, evaluation)), (trial.seed, place))
    inputs = {condition: place for (_, condition), (_, place) in places.items() if _named(files[place], "lr")}
    by_arm: dict[str, list[SRImage]] = {arm.name: [] for arm in scores.arms}
    for (arm, condition), (seed, place) in places.items():
        source = inputs.get(condition, place)
        for name in sorted(_named(files[place], "sr")):
            lr, hr = (
                source / file if (file := f"{name}_{kind}.png") in files[source] else None for kind in ("lr", "hr")
            )
            values = image_scores(scores, arm, condition, seed, name)
            by_arm[arm].append(SRImage(arm, seed, condition, name, place / f"{name}_sr.png", lr, hr, values))
    return {arm: images for arm, images in by_arm.items() if images}


def read_pixels(path: Path) -> NDArray[np.uint8] | None:
    """Return a picture as H x W x 3; None where there is none, or, which is reported, one that is not whole."""
    import numpy as np
    from PIL import Image

    try:
        with Image.open(path) as image:
            return np.asarray(image.convert("RGB"))
    except FileNotFoundError:
        return None
    except Exception:  # noqa: BLE001 - decoders raise anything on broken bytes
        report(Fault(path, "is not a whole picture"), "figures do without it")
        return None


def _listing(folder: Path) -> frozenset[str]:
    try:
        return frozenset(name for name in os.listdir(folder) if not name.startswith("."))  # noqa: PTH208 - names are enough
    except (FileNotFoundError, NotADirectoryError):
        return frozenset()


def _named(files: frozenset[str], kind: str) -> list[str]:
    """Return the names of the images of a kind: lr, sr or hr."""
    return [file.removesuffix(f"_{kind}.png") for file in files if file.endswith(f"_{kind}.png")]


def image_scores(scores: Scores, arm: str, condition: Condition, seed: int, image: str) -> dict[str, float]:
    """Return the scores of one image in one seed of an arm (any of a method that is not trained), by metric."""
    values = {}
    for metric in scores.metrics.get(condition, ()):
        table = scores.tables.get((arm, condition, metric))
        if table is None or image not in table.columns or not len(table.index):
            continue
        row = table.index[0] if scores.arm(arm).seedless else seed
        if row in table.index:
            values[metric] = float(table[image].to_dict()[row])
    return values
