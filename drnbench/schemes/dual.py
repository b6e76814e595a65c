"""Dual regression: Eq. 1 (pairs) and Eq. 2 with Algorithm 1 (pairs and unpaired LR images) of the DRN paper."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, ClassVar, cast

from drnbench.config.trial import Stage
from drnbench.data.sampling import unpaired_count
from drnbench.degradations import parse
from drnbench.degradations.blur import Gaussian
from drnbench.degradations.kernel import Bicubic, Kernel
from drnbench.errors import UsageError
from drnbench.models import Model, on_demand
from drnbench.schemes import schemes
from drnbench.schemes.base import Batch, Mix, Scheme, l1_sum
from drnbench.schemes.supervised import primary_losses
from drnbench.zeroshot import on_demand as zero_shot

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor, nn

SHAPE = frozenset({"dual", "dual_feats", "dual_weights", "dual_frozen", "dual_kernel", "dual_border"})
"""Fields of the shape, the weights and the training of D."""
OWN = frozenset(
    {"unpaired_lam", "unpaired_dual", "unpaired_dual_kernel", "unpaired_dual_frozen", "unpaired_dual_weights"}
)
"""Fields of a dual term of their own for unpaired images."""
NETWORKS = {
    "level": "dual", "chain": "dual", "single": "dual_single", "linear": "dual_linear", "known": "dual_known",
    "estimated": "dual_estimated",
}  # fmt: skip
"""Kinds of D, and the name of the network among those beside P."""
FIXED = frozenset({"known", "estimated"})
"""Kinds of D that are never trained with P."""
SINGLE_FEATS = 16
"""Channels of the single D in the authors' follow-up, whatever network it wraps."""


