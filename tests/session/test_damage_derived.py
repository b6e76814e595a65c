"""Files that a run derives from sources and results: each is made again where it is not whole, with a line, and no number moves."""

from __future__ import annotations

import shutil
from fractions import Fraction

import av
import numpy as np
import pytest
from PIL import Image

from drnbench.cli import main
from drnbench.outputs import compose
from drnbench.outputs.kernel_weights import panels
from drnbench.results.costs import MEASUREMENT
from drnbench.store import Damaged, Store, read_arrays, renew_json
from drnbench.store.integrity import decode
from drnbench.tracking import mirror
from drnbench.tracking.record import database_fault, default_uri
from tests.session import inline
from tests.session.damages import DAMAGES, hurt, run, summary
from tests.session.inline import Inline
from tests.tracking import stores

pytestmark = pytest.mark.filterwarnings("always::drnbench.errors.DamageWarning")

STUDY = '''"""Does one more step of each fit help?"""
from drnbench import Axis, Evaluate, Study, Table, Trial
sizes = {{"n_layers": 2, "n_feats": 4, "patch": 8}}
study = Study(
    base=Trial(method="zssr", model={{"steps": 1, **sizes}}, scale=2,
               evaluate=[Evaluate({clip!r}), Evaluate({hr!r}, lr={lr!r})]),
    axes=[Axis("model.steps", [1, 2])], seeds=1, baseline={{"model.steps": 1}}, outputs=[Table(rows="model.steps")])
'''
MEASURED = {
    "latency_ms": 12.5, "memory_mib": 34.0, "activations": 5_000_000, "batch": 1, "lr_size": [96, 96], "precision": "fp32",
    "threads": 1, "device": "cpu", "hardware": "Example CPU", "torch": "2.14.1", "date": "2026-11-26T09:00:00+00:00",
    "running_units": 0, "busy_cores": 0.1,
}  # fmt: skip
FITS = "trials/*/fits/*.npz"
PATTERNS = (
    "cache/alignments.json", "cache/impulses/*.npz", "cache/pixels/*/*.npy", "cache/frames/*/frames.json",
    "cache/frames/*/*.png", FITS, "trials/*/latency.json",
)  # fmt: skip
RESCORED = (FITS, "cache/pixels/*/*.npy")
REPORTED = ("cache/impulses/*.npz", "trials/*/latency.json")
LASTING = ("trials/*/latency.json",)
"""Files that no run makes again."""
MIRROR = ("mlflow.db", "*/quick/mirror.json")


def _sources(folder):
    """Write HR and LR images and a video of two frames."""
    for name, side in (("hr", 32), ("lr", 16)):
        (folder / name).mkdir()
        for number in range(2):
            rows, columns = np.mgrid[:32, :32] / 31
            waves = np.stack([np.sin(3 * rows + number), np.cos(4 * columns), np.sin(5 * rows * columns)], 2)
            picture = Image.fromarray((127 + 100 * waves).astype(np.uint8))
            picture.resize((side, side), Image.Resampling.BICUBIC).save(folder / name / f"{number}.png")
    with av.open(str(folder / "clip.mp4"), "w") as container:
        stream = container.add_stream("mpeg4", rate=12)
        stream.width, stream.height, stream.time_base = 32, 32, Fraction(1, 12)
        for number in range(4):
            pixels = np.tile(np.arange(32, dtype=np.uint8)[:, None, None] * (number + 3), (1, 32, 3))
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 12)
            container.mux(stream.encode(frame.reformat(format="yuv420p")))
        container.mux(stream.encode())


def _kernels_alone(study, shown):
    """Compute what the figure of kernels shows; drawing takes longer than all of the rest."""
    del shown
    panels(study.scores, study.store)
    return []


