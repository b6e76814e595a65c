"""Checks that refuse a trial before any work: what its method, stages, images and metrics cannot do together.

Each raises a `UsageError`, or a `DataError` where images are at fault, whose message begins with the path of a field, such
as `adapt.data.count`; `prefixed` puts study and arm before it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

from drnbench.config.trial import Data, Evaluate, Stage, Trial
from drnbench.data.cache import ImageInfo
from drnbench.degradations import parse
from drnbench.errors import DataError, UsageError
from drnbench.evaluation.metric import Metric
from drnbench.models import models
from drnbench.models.methods import Resolved
from drnbench.schemes.base import Scheme
from drnbench.store.environment import find_compiler
from drnbench.training.schedule import position
from drnbench.zeroshot import adaptation
from drnbench.zeroshot.oracle import GIVEN, check_given


@contextmanager
def prefixed(prefix: str) -> Iterator[None]:
    """Put a prefix before the message of every `UsageError` that is raised inside."""
    try:
        yield
    except UsageError as error:
        kind = DataError if isinstance(error, DataError) else UsageError
        raise kind(f"{prefix}{error}") from error


def check_method(trial: Trial, method: Resolved) -> None:
    """Refuse stages for a method that is not trained, and a trained method without stages."""
    if method.scheme is None and trial.stages:
        raise UsageError(f"method {trial.method!r} is not trained; a trial with stages needs one that is")
    if method.scheme is not None and not trial.stages:
        raise UsageError(f"method {trial.method!r} has weights to train; give the trial at least one stage")


def check_stage(stage: Stage, scheme: type[Scheme], method: Resolved, scale: int, before: Stage | None) -> None:
    """Refuse a stage that its scheme cannot train, that starts twice, or whose patches do not fit the scale.

    Args:
        stage: with its scheme filled in.
        scheme: of that name.
        method: of the trial.
        scale: HR size over LR size.
        before: the stage before, if any.

    """
    scheme.check(stage, stage.name, model=models.get(method.model), scale=scale)
    scheme.check_start(stage, stage.name, before)
    if stage.weights is not None and before is not None:
        raise UsageError(
            f"{stage.name}.weights: this stage starts from the one before it; give weights to the first stage"
        )
    if stage.patch % scale:
        raise UsageError(f"{stage.name}.patch: {stage.patch} is not a multiple of the scale {scale}")
    for fault in filter(None, (_milestones_fault(stage), *_recipe_faults(stage))):
        raise UsageError(f"{stage.name}.{fault}")


def check_compiler(stage: Stage, where: str) -> None:
    """Refuse a stage to be compiled where this machine has no compiler."""
    if stage.compile and find_compiler() is None:
        raise UsageError(
            f"{where}.compile: torch.compile needs a C++ compiler, and there is none; install g++ (apt install g++), name "
            "another in CXX, or leave compile = False"
        )


def _milestones_fault(stage: Stage) -> str:
    if stage.schedule != "multistep":
        return "milestones: they belong to schedule = 'multistep'" if stage.milestones else ""
    positions = [position(milestone, stage.steps) for milestone in stage.milestones]
    if not positions:
        return "milestones: the multistep schedule needs some, in steps or as shares of the stage: (0.5, 0.75)"
    if any(a >= b for a, b in pairwise(positions)):
        return f"milestones: each must lie after the one before it (got {', '.join(map(str, stage.milestones))})"
    if positions[-1] >= stage.steps:
        return f"milestones: step {positions[-1]} is not reached in the {stage.steps} steps of the stage"
    return ""


def _recipe_faults(stage: Stage) -> Iterator[str]:
    for field, values in (("milestones", stage.milestones), ("warmup", (stage.warmup,))):
        for value in values:
            if value >= 1 and value != int(value):
                yield f"{field}: {value:g} is neither a whole number of steps nor a share of the stage, below 1"
    if stage.warmup > stage.steps:
        yield f"warmup: {stage.warmup:g} steps are more than the {stage.steps} of the stage"
    if stage.weight_decay is not None and stage.optimiser != "adamw":
        yield "weight_decay: it belongs to optimiser = 'adamw'"
    if stage.clip_norm is not None and stage.clip_value is not None:
        yield "clip_value: gradients are clipped by norm or by value; leave one of the two out"


def check_zero_shot(method: Resolved, test_time: str | None, kernel: str) -> None:
    """Refuse a test set's degradation that a zero-shot method or an adaptation is given and cannot have."""
    if models.get(method.model).zero_shot and method.options.get("kernel") == GIVEN:
        check_given(method.model, parse(kernel))
    if test_time is not None:
        adaptation.parse(test_time).check(parse(kernel))


