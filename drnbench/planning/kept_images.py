"""The whole images that trials keep: SR of the first seed of each arm, LR and HR once, within the study's budget of disk.

The budget counts bytes before compression, so that what is kept follows from the declaration alone: every arm keeps the same
images. Test sets take turns, and of each the first images are kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from drnbench.config.units import Evaluation
from drnbench.data.packed import ImageInfo
from drnbench.planning.graph import PlannedTrial
from drnbench.planning.inputs import Inputs
from drnbench.store import image_folder

MIB = 2**20


@dataclass
class _Group:
    """The images of a test set under a kernel at a scale, and the trials that super-resolve them, by their keys."""

    evaluation: Evaluation
    scale: int
    images: Sequence[ImageInfo]
    real: bool = field(kw_only=True)
    trials: dict[str, PlannedTrial] = field(default_factory=dict)

    def size(self, number: int) -> int:
        """Return the bytes of an image through every trial, with its LR and HR, before compression."""
        height, width = self.images[number].shape[:2]
        if (crop := self.evaluation.crop) is not None:
            height, width = min(height, crop), min(width, crop)
        given, factor = 3 * height * width, self.scale**2
        sr, inputs = (given * factor, given) if self.real else (given, given + given // factor)
        return len(self.trials) * sr + inputs


def keep_images(trials: Sequence[PlannedTrial], budget: int, inputs: Inputs) -> None:
    """Give the units of the first seed of each arm the images to keep.

    Args:
        trials: of the plan, in table order.
        budget: of the study, in MiB; 0: nothing is kept.
        inputs: content of the test sets.

    """
    groups = _groups(trials, inputs) if budget else {}
    counts = dict(zip(groups, _counts(list(groups.values()), budget * MIB), strict=True))
    holders = {key: _holder(key[1], group.trials.values()) for key, group in groups.items()}
    keys = {key for group in groups.values() for key in group.trials}
    for trial in trials:
        if trial.unit.key in keys:
            own = dict.fromkeys((trial.unit.scale, image_folder(evaluation)) for evaluation in trial.unit.wanted)
            kept = {
                "sr_images": {key[1]: count for key in own if (count := counts.get(key, 0))},
                "inputs": tuple(key[1] for key in own if holders.get(key) == trial.unit.key),
            }
            trial.unit = trial.unit.model_copy(update=kept)


def _groups(trials: Sequence[PlannedTrial], inputs: Inputs) -> dict[tuple[int, str], _Group]:
    """Return the test sets of the first seed of each arm, by scale and folder."""
    groups: dict[tuple[int, str], _Group] = {}
    first = {trial.arm.name: trial for trial in reversed(trials)}
    for trial in (trial for trial in trials if first[trial.arm.name] is trial):
        for evaluation in trial.unit.wanted:
            key = (trial.unit.scale, image_folder(evaluation))
            if key not in groups:
                images, real = inputs.images(evaluation.source).images, inputs.kernel(evaluation.kernel).real
                groups[key] = _Group(evaluation, trial.unit.scale, images[: evaluation.count], real=real)
            groups[key].trials[trial.unit.key] = trial
    return groups


def _counts(groups: Sequence[_Group], budget: int) -> list[int]:
    """Return how many images of each test set are kept."""
    counts, growing, spent = [0] * len(groups), dict.fromkeys(range(len(groups))), 0
    while growing:
        for n in list(growing):
            group = groups[n]
            size = group.size(counts[n]) if counts[n] < len(group.images) else budget + 1
            if spent + size > budget:
                del growing[n]
            else:
                counts[n], spent = counts[n] + 1, spent + size
    return counts


def _holder(folder: str, trials: Iterable[PlannedTrial]) -> str:
    """Return the key of the trial that keeps LR and HR: one that has them, is still to be scored, or is not trained."""

    def order(trial: PlannedTrial) -> tuple[bool, bool, bool]:
        files = trial.status.files if trial.status else {}
        stored = any(name.startswith(f"{folder}/") and name.endswith("_lr.png") for name in files)
        return not stored, not trial.missing, bool(trial.stages)

    return min(trials, key=order).unit.key
