"""The interface of a training scheme, and its batch."""

from __future__ import annotations

import contextlib
import functools
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import TYPE_CHECKING, ClassVar, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from drnbench.config.overrides import validated
from drnbench.config.trial import Frozen, Scalar, Stage
from drnbench.data.sampling import uniforms
from drnbench.errors import UsageError
from drnbench.models import Model, on_demand
from drnbench.schemes import losses
from drnbench.schemes.adam import adam, adam_step

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

Chance = Callable[[str, tuple[int, ...]], NDArray[np.float64]]


def _first_step(purpose: str, shape: tuple[int, ...]) -> NDArray[np.float64]:
    return uniforms(0, purpose, 0, shape)


def _no_images() -> Tensor:
    import torch

    return torch.zeros(0, 3, 0, 0)


class Mix(NamedTuple):
    """Number of images of each kind in the batch of a step: pairs, LR without HR, HR without LR."""

    pairs: int
    unpaired: int = 0
    hr: int = 0


@dataclass(frozen=True)
class Batch:
    """One training batch.

    Attributes:
        lr: B x 3 x h x w; the first `n_pairs` have HR images, the others are unpaired.
        pyramid: targets of the pairs, coarse to fine: factor of HR size over target size -> n_pairs x 3 x H x W. Has
            `scale` (the LR images themselves) and 1 (HR), and every 2x level between if scale is a power of two.
        n_pairs: number of pairs.
        hr: N x 3 x H x W, HR images without LR; N is 0 unless `mix` of the scheme includes them.
        others: M x 3 x h' x w', the unpaired images where their patches have another size than the pairs beside them; then
            `lr` has the pairs alone. M is 0 otherwise.
        chance: `chance(purpose, shape)`, uniform numbers in [0, 1): a function of (seed, purpose, step) like all
            random numbers, so that a resumed stage draws the same ones.
    """

    lr: Tensor
    pyramid: dict[int, Tensor]
    n_pairs: int
    hr: Tensor = field(default_factory=_no_images)
    chance: Chance = _first_step
    others: Tensor = field(default_factory=_no_images)

    @property
    def size(self) -> int:
        """Number of LR images: pairs and unpaired ones."""
        return len(self.lr) + len(self.others)


def _one_layout(run: Callable[[Tensor], tuple[Tensor, ...]]) -> Callable[[Tensor], tuple[Tensor, ...]]:
    """Return a compiled network that gets all images with channels last in memory.

    A batch whose patches are all transposed has rows and columns the other way round in memory, for which the network would be
    compiled again, hours later and outside of the store's lock.
    """
    import torch

    return lambda lr: run(lr.contiguous(memory_format=torch.channels_last))