def check_adapted(trial: Trial, method: Resolved, test_time: str) -> None:
    """Refuse to adapt a method that has no trained weights."""
    model = models.get(method.model)
    if model.zero_shot:
        raise UsageError(f"test_time: {trial.method!r} is itself fitted to each test image; leave test_time out")
    if method.scheme is None and not model.files:
        raise UsageError(
            f"test_time: {trial.method!r} has no weights that {test_time!r} could adapt; leave test_time out"
        )


def check_pairs(path: str, *, real: bool) -> None:
    """Refuse real LR images as paired data."""
    if real:
        raise UsageError(f"{path}.kernel: 'real' images have no HR to learn from; use them as unpaired=Data(...)")


def check_training_images(
    data: Data, images: Sequence[ImageInfo], path: str, *, patch: int, scale: int, holdout: int, real: bool
) -> None:
    """Refuse too few images for the hold-out or the count, and images that are smaller than a patch.

    Args:
        data: the declaration.
        images: all of its source.
        path: of the declaration, such as `adapt.data`.
        patch: side of a training patch in HR pixels.
        scale: HR size over LR size.
        holdout: images at the end of the source that are not trained on.
        real: the images are LR already, and measured at that size.

    """
    if len(images) <= holdout:
        raise DataError(
            f"{path}: {data.source} has {len(images)} images and {holdout} are held out; add images or set holdout = 0"
        )
    # Real LR images are cut at LR size.
    needed = patch // scale if real else patch
    # A height of 0 is one that nobody knows: the image is not here, and the catalogue does not state it.
    smaller = [image for image in images if image.height and _side(image, data.crop, 1 if real else scale) < needed]
    if smaller:
        crop = f", cropped to {data.crop}" if data.crop else ""
        field = "unpaired_patch or patch" if path.endswith(".unpaired") else "patch"
        wanted = f"a patch of {patch} at scale {scale}{f', {needed} LR pixels' if real else ''}"
        if len(smaller) == len(images):
            largest = max(images, key=lambda image: (min(image.height, image.width), image.height * image.width))
            raise DataError(
                f"{path}: every image of {data.source} is too small for {wanted}: the largest is "
                f"{largest.width}x{largest.height}{crop} ({largest.name}); lower {field} or choose another set"
            )
        image = smaller[0]
        raise DataError(
            f"{path}: {image.path} is {image.width}x{image.height}{crop}, too small for {wanted}; lower {field} or take the "
            f"image out ({len(smaller)} of {len(images)} are too small)"
        )
    left = len(images) - holdout
    if data.count is not None and data.count > left:
        raise DataError(
            f"{path}.count: {data.source} has {left} images{' after the hold-out' * bool(holdout)}, not {data.count}"
        )


def _side(image: ImageInfo, crop: int | None, scale: int) -> int:
    """Return the side of the largest square patch of an image, in its own pixels."""
    return min(image.height, image.width, crop or image.height) // scale * scale


def check_test_images(evaluate: Evaluate, images: Sequence[ImageInfo], path: str) -> None:
    """Refuse a count of more test images than there are."""
    if evaluate.count is not None and evaluate.count > len(images):
        raise DataError(f"{path}.count: {evaluate.source} has {len(images)} images, not {evaluate.count}")


def check_precomputed(data: Data | Evaluate, path: str, *, real: bool) -> None:
    """Refuse precomputed LR images beside a crop or the kernel `real`."""
    if data.lr is not None and (data.crop is not None or real):
        other = "crop" if data.crop is not None else "kernel 'real'"
        raise UsageError(f"{path}.lr: ready-made LR images do not go with {other}: leave one of them out")


def check_metric(metric: Metric, path: str, *, real: bool) -> None:
    """Refuse a metric that needs HR images on real LR images."""
    if real and "hr" in metric.needs:
        raise UsageError(f"{path}: {metric.name} compares with HR images, and 'real' LR images have none; use lr_psnr")


def check_file(path: str) -> None:
    """Refuse the path of a file that does not exist."""
    if not Path(path).is_file():
        raise UsageError(f"no such file: {path}")
