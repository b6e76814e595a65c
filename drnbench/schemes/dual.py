"""Dual regression: Eq. 1 (pairs) and Eq. 2 with Algorithm 1 (pairs and unpaired LR images) of the DRN paper."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from drnbench.config.trial import Stage
from drnbench.data.sampling import unpaired_count
from drnbench.errors import UsageError
from drnbench.models import Model, on_demand
from drnbench.schemes import schemes
from drnbench.schemes.base import Batch, Mix, Scheme, l1_sum
from drnbench.schemes.supervised import primary_loss

if TYPE_CHECKING:
    from torch import Tensor, nn

SHAPE = frozenset({"dual", "dual_feats", "dual_weights", "dual_frozen"})
"""Fields of the shape, the weights and the training of D."""


@schemes.register("paired")
class Paired(Scheme):
    """Eq. 1: the primary loss on pairs plus λ L1(D(P(x)), x), and optionally the HR domain's μ L1(P(D(y)), y).

    With `dual` = "level" or "chain" there is one D for each 2x level of the model's output, each acting on its own
    output, not chained: D_k(output_{k+1}) against the LR target of that size. With "single" one D maps SR to LR, which
    wraps any network. P and D are updated together: D's gradient is that of the λ-weighted dual term (and of the
    HR-domain term, weight `hr_lam`, where it is used).
    """

    summary: ClassVar[str] = "dual regression on pairs (Eq. 1): L1 + lam * L1(D(P(x)), x)"

    @classmethod
    def uses(cls, stage: Stage) -> frozenset[str]:  # noqa: ARG003
        """λ, the shape and origin of D, the HR-domain weight."""
        return SHAPE | {"lam", "hr_lam", "aux"}

    @classmethod
    def check(cls, stage: Stage, where: str, *, model: Model, scale: int) -> None:
        """See `Scheme.check`."""
        super().check(stage, where, model=model, scale=scale)
        if stage.dual != "single" and not model.multiscale:
            raise UsageError(
                f"{where}.dual: {stage.dual!r} needs an output at each 2x level; for this model use dual = 'single'"
            )

    @classmethod
    def check_start(cls, stage: Stage, where: str, before: Stage | None) -> None:
        """Refuse a frozen D that was never trained."""
        super().check_start(stage, where, before)
        if stage.dual_frozen and not has_trained_dual(stage, before):
            raise UsageError(
                f"{where}.dual_frozen: D would stay as it was initialised; train the same D in the stage before, "
                "or give dual_weights = FILE"
            )

    def build_networks(self) -> dict[str, nn.Module]:
        """`dual`: a list with one D for each level; `dual_single`: one D."""
        network = self.make_dual()
        network.requires_grad_(not self.stage.dual_frozen)
        return {self.dual_name: network}

    def make_dual(self) -> nn.Module:
        """Return a fresh D of the stage's shape."""
        make = on_demand.dual.DualSingle if self.stage.dual == "single" else on_demand.dual.dual_per_level
        return make(self.scale, self.stage.dual_feats)

    @property
    def dual_name(self) -> str:
        """The name of D among the extra networks."""
        return "dual_single" if self.stage.dual == "single" else "dual"

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """`primary`, `dual` (before λ), `hr_dual` (before its weight, where it has one) and `total`.

        Each is divided by the whole batch.
        """
        outputs = self.run_model(batch.lr)
        primary = primary_loss(outputs, batch, self.scale, self.stage.aux)
        pairs, unpaired = self._dual_on_pairs(outputs, batch), self._dual_on_unpaired(outputs, batch)
        dual = (pairs + unpaired) / len(batch.lr)
        losses = {"primary": primary, "dual": dual, "total": primary + self.stage.lam * dual}
        if self.stage.hr_lam:
            losses["hr_dual"] = self._dual_on_hr(batch)
            losses["total"] = losses["total"] + self.stage.hr_lam * losses["hr_dual"]
        return losses

    def degrade(self, hr: Tensor, name: str | None = None) -> Tensor:
        """Return D(hr), all the way from the SR size to LR: N x 3 x sH x sW -> N x 3 x H x W in fp32."""
        network = self.extra[name or self.dual_name]
        with self.autocast():
            for d in reversed(on_demand.dual.parts(network)):
                hr = d(hr)
        return hr.float()

    def _dual_on_pairs(self, outputs: tuple[Tensor, ...], batch: Batch) -> Tensor:
        n = batch.n_pairs
        if self.stage.dual == "single":
            return l1_sum(self.degrade(outputs[-1][:n]), batch.lr[:n])
        with self.autocast():
            back = [d(out[:n]) for d, out in zip(on_demand.dual.parts(self.extra["dual"]), outputs[1:], strict=True)]
        factors = sorted(batch.pyramid, reverse=True)[:-1]
        terms = [l1_sum(b.float(), batch.pyramid[factor]) for b, factor in zip(back, factors, strict=True)]
        return sum(terms[1:], terms[0])

    def _dual_on_unpaired(self, outputs: tuple[Tensor, ...], batch: Batch) -> Tensor:
        """Return Eq. 2's second term for images without HR, whose only target is the image itself.

        level: D0 on the 2x output, which leaves the upper layers of P without a gradient from these images.
        chain: all D in a row on the final output. single: the one D on the final output.
        """
        n, x = batch.n_pairs, batch.lr[batch.n_pairs :]
        name = self.unpaired_name
        if self.stage.dual != "level":
            return l1_sum(self.degrade(outputs[-1][n:], name), x)
        with self.autocast():
            back = on_demand.dual.parts(self.extra[name])[0](outputs[1][n:])
        return l1_sum(back.float(), x)

    @property
    def unpaired_name(self) -> str:
        """The name of the D that is applied to unpaired images."""
        return self.dual_name

    def _dual_on_hr(self, batch: Batch) -> Tensor:
        """L1(P(D(y)), y) on the HR images of the pairs."""
        y = batch.pyramid[1]
        return l1_sum(self.run_model(self.degrade(y))[-1], y) / len(batch.lr)