@schemes.register("paired")
class Paired(Scheme):
    """Eq. 1: the primary loss on pairs plus λ L1(D(P(x)), x), and optionally the HR domain's μ L1(P(D(y)), y).

    With `dual` = "level" or "chain" there is one D for each 2x level of the model's output, each acting on its own
    output, not chained: D_k(output_{k+1}) against the LR target of that size. With "single" one D maps SR to LR, which
    wraps any network. P and D are updated together: D's gradient is that of the λ-weighted dual term (and of the
    HR-domain term, weight `hr_lam`, where it is used).
    """

    summary: ClassVar[str] = "dual regression on pairs (Eq. 1): L1 + lam * L1(D(P(x)), x)"
    replayed: ClassVar[bool] = True

    @classmethod
    def uses(cls, stage: Stage) -> frozenset[str]:  # noqa: ARG003
        """λ, the shape and origin of D, the HR-domain weight, the primary loss; the dual terms are L1 always."""
        return SHAPE | {"lam", "hr_lam", "aux", "loss"}

    @classmethod
    def check(cls, stage: Stage, where: str, *, model: Model, scale: int) -> None:
        """See `Scheme.check`."""
        super().check(stage, where, model=model, scale=scale)
        for name, kind in (("dual", stage.dual), ("unpaired_dual", stage.unpaired_dual)):
            if kind in {"level", "chain"} and not model.multiscale:
                raise UsageError(
                    f"{where}.{name}: {kind!r} needs an output at each 2x level; for this model use {name} = 'single'"
                )
        smallest = min(stage.patch, stage.unpaired_patch or stage.patch) // scale
        if smallest <= 2 * stage.dual_border:
            raise UsageError(
                f"{where}.dual_border: {stage.dual_border} LR pixels at each edge leave nothing of a patch of "
                f"{smallest}; set a smaller border or a larger patch"
            )
        for name, spec, data in operators(stage):
            check_operator(f"{where}.{name}", spec, data)
            if stage.augment and not turns_with_images(parse(spec), scale):
                raise UsageError(
                    f"{where}.augment: flips and transposition of patches turn the kernel {spec!r} that a known D has; set "
                    "augment = False"
                )

    @classmethod
    def check_start(cls, stage: Stage, where: str, before: Stage | None) -> None:
        """Refuse a frozen D that was never trained."""
        super().check_start(stage, where, before)
        if has_estimate(stage) and (before is None or before.scheme != "kernelgan"):
            raise UsageError(
                f"{where}.dual: an 'estimated' D is the kernel that the stage before estimated; put one of scheme 'kernelgan' "
                "before it, or name the kernel: 'known'"
            )
        if stage.dual_frozen and stage.dual not in FIXED and not has_trained_dual(stage, before):
            raise UsageError(
                f"{where}.dual_frozen: D would stay as it was initialised; train the same D in the stage before, "
                "or give dual_weights = FILE"
            )

    def build_networks(self) -> dict[str, nn.Module]:
        """Return D: a list with a network for each level, or a single one; see `NETWORKS`."""
        network = self.make_dual()
        return {self.dual_name: network.requires_grad_(not self.stage.dual_frozen and self.stage.dual not in FIXED)}

    def make_dual(self) -> nn.Module:
        """Return a fresh D of the stage's shape."""
        return self._make(self.stage.dual, self.stage.dual_kernel or self.stage.data.kernel)

    def _make(self, kind: str, kernel: str) -> nn.Module:
        if kind == "known":
            return on_demand.operator.known(parse(kernel), self.scale)
        if kind == "estimated":
            return on_demand.operator.Operator(zero_shot.internal_gan.window(self.scale), self.scale, learned=False)
        if kind == "linear":
            return on_demand.operator.learned(self.scale)
        make = on_demand.dual.DualSingle if kind == "single" else on_demand.dual.dual_per_level
        return make(self.scale, self.stage.dual_feats or SINGLE_FEATS)

    @property
    def dual_name(self) -> str:
        """The name of D among the extra networks."""
        return NETWORKS[self.stage.dual]

    def weight_files(self) -> dict[str, str]:
        """See `Scheme.weight_files`."""
        return (
            {self.dual_name: self.stage.dual_weights}
            if self.stage.dual_weights and self.stage.dual not in FIXED
            else {}
        )

    def load_networks(self, state: dict[str, object]) -> list[str]:
        """See `Scheme.load_networks`; a known D is that of this stage."""
        kept = {
            name: copy.deepcopy(net.state_dict()) for name, net in self.extra.items() if name.startswith("dual_known")
        }
        fresh = super().load_networks(state)
        for name, weights in kept.items():
            self.extra[name].load_state_dict(weights)
        return [name for name in fresh if name not in kept]

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """`primary` with its parts, `dual` (before λ), `hr_dual` (before its weight, where it has one) and `total`.

        Each is divided by the whole batch.
        """
        outputs = self.run_model(batch.lr)
        primary = primary_losses(outputs, batch, self.scale, self.stage)
        pairs, unpaired = self._dual_on_pairs(outputs, batch), self._dual_on_unpaired(outputs, batch)
        dual = (pairs + unpaired) / batch.size
        weighted, lam, own = self.stage.lam * dual, self.stage.lam, self.stage.unpaired_lam
        if self.stage.rho > 0 and own is not None and own != lam:  # it rounds differently: only under a key of its own
            weighted = (lam * pairs + own * unpaired) / batch.size
        losses = {**primary, "dual": dual, "total": primary["primary"] + weighted}
        if self.stage.hr_lam:
            losses["hr_dual"] = self._dual_on_hr(batch)
            losses["total"] = losses["total"] + self.stage.hr_lam * losses["hr_dual"]
        return losses

    def degrade(self, hr: Tensor, name: str | None = None) -> Tensor:
        """Return D(hr), all the way from the SR size to LR: N x 3 x sH x sW -> N x 3 x H x W in fp32."""
        network = self.extra[name or self.dual_name]
        for d in reversed(on_demand.dual.parts(network)):  # in fp32: bf16 moves D(SR) by a quarter gray level
            hr = d(hr)
        return hr

    def _distance(self, back: Tensor, target: Tensor, factor: int = 1) -> Tensor:
        """Return `l1_sum` without the border, whose width in pixels is the stage's times `factor`."""
        if (edge := self.stage.dual_border * factor) == 0:
            return l1_sum(back, target)
        return l1_sum(back[..., edge:-edge, edge:-edge], target[..., edge:-edge, edge:-edge])

    def _dual_on_pairs(self, outputs: tuple[Tensor, ...], batch: Batch) -> Tensor:
        n = batch.n_pairs
        if self.stage.dual not in {"level", "chain"}:
            return self._distance(self.degrade(outputs[-1][:n]), batch.lr[:n])
        back = [d(out[:n]) for d, out in zip(on_demand.dual.parts(self.extra["dual"]), outputs[1:], strict=True)]
        factors = sorted(batch.pyramid, reverse=True)[:-1]
        terms = [
            self._distance(b, batch.pyramid[factor], self.scale // factor)
            for b, factor in zip(back, factors, strict=True)
        ]
        return sum(terms[1:], terms[0])

    def _dual_on_unpaired(self, outputs: tuple[Tensor, ...], batch: Batch) -> Tensor:
        """Return Eq. 2's second term for images without HR, whose only target is the image itself.

        level: D0 on the 2x output, which leaves the upper layers of P without a gradient from these images.
        chain: all D in a row on the final output. single, linear, known: the one D on the final output.
        """
        n, x = batch.n_pairs, batch.lr[batch.n_pairs :]
        if len(batch.others):
            n, x, outputs = 0, batch.others, self.run_model(batch.others)
        name = self.unpaired_name
        if not len(x) and name == self.dual_name:
            return x.new_zeros(())  # D has the gradient of the pairs; another D takes a step with a gradient of zero
        if (self.stage.unpaired_dual or self.stage.dual) != "level":
            return self._distance(self.degrade(outputs[-1][n:], name), x)
        return self._distance(on_demand.dual.parts(self.extra[name])[0](outputs[1][n:]), x)

    @property
    def unpaired_name(self) -> str:
        """The name of the D that is applied to unpaired images."""
        return self.dual_name

    def _dual_on_hr(self, batch: Batch) -> Tensor:
        """L1(P(D(y)), y) on the HR images of the pairs."""
        y = batch.pyramid[1]
        return l1_sum(self.run_model(self.degrade(y))[-1], y) / batch.size


@schemes.register("unpaired")
class Unpaired(Paired):
    """Eq. 2 and Algorithm 1: a share ρ of each batch are LR images without HR, which enter the dual term alone.

    ρ = 0 is fine-tuning on pairs, the "unadapted" arm; ρ = 1 has no pairs at all, and only D relates P to images.
    With `dual_of` = "own", with `unpaired_dual` and with a known D a second D is applied to unpaired images. A learned one
    starts from its own file, from the second D of the stage before, or as a copy of the first D where that is of its shape.
    """

    summary: ClassVar[str] = "dual regression with a share rho of unpaired LR images (Eq. 2, Algorithm 1)"
    replayed: ClassVar[bool] = True
    unpaired_data: ClassVar[bool] = True

    @classmethod
    def uses(cls, stage: Stage) -> frozenset[str]:
        """λ, ρ, the shape of D, and the unpaired data (and a D of their own) if ρ is above 0."""
        own = {"rho", "unpaired", "unpaired_patch", "dual_of", *OWN} if stage.rho > 0 else {"rho"}
        return super().uses(stage) | own

    @classmethod
    def mix(cls, stage: Stage, step: int) -> Mix:
        """B images, of which ρ B on average are unpaired."""
        m = unpaired_count(step, stage.rho, stage.batch)
        return Mix(stage.batch - m, m)

    @classmethod
    def check(cls, stage: Stage, where: str, *, model: Model, scale: int) -> None:
        """See `Scheme.check`."""
        super().check(stage, where, model=model, scale=scale)
        if stage.rho > 0 and stage.unpaired is None:
            raise UsageError(
                f"{where}.unpaired: rho = {stage.rho:g} needs unpaired=Data(...), the LR images without HR"
            )
        for name in ("unpaired_dual_weights", "unpaired_dual_frozen"):
            if getattr(stage, name) is not None and not has_own_dual(stage.model_copy(update={"rho": 1.0})):
                raise UsageError(
                    f"{where}.{name}: unpaired images have no D of their own; set unpaired_dual or dual_of = 'own'"
                )

    @classmethod
    def check_start(cls, stage: Stage, where: str, before: Stage | None) -> None:
        """Refuse a frozen D that was never trained, for unpaired images too."""
        super().check_start(stage, where, before)
        if has_own_dual(stage) and is_frozen(stage, unpaired=True) and unpaired_kind(stage) not in FIXED:
            alike = stage.model_copy(
                update={
                    "dual": unpaired_kind(stage),
                    "dual_weights": stage.unpaired_dual_weights
                    or (stage.dual_weights if NETWORKS[stage.dual] == NETWORKS[unpaired_kind(stage)] else None),
                }
            )
            earlier = before.model_copy(update={"dual": unpaired_kind(before)}) if before is not None else None
            if not has_trained_dual(alike, before) and not has_trained_dual(alike, earlier):
                raise UsageError(
                    f"{where}.unpaired_dual_frozen: the D of unpaired images would stay as it was initialised; train it in "
                    "the stage before (scheme 'dual-fit'), or give unpaired_dual_weights = FILE"
                )

    def build_networks(self) -> dict[str, nn.Module]:
        """Return the D of pairs, and one whose name ends in `_unpaired` if unpaired images have a D of their own."""
        networks = super().build_networks()
        if has_own_dual(self.stage):
            kind = unpaired_kind(self.stage)
            network = self._make(kind, unpaired_kernel(self.stage))
            networks[self.unpaired_name] = network.requires_grad_(
                kind not in FIXED and not is_frozen(self.stage, unpaired=True)
            )
        return networks

    @property
    def unpaired_name(self) -> str:
        """The name of the D that is applied to unpaired images: that of pairs, or with `_unpaired`."""
        return f"{NETWORKS[unpaired_kind(self.stage)]}_unpaired" if has_own_dual(self.stage) else self.dual_name

    def weight_files(self) -> dict[str, str]:
        """See `Scheme.weight_files`."""
        files = super().weight_files()
        kind = unpaired_kind(self.stage)
        if has_own_dual(self.stage) and kind not in FIXED:
            alike = files.get(self.dual_name) if NETWORKS[kind] == self.dual_name else None
            if path := self.stage.unpaired_dual_weights or alike:
                files[self.unpaired_name] = path
        return files

    def load_networks(self, state: dict[str, object]) -> list[str]:
        """See `Scheme.load_networks`; a second D that the stage before does not have starts as a copy of its first."""
        fresh = super().load_networks(state)
        if self.unpaired_name in fresh:
            network = self.extra[self.unpaired_name]
            saved = cast("dict[str, dict[str, Tensor]]", state["extra"]).get(
                self.unpaired_name.removesuffix("_unpaired"), {}
            )
            if {k: v.shape for k, v in saved.items()} == {k: v.shape for k, v in network.state_dict().items()}:
                network.load_state_dict(saved)
        return fresh


def with_dual_feats(stage: Stage, sizes: Mapping[str, object]) -> Stage:
    """Return the stage with the channels of its dual networks: as given, or those of the authors.

    Their D for each 2x level has as many as the network's first layer, 8 for DRN-S at x8 and 20 for DRN-L at x4; their
    single D has 16.

    Args:
        stage: as declared.
        sizes: every option of the model.
    """
    if stage.dual_feats is not None:
        return stage
    per_level = bool({stage.dual, unpaired_kind(stage)} & {"level", "chain"})
    feats = sizes.get("n_feats") if per_level else None
    return stage.model_copy(update={"dual_feats": feats or SINGLE_FEATS})


def unpaired_kind(stage: Stage) -> str:
    """Return the kind of the D of unpaired images."""
    return stage.unpaired_dual or stage.dual


def has_own_dual(stage: Stage) -> bool:
    """Return True if unpaired images have a D of their own."""
    return stage.rho > 0 and (stage.dual_of == "own" or stage.unpaired_dual is not None or stage.dual in FIXED)


def has_estimate(stage: Stage) -> bool:
    """Return True if a D of the stage is the kernel that the stage before estimated."""
    return stage.dual == "estimated" or (has_own_dual(stage) and unpaired_kind(stage) == "estimated")


def is_frozen(stage: Stage, *, unpaired: bool) -> bool:
    """Return True if the D of pairs, or the own D of unpaired images, is declared frozen."""
    own = stage.unpaired_dual_frozen
    return own if unpaired and own is not None else stage.dual_frozen


def unpaired_kernel(stage: Stage) -> str:
    """Return the kernel of a known D of unpaired images."""
    return stage.unpaired_dual_kernel or (stage.unpaired.kernel if stage.unpaired is not None else stage.data.kernel)


def operators(stage: Stage) -> list[tuple[str, str, str]]:
    """Return each known D of a stage: the field of its kernel, the kernel, and the field of the data it is taken from."""
    fixed = []
    if stage.dual == "known":
        fixed.append(("dual_kernel", stage.dual_kernel or stage.data.kernel, "data.kernel"))
    if unpaired_kind(stage) == "known" and has_own_dual(stage):
        fixed.append(("unpaired_dual_kernel", unpaired_kernel(stage), "unpaired.kernel"))
    return fixed


def check_operator(where: str, spec: str, taken_from: str) -> None:
    """Refuse a kernel that is no operator on images.

    Raises:
        UsageError: no such kernel, or one that does not state its weights.
    """
    try:
        kernel = parse(spec)
    except UsageError as error:
        raise UsageError(f"{where}: {error}") from error
    if type(kernel).taps is Kernel.taps or kernel.real:
        raise UsageError(
            f"{where}: a known D needs a kernel that states its weights, and {spec!r} (of {taken_from} unless given) does not; "
            "name one, such as gaussian:sigma=2.0 or file:path=FILE"
        )


def turns_with_images(kernel: Kernel, scale: int) -> bool:
    """Return True if degrading a flipped or transposed image equals flipping or transposing the degraded one."""
    if isinstance(kernel, Bicubic) or (isinstance(kernel, Gaussian) and kernel.phase == "centre"):
        return True  # without importing PyTorch
    geometry, taps = zero_shot.geometry, kernel.taps(scale)
    middle = all(abs(centre - (scale - 1) / 2) < 1e-3 for centre in geometry.centre_of_mass(taps))
    return middle and len(geometry.symmetries(taps)) == len(geometry.TRANSFORMS)


def has_trained_dual(stage: Stage, before: Stage | None) -> bool:
    """Return True if a stage starts with a trained D of its shape: from a file, or from the stage before."""
    if stage.dual_weights is not None:
        return True
    if before is None or before.scheme is None:
        return False
    sized = NETWORKS[stage.dual] in {"dual", "dual_single"}
    return (
        "dual" in schemes.get(before.scheme).uses(before)
        and NETWORKS[before.dual] == NETWORKS[stage.dual]
        and (before.dual_feats == stage.dual_feats or not sized)
    )
