"""Keys of stages, trials and evaluations: what of a trial enters a digest, and the units that are stored under it.

A stage's key covers its semantic fields, the stages before it, the seed and the fingerprint of its data. Names of
stages, paths of folders and fields that the scheme does not use stay out, so they retrain nothing.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from drnbench.config.keys import Digests, canonical_json, digest
from drnbench.config.trial import Data, Evaluate, Stage, Trial
from drnbench.config.units import EvaluateUnit, Evaluation, StageUnit
from drnbench.errors import UsageError
from drnbench.evaluation import metrics
from drnbench.models import models
from drnbench.models.methods import Resolved, resolve
from drnbench.planning.checks import (
    check_adapted,
    check_method,
    check_metric,
    check_pairs,
    check_precomputed,
    check_stage,
    check_test_images,
    check_training_images,
    check_zero_shot,
    prefixed,
)
from drnbench.planning.inputs import Inputs
from drnbench.schemes import losses, schemes
from drnbench.schemes.dual import FIXED, has_own_dual, operators, unpaired_kind, with_dual_feats
from drnbench.training.schedule import in_steps, milestones
from drnbench.zeroshot import adaptation

SCHEME_FIELDS = frozenset(
    {"lam", "rho", "dual", "dual_feats", "dual_of", "dual_frozen", "dual_weights", "dual_kernel", "dual_border"}
    | {"unpaired_lam", "unpaired_dual", "unpaired_dual_kernel", "unpaired_dual_frozen", "unpaired_dual_weights"}
    | {"hr_lam", "aux", "unpaired", "unpaired_patch", "loss"}
)
"""Fields of a stage that enter its key only if its scheme uses them."""
LATER = {
    "dual_border": 0, "unpaired_lam": None, "unpaired_dual": None, "unpaired_dual_frozen": None, "unpaired_patch": None, "loss": "l1",
    "clip_norm": None, "clip_value": None, "channels_last": False, "compile": False,
}  # fmt: skip
"""Fields that were added when results existed already, with their defaults: they enter a key only where they are set."""
RECIPE = frozenset({"milestones", "gamma", "warmup", "optimiser", "weight_decay", "ema", "score_ema"})
"""Fields of a stage that enter its key as `_recipe` says."""


class _Method(NamedTuple):
    """A trial's method at its scale, and the text by which equal ones are recognised."""

    resolved: Resolved
    text: str


class _StageTemplate(NamedTuple):
    """A stage without its seed: with its scheme and options filled in, its keys, the digests of its files."""

    stage: Stage
    keys: Digests
    digests: dict[str, Any]


class _EvaluationTemplate(NamedTuple):
    """One metric on one test set without the trial: its keys, and the fields of its `Evaluation`."""

    keys: Digests
    fields: dict[str, Any]


