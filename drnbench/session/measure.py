"""The verb `measure`: latency and peak memory of the networks of a study, on this machine, beside their scores.

They are no results: they stand in a file of their own, and no key, comparison or reproduction depends on them.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drnbench.models import methods, models, on_demand
from drnbench.models.methods import Resolved
from drnbench.render.text import count
from drnbench.results import reading
from drnbench.results.costs import MEASUREMENT
from drnbench.results.inventory import folders
from drnbench.store import Store, read_json, renew_json
from drnbench.store.environment import processor
from drnbench.store.leases import leased

if TYPE_CHECKING:
    from torch import Tensor, nn

WARM_UP = 3
"""Passes before the first that counts."""
PASSES = (5, 100)
"""Passes that count: at least and at most."""
SECONDS = 2.0
"""Time after which no further pass begins, once there are enough."""
MIB = 2**20


@dataclass(frozen=True)
class Conditions:
    """What a latency is measured on.

    Attributes:
        device: "cpu" or "cuda".
        batch: images a pass.
        lr_size: height and width of an LR image.
        precision: "fp32", or "bf16" for autocast.
        threads: of PyTorch on a CPU.

    """

    device: str
    batch: int
    lr_size: tuple[int, int]
    precision: str
    threads: int


def measure(store: Store, location: str, conditions: Conditions) -> Iterator[str]:
    """Measure every network that the trials of a report have, one after another, in this process.

    Trials of equal networks share a measurement, and each scored trial has the record beside its scores.

    Yields:
        A line for each network.

    """
    store.prepare()  # before minutes of measuring
    users: dict[str, list[Path]] = {}
    networks: dict[str, tuple[Resolved, int]] = {}
    for key in dict.fromkeys(trial.key for arm in reading.read(store, location).arms for trial in arm.trials):
        folder = store.trial(key)
        record = read_json(folder / "trial.json")
        if record is not None and (folder / "scores.json").exists():
            config = record["config"]
            resolved = methods.resolve(config["method"], config["scale"], config["model"])
            sizes = ", ".join(f"{size} = {value}" for size, value in resolved.options.items())
            name = f"{resolved.model} x{config['scale']} ({sizes})"
            networks[name] = resolved, config["scale"]
            users.setdefault(name, []).append(folder)
    for name, (resolved, scale) in networks.items():
        network = models.get(resolved.model).make(scale, **resolved.options)
        measured = measured_network(network, conditions, lambda: running_units(store))
        for folder in users[name]:
            renew_json(folder / MEASUREMENT, measured)
        cost = f"{measured['latency_ms']:.3g} ms an image, peak {measured['memory_mib']:.1f} MiB"
        yield f"{name}: {cost}; {count(len(users[name]), 'trial')}"


def running_units(store: Store) -> int:
    """Return the number of units of a store that processes work on now."""
    return sum(leased(folder) for kind in ("stages", "trials") for folder in folders(store.root / kind))


def measured_network(network: nn.Module, conditions: Conditions, running: Callable[[], int]) -> dict[str, Any]:
    """Return the record of a network: latency, memory, exact costs, and what they were measured on.

    Args:
        network: any model of the registry, with whatever weights: they move neither time nor memory.
        conditions: what it is measured on.
        running: number of other units that run, asked before and after.

    """
    import psutil
    import torch

    before, busy = running(), psutil.cpu_percent(0.2) / 100 * (psutil.cpu_count() or 1)
    device, threads = torch.device(conditions.device), torch.get_num_threads()
    torch.set_num_threads(conditions.threads)
    network = network.to(device).eval()
    lr = torch.randint(0, 256, (conditions.batch, 3, *conditions.lr_size), generator=torch.Generator().manual_seed(0))
    lr = lr.float().to(device)

    def forward() -> Tensor:
        with (
            torch.inference_mode(),
            torch.autocast(device.type, torch.bfloat16, enabled=conditions.precision == "bf16"),
        ):
            output: Tensor = network(lr)[-1]
        return output

    try:
        seconds = _times(forward, device.type)
        memory = _peak(forward, network, device.type)
    finally:
        torch.set_num_threads(threads)
    counted = on_demand.costs.module_costs(network.cpu(), lr[:1].cpu())
    return {
        "latency_ms": 1000 * statistics.median(seconds) / conditions.batch,
        "quartiles_ms": [1000 * q / conditions.batch for q in statistics.quantiles(seconds, n=4)[::2]],
        "passes": len(seconds),
        "warm_up": WARM_UP,
        "memory_mib": memory / MIB,
        "activations": counted.activations,
        "activations_size": list(conditions.lr_size),
        **vars(conditions),
        "hardware": torch.cuda.get_device_name() if device.type == "cuda" else processor(),
        "torch": torch.__version__,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "running_units": max(before, running()),
        "busy_cores": round(busy, 2),
    }


def _times(forward: Callable[[], Tensor], device: str) -> list[float]:
    import torch

    def wait() -> None:
        if device == "cuda":
            torch.cuda.synchronize()

    for _ in range(WARM_UP):
        forward()
    wait()
    seconds: list[float] = []
    least, most = PASSES
    while len(seconds) < least or (sum(seconds) < SECONDS and len(seconds) < most):
        start = time.perf_counter()
        forward()
        wait()
        seconds.append(time.perf_counter() - start)
    return seconds


def _peak(forward: Callable[[], Tensor], network: nn.Module, device: str) -> int:
    """Return the peak memory of a pass in bytes, weights included.

    On a GPU it is what PyTorch's allocator gave; on a CPU the largest sum of tensors alive at once, without what operations
    take inside.
    """
    import torch

    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
        forward()
        return int(torch.cuda.max_memory_allocated())
    weights = [*network.parameters(), *network.buffers()]
    alive = on_demand.costs.LiveBytes()
    with alive:
        forward()
    return alive.peak + sum(tensor.numel() * tensor.element_size() for tensor in weights)
