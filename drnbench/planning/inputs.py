"""Content of the files that trials name (images, kernels, weights), read and checked once a plan."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from drnbench.config.keys import canonical_json, digest
from drnbench.config.trial import Stage
from drnbench.data.cache import Fingerprint, ImageInfo, fingerprint
from drnbench.data.catalogued import catalogued
from drnbench.data.precomputed_lr import precomputed_lr
from drnbench.datasets.sources import resolve
from drnbench.degradations import canonical, identity, parse
from drnbench.errors import DataError, UsageError
from drnbench.forensics import displacement
from drnbench.models import models, on_demand
from drnbench.models.methods import Resolved
from drnbench.planning.checks import check_file
from drnbench.schemes import schemes


class KernelIdentity(NamedTuple):
    """A degradation: its shortest spec, whether it only marks real LR images, what of it enters a key, and a digest of that.

    Only kernels that read a file have the digest, as the spec alone does not say what they are.
    """

    spec: str
    real: bool
    content: dict[str, object]
    digest: str | None


class Inputs:
    """Content of the files that trials name; messages of errors do not name the trial.

    Everything is read once: an object is used for the plans of one run, and a new one for the next, as files may change.

    Args:
        folder: of the cache of fingerprints and LR images.
        catalogue: standard sets that are not here have the sizes of the catalogue, as is enough for a plan that is read.

    Attributes:
        absent: sources of which that was necessary: their keys are those of no results.
        images: `images(source)`, the fingerprint of a source of images.
        label: `label(source)`, what tables call it.
        kernel: `kernel(spec)`, a degradation.
        displaced: a warning for each set of precomputed LR images that is shifted against its HR images.

    """

    def __init__(self, folder: Path, *, catalogue: bool = False) -> None:
        self._folder = folder
        self.absent: dict[str, None] = {}
        self._weights: dict[str, str] = {}
        self._model_files: dict[str, dict[str, str]] = {}
        self._readings: dict[str, tuple[object, Callable[[], object]]] = {}
        self.displaced: dict[str, None] = {}

        @cache
        def images(source: str) -> Fingerprint:
            try:
                content = fingerprint(source, folder)
            except DataError:
                stand_ins = catalogued(source, folder) if catalogue else None
                if stand_ins is None:
                    raise
                self.absent[source] = None
                return stand_ins
            self._note(f"the images of {source}", content.digest, lambda: fingerprint(source, folder).digest)
            return content

        @cache
        def label(source: str) -> str:
            return source if source in self.absent else resolve(source, folder).label

        @cache
        def kernel(spec: str) -> KernelIdentity:
            degradation, content = parse(spec), identity(spec)
            reads_file = bool(content.keys() - type(degradation).model_fields.keys() - {"name"})
            if reads_file:
                self._note(f"the file of kernel {spec}", content, lambda: identity(spec))
            return KernelIdentity(canonical(spec), degradation.real, content, digest(content) if reads_file else None)

        @cache
        def ready(images: tuple[ImageInfo, ...], lr: str, scale: int) -> Fingerprint:
            source = precomputed_lr(images, lr, scale, folder)
            self._note(f"the LR images of {lr}", source.digest, lambda: fingerprint(lr, folder).digest)
            return source

        self.images, self.label, self.kernel, self._ready = images, label, kernel, ready

    def _note(self, name: str, content: object, read: Callable[[], object]) -> None:
        self._readings[name] = content, read

    def changed(self) -> list[str]:
        """Return what has changed since it was read here, in words."""
        return [name for name, (content, read) in self._readings.items() if _differs(content, read)]

    def precomputed(self, images: tuple[ImageInfo, ...], lr: str, scale: int, kernel: str) -> str:
        """Return the fingerprint of precomputed LR images, checked against their HR images; note if they are displaced."""
        source = self._ready(images, lr, scale)
        if warning := displacement.cached_warning(images, source.images, lr, scale, kernel, self._folder):
            self.displaced[warning] = None
        return source.digest

    def weights(self, path: str, method: Resolved, scale: int) -> str:
        """Check that a file of weights fits the model, and return the digest of its content."""
        key = canonical_json(["model", path, method.model, method.options, scale])
        if key not in self._weights:
            check_file(path)
            on_demand.weights.load_weights(models.get(method.model).make(scale, **method.options), Path(path))
            self._weights[key] = on_demand.weights.state_digest(Path(path))
            self._note(f"the weights in {path}", self._weights[key], lambda: on_demand.weights.state_digest(Path(path)))
        return self._weights[key]

    def dual_weights(self, path: str, method: Resolved, scale: int, stage: Stage) -> str:
        """Check that a file of dual weights fits each D that the stage starts from it; return the digest of its content."""
        kinds = [stage.scheme, stage.dual, stage.unpaired_dual, stage.dual_of, stage.rho, stage.dual_feats, scale]
        key = canonical_json(["dual", path, *kinds])
        if key not in self._weights:
            check_file(path)
            model = models.get(method.model).make(scale, **method.options)
            scheme: Any = schemes.get(str(stage.scheme))(model, scale, stage)  # one that uses dual_weights has a D
            for name in (name for name, file in scheme.weight_files().items() if file == path):
                on_demand.weights.load_dual(scheme.extra[name], Path(path))
            self._weights[key] = on_demand.weights.state_digest(Path(path))
            self._note(f"the weights in {path}", self._weights[key], lambda: on_demand.weights.state_digest(Path(path)))
        return self._weights[key]

    def model_files(self, method: Resolved, scale: int) -> dict[str, str]:
        """Check that a model can be made from the files that its options name; return the digest of each content."""
        model = models.get(method.model)
        if not model.files:
            return {}
        key = canonical_json([method.model, method.options, scale])
        if key not in self._model_files:
            digests = model.contents(method.options)
            model.make(scale, **method.options)
            self._model_files[key] = digests
            self._note(f"a file that {method.model} reads", digests, lambda: model.contents(method.options))
        return self._model_files[key]


def _differs(content: object, read: Callable[[], object]) -> bool:
    try:
        return read() != content
    except UsageError:  # it is gone, or no longer what it was
        return True
