"""Keys of stages, trials and evaluations, and the checks that come before any work.

A stage's key covers its semantic fields, the stages before it, the seed and the fingerprint of its data. Names of
stages, paths of folders and fields that the scheme does not use stay out, so they retrain nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from drnbench.config.keys import Digests, digest
from drnbench.config.trial import Data, Evaluate, Stage, Trial
from drnbench.config.units import EvaluateUnit, Evaluation, StageUnit
from drnbench.data.cache import Fingerprint, ImageInfo, fingerprint
from drnbench.data.precomputed_lr import ready
from drnbench.datasets.sources import resolve as resolve_source
from drnbench.degradations import canonical, identity, parse
from drnbench.errors import DataError, UsageError
from drnbench.evaluation import metrics
from drnbench.models import models, on_demand
from drnbench.models.methods import Resolved, resolve
from drnbench.schemes import schemes

SCHEME_FIELDS = frozenset(
    {"lam", "rho", "dual", "dual_feats", "dual_of", "dual_frozen", "dual_weights", "hr_lam", "aux", "unpaired"}
)
"""Fields of a stage that count only where its scheme says so."""


class _Kernel(NamedTuple):
    """A degradation: its shortest spec, whether it only marks real LR images, what enters a key."""

    spec: str
    real: bool
    identity: dict[str, object]


class _Part(NamedTuple):
    """What a stage is, whatever its seed: with its scheme filled in, its keys, the digests of its files."""

    stage: Stage
    keys: Digests
    digests: dict[str, Any]


class _Measure(NamedTuple):
    """One metric on one test set, whatever the trial: its keys, and the fields of its `Evaluation`."""

    keys: Digests
    fields: dict[str, Any]


@dataclass
class Keys:
    """Makes units with their keys.

    Remembers fingerprints, so that a set of images is looked at once a plan, and what equal stages and evaluations add to
    their keys: a study has thousands of trials and few stages that differ by more than the seed.
    """

    cache: Path

    def __post_init__(self) -> None:
        self._prints: dict[str, Fingerprint] = {}
        self._resolved: dict[tuple[str, int, str], Resolved] = {}
        self._files: dict[tuple[object, ...], str] = {}
        self._contents: dict[tuple[object, ...], dict[str, str]] = {}
        self._labels: dict[str, str] = {}
        self._kernels: dict[str, _Kernel] = {}
        self._parts: dict[tuple[object, ...], _Part] = {}
        self._texts: dict[int, tuple[Stage, str]] = {}
        self._units: dict[tuple[object, ...], StageUnit] = {}
        self._measures: dict[tuple[object, ...], list[_Measure]] = {}

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
        try:
            method = self.resolve(trial)
        except UsageError as error:
            raise UsageError(f"{where}: {error}") from error
        if method.scheme is None and trial.stages:
            raise UsageError(f"{where}: method {trial.method!r} is not trained; a trial with stages needs one that is")
        if method.scheme is not None and not trial.stages:
            raise UsageError(
                f"{where}: method {trial.method!r} has weights to train; give the trial at least one stage"
            )
        units: list[StageUnit] = []
        for depth, declared in enumerate(trial.stages):
            units.append(self._stage(trial, method, declared, depth, units[-1] if units else None, where))
        return units

    def _stage(
        self, trial: Trial, method: Resolved, declared: Stage, depth: int, before: StageUnit | None, where: str
    ) -> StageUnit:
        text = (self._text(declared), trial.scale, id(method))
        known = (*text, before.key if before else None, trial.seed, depth)
        if known in self._units:
            return self._units[known]
        alike = (*text, self._text(before.stage) if before else None)
        if alike not in self._parts:
            stage = declared.model_copy(update={"scheme": declared.scheme or method.scheme})
            self._parts[alike] = self._part(trial, method, stage, before, f"{where}, {declared.name}")
        part, previous = self._parts[alike], before.key if before else None
        key = part.keys.of(seed=trial.seed, depth=depth, before=previous)
        unit = StageUnit(
            key=key, model=method.model, options=method.options, scale=trial.scale, seed=trial.seed, depth=depth,
            before=previous, stage=part.stage, **part.digests,
        )  # fmt: skip
        self._units[known] = unit
        return unit

    def _text(self, stage: Stage) -> str:
        """Return a stage as text; the seeds of an arm share the very object, which is kept so that its id stays its own."""
        if id(stage) not in self._texts:
            self._texts[id(stage)] = (stage, stage.model_dump_json())
        return self._texts[id(stage)][1]

    def _part(self, trial: Trial, method: Resolved, stage: Stage, before: StageUnit | None, where: str) -> _Part:
        assert stage.scheme is not None
        try:
            scheme = schemes.get(stage.scheme)
        except UsageError as error:
            raise UsageError(f"{where}: {error}") from error
        scheme.check(stage, where, model=models.get(method.model), scale=trial.scale)
        scheme.check_start(stage, where, before.stage if before else None)
        if stage.weights is not None and before is not None:
            raise UsageError(
                f"{where}.weights: this stage starts from the one before it; give weights to the first stage"
            )
        # With every default filled in, so that a default written out is the same stage.
        stage = stage.model_copy(update={"options": scheme.settings(**stage.options).model_dump()})
        if stage.patch % trial.scale:
            raise UsageError(f"{where}.patch: {stage.patch} is not a multiple of the scale {trial.scale}")
        uses = scheme.uses(stage)
        semantic = stage.model_dump(
            exclude={"name", "data", "unpaired", "weights", "dual_weights", *(SCHEME_FIELDS - uses)}
        )
        if stage.dual == "level" and "dual" in uses and "unpaired" not in uses:
            semantic["dual"] = "chain"  # the readings differ on unpaired images alone
        if stage.accumulate == 1:
            del semantic["accumulate"]
        # The cosine's end means nothing to a constant rate.
        if stage.schedule == "constant":
            del semantic["lr_min"]
        if self._kernel(stage.data.kernel, f"{where}.data").real:
            raise UsageError(
                f"{where}.data.kernel: 'real' images have no HR to learn from; use them as unpaired=Data(...)"
            )
        data = self._data(stage.data, stage, trial.scale, stage.holdout, f"{where}.data")
        unpaired = None
        if stage.unpaired is not None and "unpaired" in uses:
            unpaired = self._data(stage.unpaired, stage, trial.scale, 0, f"{where}.unpaired")
        pairs = ((stage.data, data), (stage.unpaired, unpaired))
        ready_digests = {str(one.lr): made["lr"] for one, made in pairs if one is not None and made and "lr" in made}
        weights = self._weights(method, trial.scale, stage.weights, f"{where}.weights")
        dual = None
        if stage.dual_weights is not None and "dual_weights" in uses:
            dual = self._dual_weights(scheme, method, trial.scale, stage, f"{where}.dual_weights")
        content = {
            "kind": "stage",
            "model": {"name": method.model, **method.options},
            "scale": trial.scale,
            "stage": semantic,
            "data": data,
            "unpaired": unpaired,
            "weights": weights,
            "dual_weights": dual,
        }
        digests = {
            "data_digest": data["images"],
            "unpaired_digest": unpaired["images"] if unpaired else None,
            "weights_digest": weights,
            "dual_digest": dual,
            "ready_digests": ready_digests,
        }
        return _Part(stage, Digests(content, "seed", "depth", "before"), digests)

    def _data(self, data: Data, stage: Stage, scale: int, holdout: int, where: str) -> dict[str, Any]:
        found = self._fingerprint(data.source, where)
        if len(found.images) <= holdout:
            raise DataError(
                f"{where}: {data.source} has {len(found.images)} images and {holdout} are held out; "
                "add images or set holdout = 0"
            )
        kernel = self._kernel(data.kernel, where)
        for image in found.images:
            side = min(image.height, image.width, data.crop or image.height)
            # Real LR images are cut at LR size.
            usable, patch = (side, stage.patch // scale) if kernel.real else (side // scale * scale, stage.patch)
            if usable < patch:
                crop = f", cropped to {data.crop}" if data.crop else ""
                real_patch = f", {patch} LR pixels" if kernel.real else ""
                raise DataError(
                    f"{where}: {image.path} is {image.width}x{image.height}{crop}, too small for a patch of {stage.patch} "
                    f"at scale {scale}{real_patch}; lower patch or take the image out"
                )
        left = len(found.images) - holdout
        if data.count is not None and data.count > left:
            raise DataError(
                f"{where}.count: {data.source} has {left} images{' after the hold-out' * bool(holdout)}, not {data.count}"
            )
        # A count that takes all is no count.
        count = None if data.count is None or data.count == left else data.count
        counted = {} if count is None else {"count": count}
        lr = self._ready(found.images, data.lr, data.kernel, data.crop, scale, where)
        return {"images": found.digest, "kernel": kernel.identity, "crop": data.crop, **counted, **lr}

    def _ready(
        self, images: tuple[ImageInfo, ...], lr: str | None, kernel: str, crop: int | None, scale: int, where: str
    ) -> dict[str, str]:
        """Check ready-made LR images, and return what of them enters a key."""
        if lr is None:
            return {}
        if crop is not None or self._kernel(kernel, where).real:
            what = "crop" if crop is not None else "kernel 'real'"
            raise UsageError(f"{where}.lr: ready-made LR images do not go with {what}: leave one of them out")
        try:
            return {"lr": ready(images, lr, scale, self.cache).digest}
        except UsageError as error:
            raise DataError(f"{where}.lr: {error}") from error

    def _weights(self, method: Resolved, scale: int, path: str | None, where: str) -> str | None:
        """Check that a file of weights fits the model, and return the digest of its content."""
        if path is None:
            return None
        known = (path, method.model, repr(sorted(method.options.items())), scale)
        if known not in self._files:
            self._exists(path, where)
            try:
                on_demand.weights.load_weights(models.get(method.model).make(scale, **method.options), Path(path))
                self._files[known] = on_demand.weights.state_digest(Path(path))
            except UsageError as error:
                raise UsageError(f"{where}: {error}") from error
        return self._files[known]

    def _dual_weights(self, scheme: Any, method: Resolved, scale: int, stage: Stage, where: str) -> str:
        """Check that a file of dual weights fits the stage's D, and return the digest of its content."""
        path = str(stage.dual_weights)
        known = (path, stage.dual, str(stage.dual_feats), scale)
        if known not in self._files:
            self._exists(path, where)
            try:
                made = scheme(models.get(method.model).make(scale, **method.options), scale, stage)
                on_demand.weights.load_dual(made.extra[made.dual_name], Path(path))
                self._files[known] = on_demand.weights.state_digest(Path(path))
            except UsageError as error:
                raise UsageError(f"{where}: {error}") from error
        return self._files[known]

    def _model_files(self, method: Resolved, scale: int, where: str) -> dict[str, str]:
        """Check that a model can be made from the files that its options name; return the digest of each content."""
        model = models.get(method.model)
        if not model.files:
            return {}
        known = (method.model, repr(sorted(method.options.items())), scale)
        if known not in self._contents:
            try:
                digests = model.contents(method.options)
                model.make(scale, **method.options)
            except UsageError as error:
                raise UsageError(f"{where}: {error}") from error
            self._contents[known] = digests
        return self._contents[known]

    def _exists(self, path: str, where: str) -> None:
        if not Path(path).is_file():
            raise UsageError(f"{where}: no such file: {path}")

    def evaluation(self, trial: Trial, stages: list[StageUnit], where: str) -> EvaluateUnit:
        """Return the unit that scores a trial, with a key for each metric on each test set."""
        method = self.resolve(trial)
        last = stages[-1].key if stages else None
        files = self._model_files(method, trial.scale, where)
        model = {"name": method.model, **method.options, **files}
        # The seed of a model that nobody trains means nothing.
        trial_key = digest({"kind": "trial", "stage": last, **({} if last else {"model": model, "scale": trial.scale})})
        dual = bool(stages) and "dual" in schemes.get(str(stages[-1].stage.scheme)).uses(stages[-1].stage)
        have = frozenset({"dual"} if dual else ())
        known = (trial.evaluate, trial.protocol, trial.scale, dual)
        if known not in self._measures:
            self._measures[known] = [
                measure
                for i, evaluate in enumerate(trial.evaluate)
                for measure in self._evaluations(evaluate, trial, have, f"{where}, evaluate.{i}")
            ]
        wanted = tuple(Evaluation(key=one.keys.of(trial=trial_key), **one.fields) for one in self._measures[known])
        if not wanted:
            raise UsageError(
                f"{where}: nothing is measured: this arm has no dual network, and every metric asks for one"
            )
        return EvaluateUnit(
            key=trial_key, stage=last, model=method.model, options=method.options, files_digest=files, scale=trial.scale,
            seed=trial.seed, protocol=trial.protocol, wanted=wanted,
        )  # fmt: skip

    def _evaluations(self, evaluate: Evaluate, trial: Trial, have: frozenset[str], where: str) -> list[_Measure]:
        found = self._fingerprint(evaluate.source, where)
        label = self._label(evaluate.source)
        kernel = self._kernel(evaluate.kernel, where)
        if evaluate.count is not None and evaluate.count > len(found.images):
            raise DataError(f"{where}.count: {evaluate.source} has {len(found.images)} images, not {evaluate.count}")
        counted: dict[str, Any] = {} if evaluate.count in {None, len(found.images)} else {"count": evaluate.count}
        shown = found.images[: evaluate.count]
        lr = self._ready(shown, evaluate.lr, evaluate.kernel, evaluate.crop, trial.scale, where)
        out = []
        for name in evaluate.metrics:
            metric = metrics.get(name)
            if "hr" in metric.needs and kernel.real:
                raise UsageError(
                    f"{where}: {name} compares with HR images, and 'real' LR images have none; use lr_psnr"
                )
            # A table may mix arms with and without a D, and bicubic stands in all of them: an empty cell, not an error.
            if not metric.needs <= have | {"hr", "lr"}:
                continue
            content = {
                "kind": "evaluation",
                "images": found.digest,
                "dataset": label,
                "kernel": kernel.identity,
                "crop": evaluate.crop,
                "metric": {"name": name, "version": metric.version},
                "protocol": trial.protocol.reaching(metric),
                **counted,
                **lr,
            }
            fields = {
                "source": evaluate.source, "dataset": label, "images": found.digest, "kernel": kernel.spec,
                "crop": evaluate.crop, "count": counted.get("count"), "lr": evaluate.lr, "lr_images": lr.get("lr"),
                "metric": name,
            }  # fmt: skip
            out.append(_Measure(Digests(content, "trial"), fields))
        return out

    def _kernel(self, spec: str, where: str) -> _Kernel:
        if spec not in self._kernels:
            try:
                self._kernels[spec] = _Kernel(canonical(spec), parse(spec).real, identity(spec))
            except UsageError as error:
                raise UsageError(f"{where}.kernel: {error}") from error
        return self._kernels[spec]

    def _label(self, source: str) -> str:
        if source not in self._labels:
            self._labels[source] = resolve_source(source, self.cache).label
        return self._labels[source]

    def _fingerprint(self, source: str, where: str) -> Fingerprint:
        if source not in self._prints:
            try:
                self._prints[source] = fingerprint(source, self.cache)
            except UsageError as error:
                raise DataError(f"{where}: {error}") from error
        return self._prints[source]
