"""Plain supervised training: L1 at every output of the model, nothing dual."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from drnbench.config.trial import Stage
from drnbench.schemes import schemes
from drnbench.schemes.base import Batch, Scheme, l1_sum

if TYPE_CHECKING:
    from torch import Tensor


def primary_loss(outputs: tuple[Tensor, ...], batch: Batch, scale: int, aux: float = 1.0) -> Tensor:
    """Sum over outputs of L1 against the target of the same size: weight 1 for SR, `aux` for those below it.

    With `aux` = 1 this is the authors' multi-scale loss.

    Sums over the pairs of the batch, divided by the whole batch: unpaired images count as zero here (Eq. 2).
    """
    size = batch.size
    width = batch.lr.shape[-1] * scale
    terms = [l1_sum(out[: batch.n_pairs], batch.pyramid[width // out.shape[-1]]) for out in outputs]
    return sum((aux * term for term in terms[:-1]), terms[-1]) / size


@schemes.register("supervised")
class Supervised(Scheme):
    """L1 on pairs alone; with a DRN this is the authors' "dual off"."""

    summary: ClassVar[str] = "L1 on pairs at every output scale; no dual loss (the no-dual baseline)"

    @classmethod
    def uses(cls, stage: Stage) -> frozenset[str]:  # noqa: ARG003
        """The weight of the auxiliary outputs."""
        return frozenset({"aux"})

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """`total`: the primary loss."""
        primary = primary_loss(self.run_model(batch.lr), batch, self.scale, self.stage.aux)
        return {"primary": primary, "total": primary}