class Keys:
    """Makes units with their keys, and refuses trials that would fail.

    A study has thousands of trials and few that differ by more than the seed, so equal stages and evaluations are checked
    and encoded once. They are recognised by their canonical text.

    Args:
        cache: folder of fingerprints and of LR images.
        inputs: files as they were read for other keys; None: they are read now.

    """

    def __init__(self, cache: Path, inputs: Inputs | None = None) -> None:
        self.cache = cache
        self.inputs = inputs or Inputs(cache)
        self._methods: dict[str, _Method] = {}
        self._stages: dict[tuple[object, ...], _StageTemplate] = {}
        self._units: dict[tuple[object, ...], StageUnit] = {}
        self._evaluations: dict[tuple[object, ...], list[_EvaluationTemplate]] = {}

    @property
    def displaced(self) -> list[str]:
        """A warning for each set of ready-made LR images that is shifted against its HR images."""
        return list(self.inputs.displaced)

    def stages(self, trial: Trial, where: str) -> list[StageUnit]:
        """Return the units of a trial's stages, in order.

        Args:
            trial: with its seed.
            where: study and arm, for messages.

        Raises:
            UsageError: the method is not trained, a scheme or kernel is unknown, the data do not fit.

        """
        with prefixed(f"{where}: "):
            method = self._method(trial)
            check_method(trial, method.resolved)
        units: list[StageUnit] = []
        texts = [stage.model_dump_json() for stage in trial.stages]
        with prefixed(f"{where}, "):
            for depth, stage in enumerate(trial.stages):
                before = units[-1] if units else None
                # Checks look at the stage before too, so its fields count among those that make two stages alike.
                alike = (method.text, texts[depth], texts[depth - 1] if depth else None)
                own: dict[str, Any] = {"seed": trial.seed, "depth": depth, "before": before.key if before else None}
                same = (alike, *own.values())
                if same not in self._units:
                    if alike not in self._stages:
                        self._stages[alike] = self._stage(stage, method.resolved, trial.scale, before)
                    template = self._stages[alike]
                    self._units[same] = StageUnit(
                        key=template.keys.of(**own), model=method.resolved.model, options=method.resolved.options,
                        scale=trial.scale, stage=template.stage, **own, **template.digests,
                    )  # fmt: skip
                units.append(self._units[same])
        return units

    def evaluation(self, trial: Trial, stages: list[StageUnit], where: str) -> EvaluateUnit:
        """Return the unit that scores a trial, with a key for each metric on each test set.

        Args:
            trial: with its seed.
            stages: its units, in order.
            where: study and arm, for messages.

        Raises:
            UsageError: a kernel, metric or test set that does not exist or does not fit, or nothing that is measured.

        """
        method, last = self._method(trial).resolved, stages[-1].key if stages else None
        test_time = trial.test_time or method.test_time
        with prefixed(f"{where}: "):
            files = self.inputs.model_files(method, trial.scale)
            adapted, clean = self._adaptation(trial, method, test_time)
        model = {"name": method.model, **method.options, **files}
        alone: dict[str, Any] = {} if last else {"model": model, "scale": trial.scale}
        if models.get(method.model).zero_shot or test_time is not None:
            alone["seed"] = trial.seed  # other models without stages are not trained: their seed has no effect
        alone |= adapted
        trial_key = digest({"kind": "trial", "stage": last, **alone})
        # A zero-shot method compares through the degradation that it takes or estimates.
        dual = models.get(method.model).zero_shot or (
            bool(stages) and "dual" in schemes.get(str(stages[-1].stage.scheme)).uses(stages[-1].stage)
        )
        texts = (evaluate.model_dump_json() for evaluate in trial.evaluate)
        alike = (trial.protocol.model_dump_json(), trial.scale, dual, *texts)
        for i, evaluate in enumerate(trial.evaluate):
            for single in self._each(evaluate, trial, f"{where}, evaluate.{i}"):
                with prefixed(f"{where}, evaluate.{i}.kernel: "):
                    check_zero_shot(method, test_time, str(single.kernel))
        if alike not in self._evaluations:
            with prefixed(f"{where}, "):
                self._evaluations[alike] = [
                    template
                    for i, evaluate in enumerate(trial.evaluate)
                    for single in self._each(evaluate, trial, f"evaluate.{i}")
                    for template in self._evaluation(single, trial, f"evaluate.{i}", dual=dual)
                ]
        wanted = tuple(Evaluation(key=t.keys.of(trial=trial_key), **t.fields) for t in self._evaluations[alike])
        if not wanted:
            raise UsageError(
                f"{where}: nothing is measured: this arm has no dual network, and every metric asks for one"
            )
        return EvaluateUnit(
            key=trial_key, stage=last, model=method.model, options=method.options, files_digest=files, scale=trial.scale,
            test_time=test_time, clean_digest=clean, seed=trial.seed, protocol=trial.protocol, wanted=wanted,
        )  # fmt: skip

    def _adaptation(self, trial: Trial, method: Resolved, test_time: str | None) -> tuple[dict[str, Any], str | None]:
        """Return the share of an adaptation in a trial's key, and the digest of the clean images that it reads."""
        if test_time is None:
            return {}, None
        check_adapted(trial, method, test_time)
        with prefixed("test_time: "):
            settings = adaptation.parse(test_time)
            clean = settings.clean_source and self.inputs.images(settings.clean_source).digest
        return {"test_time": {**settings.content(), "clean": clean}}, clean

    def _method(self, trial: Trial) -> _Method:
        """Return model, sizes and default scheme of a trial's method."""
        text = canonical_json([trial.method, trial.scale, trial.model])
        if text not in self._methods:
            self._methods[text] = _Method(resolve(trial.method, trial.scale, trial.model), text)
        return self._methods[text]

    def _stage(self, declared: Stage, method: Resolved, scale: int, before: StageUnit | None) -> _StageTemplate:
        """Check a stage, and encode all of its key but the seed, the depth and the stage before."""
        sizes = {**models.get(method.model).sizes(scale), **method.options}
        stage = with_dual_feats(declared.model_copy(update={"scheme": declared.scheme or method.scheme}), sizes)
        with prefixed(f"{stage.name}: "):
            scheme = schemes.get(str(stage.scheme))
        check_stage(stage, scheme, method, scale, before.stage if before else None)
        # With every default filled in, so that a default written out is the same stage.
        stage = stage.model_copy(update={"options": scheme.settings(**stage.options).content()})
        uses = scheme.uses(stage)
        data = self._training_data(stage.data, stage, scale, f"{stage.name}.data", paired=True)
        unpaired = None
        if stage.unpaired is not None and "unpaired" in uses:
            unpaired = self._training_data(stage.unpaired, stage, scale, f"{stage.name}.unpaired", paired=False)
        weights = dual_weights = None
        if stage.weights is not None:
            with prefixed(f"{stage.name}.weights: "):
                weights = self.inputs.weights(stage.weights, method, scale)
        if stage.dual_weights is not None and "dual_weights" in uses:
            with prefixed(f"{stage.name}.dual_weights: "):
                dual_weights = self.inputs.dual_weights(stage.dual_weights, method, scale, stage)
        own: dict[str, Any] = {}
        if stage.unpaired_dual_weights is not None and "unpaired_dual_weights" in uses:
            with prefixed(f"{stage.name}.unpaired_dual_weights: "):
                own["unpaired_dual_weights"] = self.inputs.dual_weights(
                    stage.unpaired_dual_weights, method, scale, stage
                )
        for field, spec, _ in operators(stage):
            if field in uses:
                own[field] = self.inputs.kernel(spec).content
        content = {
            "kind": "stage",
            "model": {"name": method.model, **method.options},
            "scale": scale,
            "stage": _semantic_fields(stage, uses),
            "data": data,
            "unpaired": unpaired,
            "weights": weights,
            "dual_weights": dual_weights,
            **own,
        }
        declared_data = ((stage.data, data), (stage.unpaired, unpaired))
        specs = [d.kernel for d, made in declared_data if d and made]
        specs += [spec for field, spec, _ in operators(stage) if field in uses]
        digests = {
            "data_digest": data["images"],
            "unpaired_digest": unpaired["images"] if unpaired else None,
            "weights_digest": weights,
            "dual_digest": dual_weights,
            "unpaired_dual_digest": own.get("unpaired_dual_weights"),
            "ready_digests": {str(d.lr): made["lr"] for d, made in declared_data if d and made and "lr" in made},
            "kernel_digests": {spec: read for spec in specs if (read := self.inputs.kernel(spec).digest)},
        }
        return _StageTemplate(stage, Digests(content, "seed", "depth", "before"), digests)

    def _training_data(self, data: Data, stage: Stage, scale: int, path: str, *, paired: bool) -> dict[str, Any]:
        """Check a set of training images, and return what of it enters a key."""
        with prefixed(f"{path}.kernel: "):
            kernel = self.inputs.kernel(data.kernel)
        if paired:
            check_pairs(path, real=kernel.real)
        with prefixed(f"{path}: "):
            source = self.inputs.images(data.source)
        holdout = stage.holdout if paired else 0
        patch = stage.patch if paired else stage.unpaired_patch or stage.patch
        check_training_images(data, source.images, path, patch=patch, scale=scale, holdout=holdout, real=kernel.real)
        # A count that takes all is no count.
        count = {} if data.count in {None, len(source.images) - holdout} else {"count": data.count}
        check_precomputed(data, path, real=kernel.real)
        lr = {}
        if data.lr is not None:
            with prefixed(f"{path}.lr: "):
                lr["lr"] = self.inputs.precomputed(source.images, data.lr, scale, kernel.spec)
        return {"images": source.digest, "kernel": kernel.content, "crop": data.crop, **count, **lr}

    @staticmethod
    def _each(evaluate: Evaluate, trial: Trial, path: str) -> tuple[Evaluate, ...]:
        with prefixed(f"{path}.kernel: "):
            return evaluate.each(trial.scale)

    def _evaluation(self, evaluate: Evaluate, trial: Trial, path: str, *, dual: bool) -> list[_EvaluationTemplate]:
        """Check a test set, and encode the keys of its metrics but for the trial."""
        with prefixed(f"{path}: "):
            source, label = self.inputs.images(evaluate.source), self.inputs.label(evaluate.source)
        with prefixed(f"{path}.kernel: "):
            kernel = self.inputs.kernel(str(evaluate.kernel))  # one of `each`
        check_test_images(evaluate, source.images, path)
        count = None if evaluate.count == len(source.images) else evaluate.count
        check_precomputed(evaluate, path, real=kernel.real)
        lr = None
        if evaluate.lr is not None:
            with prefixed(f"{path}.lr: "):
                lr = self.inputs.precomputed(source.images[: evaluate.count], evaluate.lr, trial.scale, kernel.spec)
        fields = {
            "source": evaluate.source, "dataset": label, "images": source.digest, "kernel": kernel.spec,
            "crop": evaluate.crop, "count": count, "lr": evaluate.lr, "lr_images": lr,
            "kernel_digest": kernel.digest,
        }  # fmt: skip
        content = {
            "kind": "evaluation", "images": source.digest, "dataset": label, "kernel": kernel.content, "crop": evaluate.crop,
            **({} if count is None else {"count": count}), **({} if lr is None else {"lr": lr}),
        }  # fmt: skip
        available = {"hr", "lr", *(["dual"] if dual else [])}
        out = []
        for name in evaluate.metrics:
            with prefixed(f"{path}: "):
                metric = metrics.get(name)
            check_metric(metric, path, real=kernel.real)
            # A table may mix arms with and without a D, and bicubic is in every table: an empty cell, not an error.
            if metric.needs <= available:
                version = {"name": name, "version": metric.version}
                own = {"metric": version, "protocol": trial.protocol.fields_of(metric)}
                out.append(_EvaluationTemplate(Digests({**content, **own}, "trial"), {**fields, "metric": name}))
        return out


