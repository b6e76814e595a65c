"""Options of executors: each takes its own, and refuses the others in one line before any work."""

import pytest

from drnbench.errors import UsageError
from drnbench.execution import executors
from drnbench.execution.base import Options


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("local", Options(address="auto"), "--address is for --executor ray, and this is --executor local"),
        ("local", Options(partition="long"), "--partition is for --executor slurm, and this is --executor local"),
        ("local", Options(device="tpu"), "unknown device 'tpu': .*known: auto, cpu, cuda"),
        ("local", Options(device="cpu", per_gpu=2), "--per-gpu 2: with --device cpu no unit shares a GPU; use --jobs"),
        ("ray", Options(device="cpu", per_gpu=2), "--per-gpu 2: with --device cpu"),
        ("ray", Options(slurm=["a=1"]), "--slurm is for --executor slurm, and this is --executor ray"),
        ("ray", Options(gpus="0"), "--gpus is for --executor local, and this is --executor ray"),
        ("slurm", Options(per_gpu=2), "SLURM gives whole GPUs"),
        ("slurm", Options(slurm=["timeout_min"]), "write it as KEY=VALUE"),
    ],
)
def test_what_an_executor_does_not_take_is_refused(name, options, message):
    with pytest.raises(UsageError, match=message):
        executors.get(name).check(options)


def test_a_share_of_a_gpu_is_refused_where_there_is_none(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    with pytest.raises(UsageError, match="--per-gpu 2: units run on the CPU here"):
        executors.get("local").check(Options(per_gpu=2))


def test_a_misspelt_executor_is_refused_with_the_names_there_are():
    with pytest.raises(UsageError, match=r"unknown executor 'locl': did you mean 'local'.* known: local, ray, slurm"):
        executors.get("locl")


def test_the_local_executor_opens_no_more_slots_than_there_are_units(tmp_path):
    executor = executors.get("local").open(tmp_path, Options(device="cpu", jobs=8), 3)
    assert (executor.slots, executor.device) == (3, "cpu")
    executor.close()
