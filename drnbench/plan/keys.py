"""Keys of stages, trials and evaluations, and the checks that come before any work.

A stage's key covers its semantic fields, the stages before it, the seed and the fingerprint of its data. Names of
stages, paths of folders and fields that the scheme does not use stay out, so they retrain nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from drnbench.data.cache import Fingerprint, fingerprint
from drnbench.data.sources import resolve as resolve_source
from drnbench.degradations import canonical, identity
from drnbench.errors import DataError, UsageError
from drnbench.evaluation import metrics
from drnbench.methods import Resolved, resolve
from drnbench.models import models
from drnbench.schemes import schemes
from drnbench.trial import Data, Evaluate, Stage, Trial, digest
from drnbench.units import EvaluateUnit, Evaluation, StageUnit

SCHEME_FIELDS = frozenset({"lam", "rho", "dual", "dual_feats", "unpaired"})
"""Fields of a stage that count only where its scheme says so."""


@dataclass
class Keys:
    """Makes units with their keys; remembers fingerprints, so that a set of images is looked at once a plan."""

    cache: Path

    def __post_init__(self) -> None:
        self._prints: dict[str, Fingerprint] = {}
        self._resolved: dict[tuple[str, int, str], Resolved] = {}

    def resolve(self, trial: Trial) -> Resolved:
        """Model, sizes and default scheme of a trial's method."""
        known = (trial.method, trial.scale, repr(sorted(trial.model.items())))
        if known not in self._resolved:
            self._resolved[known] = resolve(trial.method, trial.scale, trial.model)
        return self._resolved[known]

    def stages(self, trial: Trial, where: str) -> list[StageUnit]:
        """Return the units of a trial's stages, in order.

        Raises:
            UsageError: the method is not trained, a scheme or kernel is unknown, the data do not fit.

        """
        method = self.resolve(trial)
        if method.scheme is None and trial.stages:
            raise UsageError(f"{where}: method {trial.method!r} is not trained; a trial with stages needs one that is")
        if method.scheme is not None and not trial.stages:
            raise UsageError(
                f"{where}: method {trial.method!r} has weights to train; give the trial at least one stage"
            )
        units: list[StageUnit] = []
        for depth, declared in enumerate(trial.stages):
            here = f"{where}, {declared.name}"
            stage = declared.model_copy(update={"scheme": declared.scheme or method.scheme})
            before = units[-1].key if units else None
            units.append(self._stage(trial, method, stage, depth, before, here))
        return units

    def _stage(
        self, trial: Trial, method: Resolved, stage: Stage, depth: int, before: str | None, where: str
    ) -> StageUnit:
        assert stage.scheme is not None
        try:
            scheme = schemes.get(stage.scheme)
        except UsageError as error:
            raise UsageError(f"{where}: {error}") from error
        scheme.check(stage, where, multiscale=models.get(method.model).multiscale)
        if stage.patch % trial.scale:
            raise UsageError(f"{where}.patch: {stage.patch} is not a multiple of the scale {trial.scale}")
        uses = scheme.uses(stage)
        semantic = stage.model_dump(exclude={"name", "data", "unpaired", *(SCHEME_FIELDS - uses)})
        if stage.dual == "level" and "dual" in uses and "unpaired" not in uses:
            semantic["dual"] = "chain"  # the readings differ on unpaired images alone
        # The cosine's end means nothing to a constant rate.
        if stage.schedule == "constant":
            del semantic["lr_min"]
        data = self._data(stage.data, stage, trial.scale, stage.holdout, f"{where}.data")
        unpaired = None
        if stage.unpaired is not None and "unpaired" in uses:
            unpaired = self._data(stage.unpaired, stage, trial.scale, 0, f"{where}.unpaired")
        key = digest(
            {
                "kind": "stage",
                "model": {"name": method.model, **method.options},
                "scale": trial.scale,
                "seed": trial.seed,
                "depth": depth,
                "before": before,
                "stage": semantic,
                "data": data,
                "unpaired": unpaired,
            }
        )
        return StageUnit(
            key=key, model=method.model, options=method.options, scale=trial.scale, seed=trial.seed, depth=depth,
            before=before, stage=stage, data_digest=data["images"], unpaired_digest=unpaired["images"] if unpaired else None,
        )  # fmt: skip

    def _data(self, data: Data, stage: Stage, scale: int, holdout: int, where: str) -> dict[str, Any]:
        found = self._fingerprint(data.source, where)
        if len(found.images) <= holdout:
            raise DataError(
                f"{where}: {data.source} has {len(found.images)} images and {holdout} are held out; "
                "add images or set holdout = 0"
            )
        for image in found.images:
            side = min(image.height, image.width, data.crop or image.height)
            if side // scale * scale < stage.patch:
                crop = f", cropped to {data.crop}" if data.crop else ""
                raise DataError(
                    f"{where}: {image.path} is {image.width}x{image.height}{crop}, too small for a patch of {stage.patch} "
                    f"at scale {scale}; lower patch or take the image out"
                )
        return {"images": found.digest, "kernel": self._kernel(data.kernel, where), "crop": data.crop}

    def evaluation(self, trial: Trial, stages: list[StageUnit], where: str) -> EvaluateUnit:
        """Return the unit that scores a trial, with a key for each metric on each test set."""
        method = self.resolve(trial)
        last = stages[-1].key if stages else None
        model = {"name": method.model, **method.options}
        # The seed of a model that nobody trains means nothing.
        trial_key = digest({"kind": "trial", "stage": last, **({} if last else {"model": model, "scale": trial.scale})})
        wanted = [
            evaluation
            for i, evaluate in enumerate(trial.evaluate)
            for evaluation in self._evaluations(evaluate, trial, trial_key, f"{where}, evaluate.{i}")
        ]
        return EvaluateUnit(
            key=trial_key, stage=last, model=method.model, options=method.options, scale=trial.scale, seed=trial.seed,
            protocol=trial.protocol, wanted=tuple(wanted),
        )  # fmt: skip

    def _evaluations(self, evaluate: Evaluate, trial: Trial, trial_key: str, where: str) -> list[Evaluation]:
        found = self._fingerprint(evaluate.source, where)
        label = resolve_source(evaluate.source).label
        kernel = self._kernel(evaluate.kernel, where)
        out = []
        for metric in evaluate.metrics:
            metrics.get(metric)
            key = digest(
                {
                    "kind": "evaluation",
                    "trial": trial_key,
                    "images": found.digest,
                    "dataset": label,
                    "kernel": kernel,
                    "crop": evaluate.crop,
                    "metric": metric,
                    "protocol": trial.protocol.model_dump(),
                }
            )
            out.append(
                Evaluation(
                    key=key, source=evaluate.source, dataset=label, images=found.digest, kernel=canonical(evaluate.kernel),
                    crop=evaluate.crop, metric=metric,
                )
            )  # fmt: skip
        return out

    def _fingerprint(self, source: str, where: str) -> Fingerprint:
        if source not in self._prints:
            try:
                self._prints[source] = fingerprint(source, self.cache)
            except UsageError as error:
                raise DataError(f"{where}: {error}") from error
        return self._prints[source]

    def _kernel(self, spec: str, where: str) -> dict[str, Any]:
        try:
            return identity(spec)
        except UsageError as error:
            raise UsageError(f"{where}.kernel: {error}") from error
