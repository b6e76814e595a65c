"""Plain supervised training: the primary loss, L1 unless given, at every output of the model; nothing dual."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from drnbench.config.trial import Stage
from drnbench.schemes import schemes
from drnbench.schemes.base import Batch, Scheme
from drnbench.schemes.losses import terms

if TYPE_CHECKING:
    from torch import Tensor


def primary_losses(outputs: tuple[Tensor, ...], batch: Batch, scale: int, stage: Stage) -> dict[str, Tensor]:
    """Return `primary`: the stage's `loss` at each output against the target of the same size.

    The SR image has weight 1, the outputs below it `aux`: with `aux` = 1 and L1 this is the authors' multi-scale loss. Of
    several losses each is returned too, before its weight, as `primary/NAME`.

    Sums over the pairs of the batch, divided by the whole batch: unpaired images count as zero here (Eq. 2).
    """
    size, width, n, used = batch.size, batch.lr.shape[-1] * scale, batch.n_pairs, terms(stage.loss)
    by_loss = {}
    for term in used:
        shown = outputs if term.loss.on_auxiliary else outputs[-1:]
        targets = [batch.pyramid[width // out.shape[-1]] for out in shown]
        sums = [
            term.loss.by_image(out[:n], target).sum() if n else out[:0].sum()
            for out, target in zip(shown, targets, strict=True)
        ]
        by_loss[f"primary/{term.spec}"] = sum((stage.aux * value for value in sums[:-1]), sums[-1]) / size
    weighted = [term.weight * value for term, value in zip(used, by_loss.values(), strict=True)]
    return {"primary": sum(weighted[1:], weighted[0]), **(by_loss if len(used) > 1 else {})}


@schemes.register("supervised")
class Supervised(Scheme):
    """The primary loss on pairs alone; with L1 and a DRN this is the authors' "dual off"."""

    summary: ClassVar[str] = "L1 on pairs at every output scale; no dual loss (the no-dual baseline)"
    replayed: ClassVar[bool] = True

    @classmethod
    def uses(cls, stage: Stage) -> frozenset[str]:  # noqa: ARG003
        """The primary loss and its weight at the auxiliary outputs."""
        return frozenset({"aux", "loss"})

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """`primary` with its parts, and `total`, the same."""
        primary = primary_losses(self.run_model(batch.lr), batch, self.scale, self.stage)
        return {**primary, "total": primary["primary"]}