@schemes.register("unpaired")
class Unpaired(Paired):
    """Eq. 2 and Algorithm 1: a share ρ of each batch are LR images without HR, which enter the dual term alone.

    ρ = 0 is fine-tuning on pairs, the "unadapted" arm; ρ = 1 has no pairs at all, and only D relates P to images.
    With `dual_of` = "own" a second D is applied to unpaired images, which starts as a copy of the first if the stage
    before has no second.
    """

    summary: ClassVar[str] = "dual regression with a share rho of unpaired LR images (Eq. 2, Algorithm 1)"
    unpaired_data: ClassVar[bool] = True

    @classmethod
    def uses(cls, stage: Stage) -> frozenset[str]:
        """λ, ρ, the shape of D, and the unpaired data (and a D of their own) if ρ is above 0."""
        return super().uses(stage) | ({"rho", "unpaired", "dual_of"} if stage.rho > 0 else {"rho"})

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

    def build_networks(self) -> dict[str, nn.Module]:
        """Return the D of pairs, and `dual_unpaired` if the stage has a D of its own for unpaired images."""
        networks = super().build_networks()
        if self._own:
            networks[self.unpaired_name] = self.make_dual()
            networks[self.unpaired_name].requires_grad_(not self.stage.dual_frozen)
        return networks

    @property
    def _own(self) -> bool:
        return self.stage.dual_of == "own" and self.stage.rho > 0

    @property
    def unpaired_name(self) -> str:
        """`dual`, or `dual_unpaired`."""
        return f"{self.dual_name}_unpaired" if self._own else self.dual_name

    def load_networks(self, state: dict[str, object]) -> list[str]:
        """See `Scheme.load_networks`; a second D that the stage before does not have starts as a copy of the first."""
        fresh = super().load_networks(state)
        if self._own and self.unpaired_name in fresh and self.dual_name not in fresh:
            self.extra[self.unpaired_name].load_state_dict(self.extra[self.dual_name].state_dict())
        return fresh


def has_trained_dual(stage: Stage, before: Stage | None) -> bool:
    """Return True if a stage starts with a trained D of its shape: from a file, or from the stage before."""
    if stage.dual_weights is not None:
        return True
    if before is None or before.scheme is None:
        return False
    single = {stage.dual == "single", before.dual == "single"}
    return (
        "dual" in schemes.get(before.scheme).uses(before) and len(single) == 1 and before.dual_feats == stage.dual_feats
    )