@pytest.fixture(scope="module", autouse=True)
def _inline():
    with inline.available(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(compose, "figures", _kernels_alone)
        patch.setenv("DRNBENCH_PACK_MB", "0")  # decoded images are kept in the cache
        patch.setattr(mirror, "_create", lambda path: path.write_bytes(stores.empty_database()))
        yield


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    _sources(folder)
    names = {"clip": f"{folder / 'clip.mp4'}@2", "hr": str(folder / "hr"), "lr": str(folder / "lr")}
    (folder / "m.py").write_text(STUDY.format(**names), encoding="utf-8")
    assert run(folder / "m.py", folder / "results") == 0
    for trial in (folder / "results").glob("trials/*"):
        renew_json(trial / MEASUREMENT, MEASURED)
    assert main(["report", str(folder / "m.py"), "--results", str(folder / "results")]) == 0
    assert all(list((folder / "results").glob(pattern)) for pattern in PATTERNS)
    return folder / "m.py", folder / "results"


def says_the_same(path, before):
    """Return True if the flipped bit is one that no reader looks at, such as a date in an archive."""
    try:
        if path.suffix == ".npz":
            return bool(read_arrays(path))
        if path.suffix == ".db":
            return path.exists() and database_fault(path) is None
        return path.suffix == ".json" and decode(path.read_bytes()) == decode(before)
    except (Damaged, FileNotFoundError):
        return False


def check_case(whole, folder, capsys, pattern, damage):
    study, store = whole[0], shutil.copytree(whole[1], folder / "results")
    path = min(store.glob(pattern))
    before = path.read_bytes()
    hurt(store, pattern, damage)
    same = says_the_same(path, before)
    if pattern in RESCORED:  # it is read where a trial is scored again
        min(store.glob("trials/*/fits")).with_name("per_image.parquet").unlink()
    fits = {file: file.stat().st_ino for file in store.glob(FITS) if file != path}
    main(["check", "--results", str(store)])
    listed = capsys.readouterr().out
    if pattern in REPORTED:
        assert main(["report", str(study), "--results", str(store)]) == 0
    assert run(study, store) == 0
    assert summary(store) == summary(whole[1])
    assert len(Inline.ran) == (pattern in RESCORED)
    assert {file: file.stat().st_ino for file in fits} == fits  # what is whole is not fitted again
    output = capsys.readouterr()
    assert "Traceback" not in output.out + output.err
    if damage != "deleted" and not same:
        assert str(path) in listed
        assert str(path) in output.err
    if pattern not in LASTING:
        assert main(["check", "--results", str(store)]) == 0


@pytest.mark.fast_variants(2)
@pytest.mark.parametrize(("number", "pattern"), list(enumerate(PATTERNS)))
def test_a_derived_file_that_is_not_whole_is_named_and_moves_no_number(whole, tmp_path, capsys, number, pattern):
    check_case(whole, tmp_path, capsys, pattern, list(DAMAGES)[number % len(DAMAGES)])


@pytest.mark.real
@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("pattern", PATTERNS)
def test_every_derived_file_with_every_damage(whole, tmp_path, capsys, pattern, damage):
    check_case(whole, tmp_path, capsys, pattern, damage)


@pytest.fixture(scope="module")
def mirrored(whole, tmp_path_factory):
    store = shutil.copytree(whole[1], tmp_path_factory.mktemp("mirrored") / "results")
    assert run(whole[0], store, tracking=default_uri(Store(store))) == 0
    return store


def _close_connections():
    """Close MLflow's connections, as the end of a process does: they hold a file, not its name."""
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    for engine in SqlAlchemyStore._engine_map.values():
        engine.dispose()


@pytest.mark.real
@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("pattern", MIRROR)
def test_a_mirror_that_is_not_whole_is_built_again(whole, mirrored, capsys, pattern, damage):
    # In its place, since that of a copied store counts as moved; each case leaves it whole for the next.
    path, uri = min(mirrored.glob(pattern)), default_uri(Store(mirrored))
    before = path.read_bytes()
    shown = sorted(run.info.run_name for run in stores.runs(uri, "m"))
    _close_connections()
    hurt(mirrored, pattern, damage)
    same = says_the_same(path, before)
    assert run(whole[0], mirrored, tracking=uri) == 0
    assert Inline.ran == []
    assert summary(mirrored) == summary(whole[1])
    output = capsys.readouterr()
    assert "Traceback" not in output.out + output.err
    if not same and (path.name == "mlflow.db" or damage != "deleted"):
        assert str(path) in output.err
    _close_connections()
    assert same or sorted(run.info.run_name for run in stores.runs(uri, "m")) == shown
    assert main(["check", "--results", str(mirrored)]) == 0
