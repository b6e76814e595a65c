"""Set-up of all tests: threads, folders of real data, options, no GPU tests without a GPU."""

from __future__ import annotations

import functools
import gc
import os
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest

# One thread in each worker, and in every process that a test starts: several workers with a thread a core take four times
# as long. Read by OpenMP, MKL and OpenBLAS when they are loaded, so set before anything is imported.
for _variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")

# glibc keeps freed memory, as it does in workers: without, images and networks of tests are cleared page by page again and
# again. Read as a process starts: by those of pytest-xdist and by those that tests start.
for _variable, _bytes in (("MMAP_THRESHOLD", 2**25), ("TRIM_THRESHOLD", 2**31 - 1), ("TOP_PAD", 2**26)):
    os.environ.setdefault(f"MALLOC_{_variable}_", str(_bytes))

# Folders of tests lie in memory where that has room and lets scripts run (a container's may not): files that live for a
# second need no disk, which takes a seventh of the fast tests' time.
_MEMORY, _ROOM_BYTES = Path("/dev/shm"), 2**32
if not os.environ.keys() & {"PYTEST_DEBUG_TEMPROOT", "TMPDIR"} and os.access(_MEMORY, os.W_OK):
    _space = os.statvfs(_MEMORY)
    if _space.f_bavail * _space.f_frsize >= _ROOM_BYTES and not _space.f_flag & os.ST_NOEXEC:
        os.environ["PYTEST_DEBUG_TEMPROOT"] = str(_MEMORY)

# Bytecode is kept: without it, every process that a test starts compiles the package again, which takes over a second.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

import numpy as np  # noqa: E402 - it reads the number of threads
from numpy.typing import NDArray  # noqa: E402

REPOSITORY = Path(__file__).resolve().parent.parent


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-snapshots", action="store_true", help="write the files of tests/*/snapshots again")


def _folder(variable: str, name: str) -> Path:
    folder = Path(os.environ.get(variable) or REPOSITORY.parent / "shared" / name).resolve()
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there; set {variable} to the folder")
    return folder


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Return the folder that holds Set5, Set14, B100 and the others."""
    return _folder("DRNBENCH_DATA", "data")


@pytest.fixture(scope="session", autouse=True)
def photographs_examined_once() -> Iterator[None]:
    """Decode images and look for damage and keypoints once a process: most tests plan studies on the same photographs."""
    from PIL import ImageFile

    from drnbench.data import copies, images

    decode, load, keypoints = images._decode, ImageFile.ImageFile.load, copies.keypoints
    described = functools.lru_cache(128)(
        lambda content, shape: keypoints(np.frombuffer(content, np.uint8).reshape(shape))
    )
    decoded: dict[object, NDArray[np.uint8]] = {}

    def decoded_once(path: Path, content: bytes, alpha: object, *, compared: bool) -> NDArray[np.uint8]:
        key = content, alpha, compared
        if len(content) > 2**18 or ImageFile.ImageFile.load is not load:  # large, or a test has its own reader
            return decode(path, content, alpha, compared=compared)
        if key not in decoded:
            pixels = decode(path, content, alpha, compared=compared)
            if len(decoded) == 256:
                decoded.clear()
            decoded[key] = pixels
        return decoded[key].copy()

    with (
        mock.patch.object(images, "damage", functools.lru_cache(128)(images.damage)),
        mock.patch.object(images, "_decode", decoded_once),
        mock.patch.object(copies, "keypoints", lambda pixels: described(pixels.tobytes(), pixels.shape)),
    ):
        yield


@pytest.fixture(scope="session", autouse=True)
def nothing_waits_for_the_disk() -> Iterator[None]:
    """Leave out what brings a file to the disk itself, in this process: the folder of a test outlives no power cut."""
    with mock.patch.object(os, "fsync", return_value=None):
        yield


@pytest.fixture(scope="session")
def golden() -> Path:
    """Return the folder of the authors' own weights and outputs."""
    return _folder("DRNBENCH_GOLDEN", "golden")


LONGEST = [
    f"tests/{name}.py"
    for name in (
        "execution/test_contract", "studies/test_studies", "execution/test_kill", "execution/test_coordinators",
        "session/test_edited", "execution/test_ray", "execution/test_failures", "session/test_power_cut",
        "session/test_audit_set5", "execution/test_slurm", "test_plugins", "session/test_settings_side_by_side",
        "cli/test_verbs", "tracking/test_server", "execution/test_chaos", "test_site", "search/test_run",
        "session/test_added_seeds", "cli/test_errors", "cli/test_reproduce", "planning/test_adaptive",
        "studies/test_plans", "tracking/test_names", "training/test_prepare", "tracking/test_moved",
        "tracking/test_mirror", "outputs/test_latex", "session/test_damage", "schemes/test_cyclegan_stable",
        "render/test_page", "session/test_frozen_store", "test_notebook", "tracking/test_ui",
    )
]  # fmt: skip
"""Files of half a minute and more, begun first, so that short ones are left for the end."""


def pytest_xdist_auto_num_workers() -> int:
    """Half more processes than cores: on two cores all tests took 28:36 with three processes and 31:03 with two."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return cores + (cores + 1) // 2


def pytest_collection_finish() -> None:
    """All that was imported stays: a collector that looks through it again and again takes a tenth of the fast tests' time."""
    gc.freeze()
    gc.set_threshold(10_000, 10, 10)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    order = {name: rank for rank, name in enumerate(LONGEST)}
    items.sort(key=lambda item: order.get(item.nodeid.partition("::")[0], len(order)))
    variants = Counter[str]()
    for item in items:
        marker = item.get_closest_marker("fast_variants")
        test = item.nodeid.partition("[")[0]
        variants[test] += 1
        if marker and variants[test] > marker.args[0]:
            item.add_marker(pytest.mark.real)
    gpu = [item for item in items if item.get_closest_marker("gpu")]
    if gpu:
        import torch

        if not torch.cuda.is_available():
            for item in gpu:
                item.add_marker(pytest.mark.skip(reason="needs a CUDA device"))
