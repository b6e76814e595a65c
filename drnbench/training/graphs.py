"""CUDA graphs of the forward and backward pass: the same kernels in the same order, which the host asks for in one call."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import replace
from typing import NoReturn

import torch
from torch import Tensor, nn

from drnbench.schemes.base import Batch, Scheme

GRAPHS = os.environ.get("DRNBENCH_CUDA_GRAPHS", "1") != "0"
"""Steps are replayed where they can be. It moves no number."""
WARM_UP = 2
"""Batches of one shape that are computed plainly first: libraries choose their kernels, and the compiler compiles."""
MOST = 16
"""Graphs of one stage; batches of further shapes are computed plainly."""
TOLERANCE = 1e-2
"""Relative difference of losses and gradients that algorithms which are not deterministic may have from one time to the next."""

Losses = dict[str, Tensor]
Record = Callable[[Callable[[], None]], Callable[[], None]]
"""Takes a function that works on fixed memory, and returns one that does its work again."""


def replay_steps(scheme: Scheme) -> None:
    """Let a scheme that is prepared replay its steps on a GPU, where its class states that they can be."""
    # A subclass may compute otherwise, and blocks that are recomputed read the state of the generator of random numbers.
    is_replayed = vars(type(scheme)).get("replayed", False) and not scheme.stage.recompute
    if GRAPHS and scheme.device.type == "cuda" and is_replayed:
        scheme.compute = StepGraphs(scheme.gradients, [scheme.model, scheme.extra], exact=scheme.stage.deterministic)


class StepGraphs:
    """Losses and gradients of batches, by replaying what was recorded of an earlier batch of the same shape.

    A step of DRN is thousands of small kernels, and a host takes longer to ask for them than a GPU to run most of them.
    The first `WARM_UP` batches of a shape are computed plainly. The next one is computed in both ways, and graphs are used
    only if every loss and every gradient is the same, bit for bit where algorithms are deterministic. What cannot be recorded,
    or has other numbers when it is replayed, is computed plainly for the rest of the stage; `reason` says why.

    Args:
        compute: sets the gradients of the networks, which are cleared before, and returns the losses of a batch: a function of the
            batch's tensors and of the networks alone.
        networks: whose parameters have the gradients; buffers that `compute` moves, such as running means, move once a batch.
        exact: `compute` has the same bits each time.
        record: None: a CUDA graph.

    Attributes:
        reason: why nothing is replayed any more; None: it may be.
        replays: number of replays, those that were compared among them.
    """

    def __init__(
        self,
        compute: Callable[[Batch], Losses],
        networks: Sequence[nn.Module],
        *,
        exact: bool,
        record: Record | None = None,
    ) -> None:
        self._compute, self._exact = compute, exact
        self._parameters = [p for network in networks for p in network.parameters() if p.requires_grad]
        self._buffers = [buffer for network in networks for buffer in network.buffers()]
        self._record = record or cuda_graphs()
        self._seen: Counter[Hashable] = Counter()
        self._recorded: dict[Hashable, _Recorded] = {}
        self.reason: str | None = None
        self.replays = 0

    def __call__(self, batch: Batch) -> Losses:
        """Set the gradients and return the losses of a batch; gradients were cleared."""
        if self.reason is not None:
            return self._compute(batch)
        shape = _shape(batch)
        if (recorded := self._recorded.get(shape)) is not None:
            self.replays += 1
            return recorded.replay(batch)
        losses = self._compute(batch)
        self._seen[shape] += 1
        if self._seen[shape] > WARM_UP and len(self._recorded) < MOST:
            self._try(shape, batch, losses)
        return losses

    def _try(self, shape: Hashable, batch: Batch, losses: Losses) -> None:
        """Record a batch that was just computed, and compare; gradients and buffers are left as they are."""
        gradients, buffers = [p.grad for p in self._parameters], [buffer.clone() for buffer in self._buffers]
        try:
            recorded = _Recorded(self._compute, self._parameters, batch, self._record)
            again = recorded.replay(batch)
            self.replays += 1
            plain, replayed = [*losses.values(), *gradients], [*again.values(), *(p.grad for p in self._parameters)]
            if [*losses] != [*again] or not _equal(plain, replayed, exact=self._exact):
                self._give_up("a replayed step has other numbers than a plain one")
            else:
                self._recorded[shape] = recorded
        except (RuntimeError, NotImplementedError) as error:  # memory, or work of the host in the middle of a step
            self._give_up(str(error).partition("\n")[0])
        finally:
            for p, gradient in zip(self._parameters, gradients, strict=True):
                p.grad = gradient
            for buffer, value in zip(self._buffers, buffers, strict=True):
                buffer.copy_(value)

    def _give_up(self, reason: str) -> None:
        self.reason = reason
        self._recorded.clear()
        print(f"no CUDA graph: {reason}", flush=True)


class _Recorded:
    """A recorded batch: memory for the inputs, and where losses and gradients lie after a replay."""

    def __init__(
        self, compute: Callable[[Batch], Losses], parameters: Sequence[nn.Parameter], batch: Batch, record: Record
    ) -> None:
        self._parameters = parameters
        fixed: dict[int, Tensor] = {}  # LR images may be a level of the pyramid
        self._inputs = [fixed.setdefault(id(tensor), _like(tensor)) for tensor in _tensors(batch)]
        self._batch = replace(
            batch, lr=fixed[id(batch.lr)], hr=fixed[id(batch.hr)], others=fixed[id(batch.others)], chance=_no_chance,
            pyramid={factor: fixed[id(stack)] for factor, stack in batch.pyramid.items()},
        )  # fmt: skip
        self._fill(batch)
        for p in parameters:
            p.grad = None

        def work() -> None:
            losses = compute(self._batch)
            self._names, self._losses = [*losses], torch.stack([*losses.values()])
            self._gradients = [p.grad for p in parameters]

        self._replay = record(work)

    def replay(self, batch: Batch) -> Losses:
        self._fill(batch)
        self._replay()
        for p, gradient in zip(self._parameters, self._gradients, strict=True):
            p.grad = gradient
        # The next replay writes over them.
        return dict(zip(self._names, self._losses.clone().unbind(), strict=True))

    def _fill(self, batch: Batch) -> None:
        for fixed, tensor in zip(self._inputs, _tensors(batch), strict=True):
            fixed.copy_(tensor, non_blocking=True)


def cuda_graphs() -> Record:
    """Return what records CUDA graphs; all share one pool of memory, as one is replayed at a time."""
    pool = torch.cuda.graph_pool_handle()

    def record(work: Callable[[], None]) -> Callable[[], None]:
        graph = torch.cuda.CUDAGraph()
        # Other threads may ask for memory meanwhile: patches of the next steps are pinned.
        with torch.cuda.graph(graph, pool=pool, capture_error_mode="thread_local"):
            work()
        return graph.replay

    return record


def _tensors(batch: Batch) -> Iterator[Tensor]:
    yield from (batch.lr, batch.hr, batch.others, *batch.pyramid.values())


def _shape(batch: Batch) -> Hashable:
    layouts = tuple((tensor.shape, tensor.stride()) for tensor in _tensors(batch))
    return batch.n_pairs, tuple(batch.pyramid), layouts, batch.lr is batch.pyramid.get(max(batch.pyramid, default=0))


def _like(tensor: Tensor) -> Tensor:
    return torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device=tensor.device)


def _equal(plain: Sequence[Tensor | None], replayed: Sequence[Tensor | None], *, exact: bool) -> bool:
    pairs = [*zip(plain, replayed, strict=True)]
    if any((a is None) != (b is None) for a, b in pairs):
        return False
    if exact:
        same = [((a == b) | (a.isnan() & b.isnan())).all() for a, b in pairs if a is not None and b is not None]
        return bool(torch.stack(same).all())
    off, size = (
        torch.stack([part.detach().float().norm() for part in parts]).norm()
        for parts in zip(*((a - b, a) for a, b in pairs if a is not None and b is not None), strict=True)
    )
    return bool(off <= TOLERANCE * size)


def _no_chance(purpose: str, shape: tuple[int, ...]) -> NoReturn:
    raise NotImplementedError(f"the losses draw random numbers ({purpose})")
