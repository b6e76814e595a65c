"""Dual regression: Eq. 1 (pairs) and Eq. 2 with Algorithm 1 (pairs and unpaired LR images) of the DRN paper."""

from __future__ import annotations

from typing import ClassVar, cast

from torch import Tensor, nn

from drnbench.errors import UsageError
from drnbench.models.dual import DualSingle, dual_per_level
from drnbench.schemes import register
from drnbench.schemes.base import Batch, Scheme, l1_sum
from drnbench.schemes.supervised import primary_loss
from drnbench.trial import Stage


@register("paired")
class Paired(Scheme):
    """Eq. 1: the primary loss on pairs plus λ L1(D(P(x)), x).

    With `dual` = "level" or "chain" there is one D for each 2x level of the model's output, each acting on its own
    output, not chained: D_k(output_{k+1}) against the LR target of that size. With "single" one D maps SR to LR, which
    wraps any network. P and D are updated together: D's gradient is that of the λ-weighted dual term alone.
    """

    summary: ClassVar[str] = "dual regression on pairs (Eq. 1): L1 + lam * L1(D(P(x)), x)"

    @classmethod
    def uses(cls, stage: Stage) -> frozenset[str]:  # noqa: ARG003
        """λ and the shape of D."""
        return frozenset({"lam", "dual", "dual_feats"})

    @classmethod
    def check(cls, stage: Stage, where: str, *, multiscale: bool) -> None:
        """See `Scheme.check`."""
        super().check(stage, where, multiscale=multiscale)
        if stage.dual != "single" and not multiscale:
            raise UsageError(
                f"{where}.dual: {stage.dual!r} needs an output at each 2x level; for this model use dual = 'single'"
            )

    def build_networks(self) -> dict[str, nn.Module]:
        """`dual`: a list with one D for each level; `dual_single`: one D."""
        if self.stage.dual == "single":
            return {"dual_single": DualSingle(self.scale, self.stage.dual_feats)}
        return {"dual": dual_per_level(self.scale, self.stage.dual_feats)}

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """`primary`, `dual` (before λ) and `total` = primary + λ dual, each divided by the whole batch."""
        outputs = self.run_model(batch.lr)
        primary = primary_loss(outputs, batch, self.scale)
        pairs, unpaired = self._dual_on_pairs(outputs, batch), self._dual_on_unpaired(outputs, batch)
        dual = (pairs + unpaired) / len(batch.lr)
        return {"primary": primary, "dual": dual, "total": primary + self.stage.lam * dual}

    def _dual_on_pairs(self, outputs: tuple[Tensor, ...], batch: Batch) -> Tensor:
        n = batch.n_pairs
        with self.autocast():
            if self.stage.dual == "single":
                back = [self.extra["dual_single"](outputs[-1][:n])]
                targets = [batch.lr[:n]]
            else:
                back = [d(out[:n]) for d, out in zip(self._levels(), outputs[1:], strict=True)]
                factors = sorted(batch.pyramid, reverse=True)[:-1]
                targets = [batch.pyramid[factor] for factor in factors]
        terms = [l1_sum(b.float(), target) for b, target in zip(back, targets, strict=True)]
        return sum(terms[1:], terms[0])

    def _dual_on_unpaired(self, outputs: tuple[Tensor, ...], batch: Batch) -> Tensor:
        """Eq. 2's second term for images without HR: there is one target, the image itself.

        level: D0 on the 2x output, which leaves the upper layers of P without a gradient from these images.
        chain: all D in a row on the final output. single: the one D on the final output.
        """
        n, x = batch.n_pairs, batch.lr[batch.n_pairs :]
        with self.autocast():
            if self.stage.dual == "single":
                back = self.extra["dual_single"](outputs[-1][n:])
            elif self.stage.dual == "level":
                back = self._levels()[0](outputs[1][n:])
            else:
                back = outputs[-1][n:]
                for d in reversed(self._levels()):
                    back = d(back)
        return l1_sum(back.float(), x)

    def _levels(self) -> list[nn.Module]:
        return list(cast("nn.ModuleList", self.extra["dual"]))


@register("unpaired")
class Unpaired(Paired):
    """Eq. 2 and Algorithm 1: a share ρ of each batch are LR images without HR, which feed the dual term alone.

    ρ = 0 is fine-tuning on pairs, the "unadapted" arm; ρ = 1 has no pairs at all, and nothing but D ties P to images.
    """

    summary: ClassVar[str] = "dual regression with a share rho of unpaired LR images (Eq. 2, Algorithm 1)"
    unpaired_data: ClassVar[bool] = True

    @classmethod
    def uses(cls, stage: Stage) -> frozenset[str]:
        """λ, ρ, the shape of D, and the unpaired data where ρ lets any of it in."""
        return super().uses(stage) | ({"rho", "unpaired"} if stage.rho > 0 else {"rho"})

    @classmethod
    def check(cls, stage: Stage, where: str, *, multiscale: bool) -> None:
        """See `Scheme.check`."""
        super().check(stage, where, multiscale=multiscale)
        if stage.rho > 0 and stage.unpaired is None:
            raise UsageError(
                f"{where}.unpaired: rho = {stage.rho:g} needs unpaired=Data(...), the LR images without HR"
            )
