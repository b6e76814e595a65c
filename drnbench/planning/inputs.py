"""Content of the files that trials name (images, kernels, weights), read and checked once a plan."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from drnbench.config.keys import canonical_json
from drnbench.config.trial import Stage
from drnbench.data.cache import Fingerprint, ImageInfo, fingerprint
from drnbench.data.precomputed_lr import precomputed_lr
from drnbench.datasets.sources import resolve
from drnbench.degradations import canonical, identity, parse
from drnbench.forensics import displacement
from drnbench.models import models, on_demand
from drnbench.models.methods import Resolved
from drnbench.planning.checks import check_file
from drnbench.schemes import schemes


class KernelIdentity(NamedTuple):
    """A degradation: its shortest spec, whether it only marks real LR images, and what of it enters a key."""

    spec: str
    real: bool
    content: dict[str, object]


class Inputs:
    """Content of the files that trials name; messages of errors do not name the trial.

    Everything is read once, so an object is used for one plan alone: files may change between plans.

    Args:
        folder: of the cache of fingerprints and LR images.

    Attributes:
        images: `images(source)`, the fingerprint of a source of images.
        label: `label(source)`, what tables call it.
        kernel: `kernel(spec)`, a degradation.
        displaced: a warning for each set of precomputed LR images that is shifted against its HR images.

    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._weights: dict[str, str] = {}
        self._model_files: dict[str, dict[str, str]] = {}
        self.displaced: dict[str, None] = {}

        @cache
        def images(source: str) -> Fingerprint:
            return fingerprint(source, folder)

        @cache
        def label(source: str) -> str:
            return resolve(source, folder).label

        @cache
        def kernel(spec: str) -> KernelIdentity:
            return KernelIdentity(canonical(spec), parse(spec).real, identity(spec))

        self.images, self.label, self.kernel = images, label, kernel

    def precomputed(self, images: tuple[ImageInfo, ...], lr: str, scale: int, kernel: str) -> str:
        """Return the fingerprint of precomputed LR images, checked against their HR images; note if they are displaced."""
        source = precomputed_lr(images, lr, scale, self._folder)
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
        return self._weights[key]

    def dual_weights(self, path: str, method: Resolved, scale: int, stage: Stage) -> str:
        """Check that a file of dual weights fits the stage's D, and return the digest of its content."""
        key = canonical_json(["dual", path, stage.scheme, stage.dual, stage.dual_feats, scale])
        if key not in self._weights:
            check_file(path)
            model = models.get(method.model).make(scale, **method.options)
            scheme: Any = schemes.get(str(stage.scheme))(model, scale, stage)  # one that uses dual_weights has a D
            on_demand.weights.load_dual(scheme.extra[scheme.dual_name], Path(path))
            self._weights[key] = on_demand.weights.state_digest(Path(path))
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
        return self._model_files[key]
