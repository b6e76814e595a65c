"""Images of a trial that are seen twice where they must not be: test images that are trained on, in one copy or another.

Copies are equal pixels, and also rescaled, cropped, flipped, turned, brightened or compressed ones (`drnbench.data.copies`).
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from drnbench.config.study import Study
from drnbench.config.trial import Evaluate, Trial
from drnbench.config.units import StageUnit
from drnbench.data.copies import Copy, copies, duplicates, is_clip
from drnbench.datasets.sources import clips, left_out
from drnbench.errors import DataError
from drnbench.planning.inputs import Inputs
from drnbench.render import text
from drnbench.results import labels
from drnbench.results.plan_record import OverlapRecord
from drnbench.training.reads import Read, stage_reads

NOT_READ = {
    "lam", "lr", "lr_min", "schedule", "milestones", "gamma", "warmup", "optimiser", "weight_decay", "betas", "eps", "clip_norm",
    "clip_value", "ema", "score_ema", "loss", "aux", "weights", "dual_weights", "dual", "dual_feats", "augment",
}  # fmt: skip
"""Fields of a stage on which its images do not depend: a sweep of them looks for its reads once, which takes milliseconds."""


NAMED = 4
"""So many images are named; of more, their number."""


class _Use(NamedTuple):
    """Images that a stage reads: the path of their declaration, what they are to it, their source and positions there."""

    path: str
    stage: int
    role: str
    source: str
    positions: frozenset[int]


class Leaks:
    """Refuses trials that are tested or validated on images that they are trained on, unless the study allows it.

    A study has thousands of trials and few sets, so two sets are compared once.

    Args:
        study: what it allows, and its outputs, which may want training images scored.
        inputs: content of the sources.
        cache: folder of fingerprints and keypoints.
    """

    def __init__(self, study: Study, inputs: Inputs, cache: Path) -> None:
        self._study, self._inputs, self._cache = study, inputs, cache
        self._pairs: dict[tuple[object, ...], list[Copy]] = {}
        self._scenes: dict[tuple[str, str], tuple[dict[int, Hashable], ...]] = {}
        self._uses: dict[str, list[_Use]] = {}
        self._checked: set[object] = set()
        self._overlaps: dict[str, None] = {}
        self._test_sources: dict[str, None] = {}
        self._warnings: dict[str, None] = {}
        self._left_out: dict[str, None] = {}

    @property
    def warnings(self) -> list[str]:
        """What is doubtful and not refused."""
        return list(self._warnings)

    @property
    def left_out(self) -> list[str]:
        """The standard sets in use that lack images here, with the reason."""
        return list(self._left_out)

    @property
    def overlap(self) -> OverlapRecord | None:
        """What the study allows; None where nothing overlaps."""
        if not self._overlaps:
            return None
        images, sources = list(self._overlaps), list(self._test_sources)
        return OverlapRecord(reason=self._study.allow_overlap or "", images=images, sources=sources)

    def check(self, trial: Trial, stages: Sequence[StageUnit], where: str) -> None:
        """Refuse a trial of an arm; its other seeds read the same images.

        Args:
            trial: with its seed.
            stages: its units, in order.
            where: study and arm, for messages.

        Raises:
            DataError: images that are read twice, by name, and how to mend it.
        """
        absent = self._inputs.absent
        uses = [use for number, unit in enumerate(stages) for use in self._stage_uses(unit, number)]
        uses = [use for use in uses if use.source not in absent]
        content = (trial.evaluate, tuple(uses))
        if content in self._checked:
            return
        self._checked.add(content)
        for use in uses:
            self._left_out |= dict.fromkeys(left_out(use.source))
        wanted = {source for output in self._study.outputs for source in output.scored_training_sets(trial)}
        for number, evaluate in enumerate(trial.evaluate):
            self._left_out |= dict.fromkeys(left_out(evaluate.source))
            if evaluate.source not in wanted and evaluate.source not in absent:
                self._check_duplicates(evaluate)
                self._check_test_set(evaluate, uses, f"{where}, evaluate.{number}")
        self._check_validation(uses, where)

    def _check_test_set(self, evaluate: Evaluate, uses: Sequence[_Use], where: str) -> None:
        images = range(len(self._inputs.images(evaluate.source).images))[: evaluate.count]
        for use in uses:
            clauses = self._clauses(evaluate.source, frozenset(images), use)
            if not clauses:
                continue
            self._overlaps |= dict.fromkeys(clauses)
            self._test_sources[evaluate.source] = None
            if self._study.allow_overlap is None:
                raise DataError(
                    f"{where}: {text.count(len(clauses), 'test image')} of {self._inputs.label(evaluate.source)} "
                    f"{'is' if len(clauses) == 1 else 'are'} among the {use.role} images of {use.path} ({self._inputs.label(use.source)}): "
                    f"{labels.listing(clauses, NAMED)}; choose another set, leave images out "
                    '(source="SET without NAME"), or say allow_overlap="why" in the study'
                )

    def _check_validation(self, uses: Sequence[_Use], where: str) -> None:
        """Refuse held-out images of a stage that another stage, or another source, trains on."""
        for held in (use for use in uses if use.role == "validation"):
            for use in uses:
                if use.role == "validation" or (
                    use.stage == held.stage and use.source == held.source and use.role == "training"
                ):
                    continue
                clauses = self._clauses(held.source, held.positions, use)
                if not clauses:
                    continue
                message = (
                    f"{text.count(len(clauses), 'held-out image')} of {held.path} {'is' if len(clauses) == 1 else 'are'} among "
                    f"the {use.role} images of {use.path}: {labels.listing(clauses, NAMED)}"
                )
                if use.role == "unpaired" and use.stage == held.stage:
                    self._warnings[f"{message}; validation scores speak of images that were seen as LR"] = None
                    continue
                self._overlaps |= dict.fromkeys(clauses)
                mend = (
                    "give both stages the same holdout"
                    if use.role == "training"
                    else "leave them out (SET without NAME)"
                )
                if self._study.allow_overlap is None:
                    raise DataError(f'{where}, {message}; {mend}, or say allow_overlap="why" in the study')

    def _check_duplicates(self, evaluate: Evaluate) -> None:
        """Warn of a picture that a test set holds twice: intervals over images count it as two."""
        images = self._inputs.images(evaluate.source).images[: evaluate.count]
        key = (evaluate.source, evaluate.count)
        if key not in self._pairs:
            self._pairs[key] = duplicates(images, self._cache)
        name = self._inputs.label(evaluate.source)
        if whole := [copy for copy in self._pairs[key] if min(copy.share, copy.other_share) > 0.9]:
            clauses = [copy.text(f"{name}/{images[copy.image].name}", images[copy.other].name) for copy in whole]
            self._warnings[
                f"{name} holds one picture twice: {labels.listing(clauses, NAMED)}; intervals over its images are too narrow"
            ] = None

    def _clauses(self, source: str, positions: frozenset[int], use: _Use) -> list[str]:
        """Return a clause for each image of a source, among those at the positions, that a stage uses."""
        images, others = self._inputs.images(source).images, self._inputs.images(use.source).images
        name, other_name = self._inputs.label(source), self._inputs.label(use.source)
        clauses: dict[int, str] = {}
        for copy in sorted(self._copies(source, use.source), key=lambda copy: (not copy.same, -copy.correlation)):
            if copy.image in positions and copy.other in use.positions and copy.image not in clauses:
                image, other = images[copy.image], others[copy.other]
                full = f"{name}/{image.name}"
                clauses[copy.image] = (
                    full if image.path == other.path else copy.text(full, f"{other_name}/{other.name}")
                )
        scenes, other_scenes = self._clips(source, use.source)
        used = {other_scenes[n]: n for n in sorted(use.positions, reverse=True) if n in other_scenes}
        for n in sorted(positions - clauses.keys()):
            if n in scenes and scenes[n] in used:
                other = others[used[scenes[n]]]
                clauses[n] = f"{name}/{images[n].name} is a frame of the clip of {other_name}/{other.name}"
        return [clauses[n] for n in sorted(clauses)]

    def _clips(self, source: str, other: str) -> tuple[dict[int, Hashable], ...]:
        """Return the clip that each image of two sources is a frame of, by position; other images are left out.

        A clip is a video, a set that the catalogue lists as one, or a folder whose images show one scene from one to the next.
        """
        if (source, other) not in self._scenes:
            sets = [self._inputs.images(name).images for name in (source, other)]
            scenes: dict[Path, Hashable] = {**clips(source, self._cache), **clips(other, self._cache)}
            folders = [{image.path.parent for image in images} for images in sets]
            for folder in (folders[0] & folders[1]) - scenes.keys():
                files = {image.path: image for images in sets for image in images if image.path.parent == folder}
                if is_clip([files[path] for path in sorted(files)], self._cache):
                    scenes[folder] = folder
            self._scenes[source, other] = tuple(
                {n: scenes[image.path.parent] for n, image in enumerate(images) if image.path.parent in scenes}
                for images in sets
            )
        return self._scenes[source, other]

    def _copies(self, source: str, other: str) -> list[Copy]:
        key = (source, other)
        if key not in self._pairs:
            images, others = (self._inputs.images(name).images for name in key)
            # One folder, used twice: copies inside it are another question.
            alike = [image.path for image in images] == [image.path for image in others]
            same = [Copy(n, n) for n in range(len(images))]
            self._pairs[key] = same if alike else copies(images, others, self._cache)
        return self._pairs[key]

    def _stage_uses(self, unit: StageUnit, number: int) -> Iterator[_Use]:
        fields = unit.stage.model_dump_json(exclude=NOT_READ)
        key = f"{number} {unit.scale} {unit.unpaired_digest is not None} {fields}"
        if key not in self._uses:
            reads = stage_reads(unit.stage, unit.scale, unpaired=unit.unpaired_digest is not None)
            self._uses[key] = list(dict.fromkeys(self._use(read, unit, number) for read in reads))
        yield from self._uses[key]

    def _use(self, read: Read, unit: StageUnit, number: int) -> _Use:
        stage, positions = unit.stage, range(len(self._inputs.images(read.data.source).images))
        unpaired = not read.held and read.data == stage.unpaired and 1 not in read.factors
        role = "validation" if read.held else "unpaired" if unpaired else "training"
        path = f"{stage.name}.{'unpaired' if unpaired else 'data'}"
        return _Use(path, number, role, read.data.source, frozenset(read.select(positions)))