def _semantic_fields(stage: Stage, uses: frozenset[str]) -> dict[str, Any]:
    """Return the fields of a stage that reach its numbers, files and images aside."""
    by_content = {"name", "data", "unpaired", "weights", "dual_weights", "unpaired_dual_weights"}
    by_content |= {"dual_kernel", "unpaired_dual_kernel"}
    by_content.add("recompute")  # the same numbers in less memory
    fields = stage.model_dump(exclude={*by_content, *(SCHEME_FIELDS - uses), *RECIPE})
    fields = {name: value for name, value in fields.items() if name not in LATER or value != LATER[name]}
    fields |= _recipe(stage)
    if stage.precision == "bf16":
        fields["autocast"] = 2  # the second form: D, mean shifts and last layers in fp32
    if "loss" in fields:
        fields["loss"] = losses.content(stage.loss)
    kinds = {stage.dual, unpaired_kind(stage)} if "unpaired" in uses else {stage.dual}
    if not kinds & {"level", "chain", "single"}:
        fields.pop("dual_feats", None)
    if kinds <= FIXED:
        fields.pop("dual_frozen", None)
    if stage.unpaired_lam == stage.lam:
        fields.pop("unpaired_lam", None)
    if stage.unpaired_patch == stage.patch:
        fields.pop("unpaired_patch", None)
    if stage.unpaired_dual == stage.dual:
        fields.pop("unpaired_dual", None)  # an own D of the same kind, as dual_of = "own" says
    if "dual_of" in fields and has_own_dual(stage):
        fields["dual_of"] = "own"
    if stage.dual == "level" and "dual" in uses and "unpaired" not in uses:
        fields["dual"] = "chain"  # the readings differ on unpaired images alone
    if stage.accumulate == 1:
        del fields["accumulate"]
    # The other rates have no end of the cosine.
    if stage.schedule != "cosine":
        del fields["lr_min"]
    return fields


def _recipe(stage: Stage) -> dict[str, Any]:
    """Return the settings of schedule, optimiser and averaged weights that move a number, shares of the stage in steps."""
    out: dict[str, Any] = {}
    if stage.schedule == "multistep":
        out |= {"milestones": milestones(stage), "gamma": stage.gamma}
    if (warmup := in_steps(stage.warmup, stage.steps)) > 1:
        out["warmup"] = warmup
    if decay := stage.effective_weight_decay:
        out["weight_decay"] = decay
    if stage.ema:
        out |= {"ema": stage.ema, "score_ema": stage.score_ema}
    return out