def parts(batch: Batch, count: int) -> Iterator[tuple[Batch, float]]:
    """Yield a batch in `count` parts of about equal size, each with its share of the images.

    Losses are sums over images divided by the batch, so the losses of the parts, weighted by their shares, add up to
    those of the whole but for the last bits.
    """
    size, first = batch.size, len(batch.lr)
    edges = [i * size // count for i in range(count + 1)]
    for start, end in pairwise(edges):
        pairs = slice(min(start, batch.n_pairs), min(end, batch.n_pairs))
        pyramid = {factor: stack[pairs] for factor, stack in batch.pyramid.items()}
        lr, others = batch.lr[start:end], batch.others[max(start - first, 0) : max(end - first, 0)]
        if len(others) and not len(lr):
            lr, others, pyramid = others, batch.others[:0], empty_pyramid(others, batch.pyramid)
        part = replace(batch, lr=lr, pyramid=pyramid, n_pairs=pairs.stop - pairs.start, others=others)
        if end > start:
            yield part, (end - start) / size


def empty_pyramid(lr: Tensor, factors: Iterable[int]) -> dict[int, Tensor]:
    """Return the pyramid of a batch without pairs: no target, of the sizes that LR images lead to."""
    height, width, scale = *lr.shape[-2:], max(factors)
    return {factor: lr.new_zeros(0, 3, height * scale // factor, width * scale // factor) for factor in factors}


def l1_sum(a: Tensor, b: Tensor) -> Tensor:
    """Return the sum over images of the mean absolute error of each image; 0 for an empty batch.

    Divided by the batch size it equals L1 over all pixels, also when a part of the batch is empty (ρ = 1).
    """
    return on_demand.drn.mean((a - b).abs(), (1, 2, 3)).sum()


class Options(Frozen):
    """Base class for the settings of a scheme beyond the fields of `Stage`.

    Attributes:
        later: settings that were added when results existed already: they enter a key only where they differ from their
            defaults.
    """

    later: ClassVar[frozenset[str]] = frozenset()

    def content(self) -> dict[str, Scalar]:
        """Return the settings as they enter a key, defaults filled in."""
        fields = type(self).model_fields
        return {k: v for k, v in self.model_dump().items() if k not in self.later or v != fields[k].default}


class Scheme(ABC):
    """A training scheme: losses, extra networks and optimisers of one stage.

    A subclass builds its extra networks in `build_networks` and computes losses in `losses`; each network has an Adam
    optimiser, and all step together after one backward pass.

    Attributes:
        summary: one line for `list`.
        unpaired_data: it can use LR images without HR.
        replayed: `losses` is a function of the batch's tensors and of the networks, computed on the device alone, so that it can
            be recorded once and replayed by a GPU (`drnbench.training.graphs`). Each class states it for itself.
        compute: sets the gradients of a batch and returns its losses: `gradients`, or what replays it.
        split: number of parts of a batch whose gradients are added up: less memory for the same step.
        gradient_norm: `grad_norm`, that of P in the last step before it was clipped; empty where norms are not clipped.
        settings: class of `Stage.options`, with defaults; all of it is in the stage's key.
        packages: distributions beside torch and numpy that compute numbers: of another version, stages are stale.
    """

    summary: ClassVar[str]
    unpaired_data: ClassVar[bool] = False
    replayed: ClassVar[bool] = False
    settings: ClassVar[type[Options]] = Options
    packages: ClassVar[tuple[str, ...]] = ()

    @classmethod
    @abstractmethod
    def uses(cls, stage: Stage) -> frozenset[str]:
        """Return the scheme fields of a stage (`SCHEME_FIELDS` in planning/keys.py) that reach the numbers.

        The others stay out of the stage's key, so that λ = 0.1 and λ = 1 are one result where λ is not used.
        """

    @classmethod
    def mix(cls, stage: Stage, step: int) -> Mix:  # noqa: ARG003
        """Return the composition of the batch of a step (from 0)."""
        return Mix(stage.batch)

    @classmethod
    def check(cls, stage: Stage, where: str, *, model: Model, scale: int) -> None:  # noqa: ARG003
        """Refuse a stage that this scheme cannot train with this model at this scale.

        Raises:
            UsageError: with one line that begins with `where`.
        """
        if stage.unpaired_patch is not None and stage.unpaired_patch % scale:
            raise UsageError(
                f"{where}.unpaired_patch: {stage.unpaired_patch} is not a multiple of the scale {scale}, which is the side of an "
                "LR pixel"
            )
        if stage.rho > 0 and not cls.unpaired_data:
            raise UsageError(
                f"{where}.rho: scheme {stage.scheme!r} uses no unpaired images; set rho = 0 or scheme = 'unpaired'"
            )
        if stage.accumulate != 1 and (cls.step is not Scheme.step or cls.mix(stage, 0).hr):
            raise UsageError(
                f"{where}.accumulate: scheme {stage.scheme!r} does not add up gradients over parts of a batch; leave it at 1"
            )
        if "loss" in cls.uses(stage):
            losses.check(stage.loss, where, stage.patch)
        elif stage.loss != "l1":
            raise UsageError(f"{where}.loss: scheme {stage.scheme!r} has losses of its own; leave it at 'l1'")
        if stage.compile and stage.recompute:
            raise UsageError(f"{where}.recompute: a compiled network is not recomputed; leave compile or recompute out")
        if stage.optimiser != "adam" and cls.optimiser is not Scheme.optimiser:
            raise UsageError(f"{where}.optimiser: scheme {stage.scheme!r} has one of its own; leave it at 'adam'")
        validated(cls.settings, stage.options, f"{where}.options")

    @classmethod  # noqa: B027
    def check_start(cls, stage: Stage, where: str, before: Stage | None) -> None:
        """Refuse a stage, with its scheme filled in, that would start from untrained networks.

        Raises:
            UsageError: with one line that begins with `where`.
        """

    def __init__(self, model: nn.Module, scale: int, stage: Stage) -> None:
        from torch import nn

        self.model = model
        self.scale = scale
        self.stage = stage
        self.options = validated(self.settings, stage.options, f"{stage.name}.options")
        self.split = 1
        self.compute: Callable[[Batch], dict[str, Tensor]] = self.gradients
        self._run: Callable[[Tensor], tuple[Tensor, ...]] = model
        self._blocks: dict[nn.Module, Callable[..., object]] = {}
        self.gradient_norm: dict[str, Tensor] = {}
        self.extra = nn.ModuleDict(self.build_networks())

    def build_networks(self) -> dict[str, nn.Module]:
        """Return the networks beside the model, by the name under which the next stage continues them."""
        return {}

    @abstractmethod
    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Return scalar losses; `total` is minimised, the others are logged."""

    def weight_files(self) -> dict[str, str]:
        """Return the files of initial weights that the stage names for extra networks, by the network's name."""
        return {}

    def prepare(self, device: torch.device) -> None:
        """Move everything to the device and make the optimisers."""
        import torch

        self.device = device
        for network in (self.model, self.extra):
            network.to(device)
            if self.stage.channels_last:
                network.to(memory_format=torch.channels_last)
            if self._chose_speed:
                on_demand.convolution.use_fast_convolutions(network)
        if self.stage.compile:
            # Of fixed shapes: a graph for any shape, and so its last bits, would depend on the shapes that came before.
            torch._dynamo.config.recompile_limit, torch._dynamo.config.fail_on_recompile_limit_hit = 64, True  # noqa: SLF001
            if device.type == "cuda":
                self._blocks = on_demand.compiled.compiled_parts(self.model, fused=self.stage.precision == "bf16")
            self._run = _one_layout(self.model if self._blocks else torch.compile(self.model, dynamic=False))
        # Fused and foreach variants round differently from release to release; the plain loop is the reference.
        self.optimisers = {name: self.optimiser(network) for name, network in self._optimised()}
        if self.stage.clip_norm or self.stage.clip_value:
            for name, optimiser in self.optimisers.items():
                optimiser.register_step_pre_hook(functools.partial(self._clip, name))

    @property
    def _chose_speed(self) -> bool:
        """True where gradients and steps of the optimiser may be rounded otherwise than the plain ones, by fewer or faster kernels."""
        return self.device.type == "cuda" and self.stage.precision != "fp32"

    def optimiser(self, network: nn.Module) -> torch.optim.Optimizer:
        """Return the optimiser of one network: Adam or AdamW with the stage's betas, epsilon and weight decay."""
        decay, is_fused = self.stage.effective_weight_decay, self._chose_speed
        return adam(
            [p for p in network.parameters() if p.requires_grad],
            lr=self.stage.lr, betas=self.stage.betas, eps=self.stage.eps,
            foreach=self.device.type == "cuda" and not is_fused, fused=is_fused or None,
            weight_decay=decay, decoupled_weight_decay=decay > 0,
        )  # fmt: skip

    def _clip(self, name: str, optimiser: torch.optim.Optimizer, *_: object) -> None:
        """Clip the gradient of one network before the step of its optimiser; of P its norm before that is kept."""
        from torch.nn import utils

        parameters = [p for group in optimiser.param_groups for p in group["params"]]
        foreach = self.device.type == "cuda"
        if self.stage.clip_value is not None:
            utils.clip_grad_value_(parameters, self.stage.clip_value, foreach=foreach)
        if self.stage.clip_norm is not None:
            norm = utils.clip_grad_norm_(parameters, self.stage.clip_norm, foreach=foreach)
            if name == "model":
                self.gradient_norm = {"grad_norm": norm}

    def _optimised(self) -> list[tuple[str, nn.Module]]:
        """Return the networks with trainable parameters, by the name of their optimiser."""
        from torch import nn

        groups: list[tuple[str, nn.Module]] = [("model", self.model)]
        for name, network in self.extra.items():
            # A list of networks (one dual a level) has an optimiser each, as in the authors' code.
            parts = list(network) if isinstance(network, nn.ModuleList) else [network]
            groups += [(f"{name}.{i}" if len(parts) > 1 else name, part) for i, part in enumerate(parts)]
        return [(name, part) for name, part in groups if any(p.requires_grad for p in part.parameters())]

    @contextlib.contextmanager
    def autocast(self) -> Iterator[None]:
        """Run the networks inside in the stage's precision; losses, and D of dual regression, are computed outside, in fp32."""
        import torch

        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.stage.precision == "bf16"):
            yield

    def run_model(self, lr: Tensor) -> tuple[Tensor, ...]:
        """Return the outputs of the model in fp32, coarse to fine."""
        kept = on_demand.recompute.recomputing(self.model) if self.stage.recompute else contextlib.nullcontext()
        compiled = on_demand.recompute.running(self._blocks) if self._blocks else contextlib.nullcontext()
        with self.autocast(), kept, compiled:
            outputs = self._run(lr)
        return tuple(out.float() for out in outputs)

    def step(self, batch: Batch, lr: float) -> dict[str, Tensor]:
        """Make one optimiser step at learning rate `lr`; returns the losses before it."""
        self.start_step(lr)
        losses = self.compute(batch)
        for optimiser in self.optimisers.values():
            adam_step(optimiser)
        return losses

    def gradients(self, batch: Batch) -> dict[str, Tensor]:
        """Return the losses of a batch, and add their gradients to those of the networks."""
        total: dict[str, Tensor] = {}
        for part, share in parts(batch, self.split) if self.split > 1 else ((batch, 1.0),):
            losses = self.losses(part)
            (losses["total"] * share).backward()  # type: ignore[no-untyped-call]
            for name, value in losses.items():
                total[name] = total.get(name, 0) + value.detach() * share
        return total

    def start_step(self, lr: float) -> None:
        """Set the learning rate of every optimiser, and clear its gradients."""
        for optimiser in self.optimisers.values():
            for group in optimiser.param_groups:
                group["lr"] = lr
            optimiser.zero_grad(set_to_none=True)

    def state_dict(self) -> dict[str, object]:
        """Return networks and optimisers, from which training continues, as tensors, numbers, lists and dicts."""
        return {
            "model": self.model.state_dict(),
            "extra": {name: network.state_dict() for name, network in self.extra.items()},
            "optimisers": {name: optimiser.state_dict() for name, optimiser in self.optimisers.items()},
        }

    def load_state_dict(self, state: dict[str, object]) -> None:
        """Continue from a state of the same stage."""
        self.load_networks(state)
        saved = cast("dict[str, dict[str, object]]", state["optimisers"])
        for name, optimiser in self.optimisers.items():
            optimiser.load_state_dict(saved[name])

    def load_networks(self, state: dict[str, object]) -> list[str]:
        """Start from the networks of an earlier stage; returns the names of extra networks that it did not have."""
        self.model.load_state_dict(cast("dict[str, Tensor]", state["model"]))
        saved = cast("dict[str, dict[str, Tensor]]", state["extra"])
        fresh = []
        for name, network in self.extra.items():
            shapes = {k: v.shape for k, v in saved.get(name, {}).items()}
            if shapes == {k: v.shape for k, v in network.state_dict().items()}:
                network.load_state_dict(saved[name])
            else:
                fresh.append(name)
        return fresh


class Estimator(Scheme):
    """Base of the schemes that estimate the degradation of unpaired LR images, and see nothing else; P is not trained."""

    unpaired_data: ClassVar[bool] = True

    @classmethod
    def uses(cls, stage: Stage) -> frozenset[str]:  # noqa: ARG003
        """The unpaired images."""
        return frozenset({"unpaired", "unpaired_patch"})

    @classmethod
    def mix(cls, stage: Stage, step: int) -> Mix:  # noqa: ARG003
        """Unpaired LR images alone."""
        return Mix(0, stage.batch)

    @classmethod
    def check(cls, stage: Stage, where: str, *, model: Model, scale: int) -> None:
        """See `Scheme.check`."""
        super().check(stage, where, model=model, scale=scale)
        if stage.ema:
            raise UsageError(
                f"{where}.ema: scheme {stage.scheme!r} does not train P, whose weights are averaged; set ema = 0"
            )
        if stage.unpaired is None:
            raise UsageError(
                f"{where}.unpaired: scheme {stage.scheme!r} needs unpaired=Data(...), the LR images without HR"
            )
