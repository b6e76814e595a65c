"""Steps that are replayed: their numbers are those of plain steps, and what cannot be replayed is computed plainly.

The same class records CUDA graphs in `test_loop.py`; here a recording is made of the operations that PyTorch dispatches, so that
no GPU is needed: like a CUDA graph it repeats operations on fixed memory, and nothing of Python in between.
"""

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map

from drnbench import Data, Evaluate, Stage, Trial
from drnbench.planning.keys import Keys
from drnbench.schemes import schemes
from drnbench.schemes.base import Batch
from drnbench.store import Store
from drnbench.training import graphs
from drnbench.training.feed import Feed
from drnbench.training.graphs import StepGraphs
from drnbench.training.loop import build
from tests.helpers import same

CPU = torch.device("cpu")


class Operations(TorchDispatchMode):
    """Keeps the operations that run, with their arguments and results."""

    def __init__(self):
        super().__init__()
        self.calls = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        if "_local_scalar_dense" in str(function):
            raise RuntimeError("operation not permitted when stream is capturing")
        result = function(*args, **(kwargs or {}))
        self.calls.append((function, args, kwargs or {}, result))
        return result


def record(work):
    with Operations() as mode:
        work()

    def replay():
        with torch.no_grad():
            for function, args, kwargs, result in mode.calls:
                again = function(*args, **kwargs)
                if not function.is_view:  # a view has the memory of what it looks at; other results keep theirs
                    tree_map(lambda old, new: old.copy_(new) if isinstance(old, torch.Tensor) else None, result, again)

    return replay


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return Store(tmp_path_factory.mktemp("store"))


def unit(store, **fields):
    stage = Stage(
        "train", data=Data("photos/train", crop=64),
        **{"batch": 4, "patch": 16, "steps": 12, "lr": 1e-3, "validations": 0, "scheme": "paired", **fields},
    )  # fmt: skip
    trial = Trial(model={"n_blocks": 1, "n_feats": 2}, scale=4, stages=[stage], evaluate=[Evaluate("photos/test")])
    return Keys(store.cache).stages(trial, "test")[-1]


def trained(unit, store, *, replayed):
    """Train without the loop; returns the scheme, its losses, and what replays its steps."""
    scheme, feed = build(unit), Feed(unit, store.cache, CPU)
    scheme.prepare(CPU)
    if replayed:
        networks = [scheme.model, scheme.extra]
        scheme.compute = StepGraphs(scheme.gradients, networks, exact=unit.stage.deterministic, record=record)
    scheme.model.train()
    losses = [scheme.step(feed.batch(step), unit.stage.lr) for step in range(unit.stage.steps)]
    return scheme, losses, scheme.compute


UNPAIRED = Data("photos/unpaired", kernel="bd", crop=64)


@pytest.mark.parametrize(
    "fields",
    [
        {"scheme": "supervised"},
        {"loss": "0.5*charbonnier + fft", "clip_norm": 0.1},
        {"hr_lam": 0.1, "ema": 0.9},
        {"scheme": "unpaired", "rho": 0.3, "unpaired": UNPAIRED},  # the number of pairs moves between steps
        {"scheme": "unpaired", "rho": 0.5, "unpaired": UNPAIRED, "unpaired_patch": 32, "dual_of": "own"},
        {"scheme": "unpaired", "rho": 1.0, "unpaired": UNPAIRED, "dual": "single"},
        {"accumulate": 2, "precision": "bf16", "channels_last": True},
        {"deterministic": False},
    ],
    ids=lambda fields: ",".join(map(str, fields.values()))[:40],
)
def test_replayed_steps_have_the_bits_of_plain_ones(store, fields):
    made = unit(store, **fields)
    (plain, losses, _), (again, replayed, graphs_) = (trained(made, store, replayed=r) for r in (False, True))
    assert graphs_.reason is None
    assert graphs_.replays >= 3
    assert same(losses, replayed)
    assert same(plain.state_dict(), again.state_dict())


class Counting(nn.Module):
    """A network whose image depends on how often it ran, which nothing on the device knows."""

    def __init__(self):
        super().__init__()
        self.weight, self.runs = nn.Parameter(torch.ones(())), 0

    def forward(self, x):
        self.runs += 1
        return x * self.weight * self.runs


def batches(count):
    generator = torch.Generator().manual_seed(0)
    for _ in range(count):
        lr = torch.rand(2, 3, 4, 4, generator=generator)
        yield Batch(lr, {1: lr}, 2)


def losses_of(network, compute, count=8):
    out = []
    for batch in batches(count):
        network.zero_grad()
        losses = compute(batch)
        out.append((losses, [p.grad.clone() for p in network.parameters()]))
    return out


def both(network, loss):
    """Return losses and gradients, plain and with what replays, of two copies of a network."""

    def compute_of(net):
        def compute(batch):
            total = loss(net, batch)
            total.backward()
            return {"total": total.detach()}

        return compute

    nets = network(), network()
    plain = losses_of(nets[0], compute_of(nets[0]))
    replaying = StepGraphs(compute_of(nets[1]), [nets[1]], exact=True, record=record)
    return plain, losses_of(nets[1], replaying), nets, replaying


def test_a_network_that_depends_on_the_host_is_computed_plainly(capsys):
    plain, replayed, (first, second), replaying = both(Counting, lambda net, batch: net(batch.lr).mean())
    assert "other numbers" in replaying.reason
    assert capsys.readouterr().out.count("no CUDA graph") == 1
    assert replaying.replays == 1  # the one that was compared
    assert same(plain[:3], replayed[:3])
    assert second.runs == first.runs + 1


def test_a_step_that_the_host_reads_is_computed_plainly():
    plain, replayed, _, replaying = both(
        lambda: nn.Conv2d(3, 3, 1).requires_grad_(),
        lambda net, batch: (loss := net(batch.lr).square().mean()) * float(loss.detach()),
    )
    assert "capturing" in replaying.reason
    assert replaying.replays == 0
    assert len(plain) == len(replayed)


def test_losses_with_random_numbers_are_computed_plainly():
    _, _, _, replaying = both(
        lambda: nn.Conv2d(3, 3, 1), lambda net, batch: net(batch.lr).mean() * float(batch.chance("x", (1,))[0])
    )
    assert "random numbers (x)" in replaying.reason


def normed():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3))


def test_running_means_move_once_a_batch():
    plain, replayed, (first, second), replaying = both(normed, lambda net, batch: net(batch.lr).square().mean())
    assert replaying.reason is None
    assert same(plain, replayed)
    assert same(first.state_dict(), second.state_dict())


def test_only_schemes_that_state_it_are_replayed_and_only_on_a_gpu(store, monkeypatch):
    scheme = build(unit(store))
    scheme.prepare(CPU)
    graphs.replay_steps(scheme)
    assert scheme.compute == scheme.gradients
    scheme.device = torch.device("cuda")
    monkeypatch.setattr(graphs, "cuda_graphs", lambda: record)
    graphs.replay_steps(scheme)
    assert isinstance(scheme.compute, StepGraphs)

    class Other(type(scheme)):
        """It may have losses of any kind."""

    scheme.compute, scheme.__class__ = scheme.gradients, Other
    graphs.replay_steps(scheme)
    assert scheme.compute == scheme.gradients


def test_every_scheme_with_the_common_step_states_it():
    """One that could be replayed and is not would be slow on a GPU without anybody knowing."""
    common = {name for name in schemes.list() if schemes.get(name).step is schemes.get("paired").step}
    assert common == {name for name in schemes.list() if vars(schemes.get(name)).get("replayed")}
