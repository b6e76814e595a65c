"""The tables and macros of three studies as files, so that a change of what a paper includes is seen as such.

`pytest tests/outputs/test_snapshots.py --update-snapshots` writes them again; read the difference before it is committed.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from drnbench import Table
from drnbench.config.study import Axis, Study
from drnbench.config.trial import Evaluate
from drnbench.outputs import report
from drnbench.store import Store
from tests.fake_store import base, fill, plan_of
from tests.outputs.conftest import gain, rho_study
from tests.outputs.shapes import LOSS, NETWORKS, dual_study, gap_study

pytestmark = pytest.mark.usefixtures("unrendered")

SNAPSHOTS = Path(__file__).parent / "snapshots"


def ablation() -> Study:
    """Dual regression off and on in two networks, with costs."""
    return dual_study(
        axes=[Axis("network", NETWORKS), Axis("loss", LOSS)],
        outputs=[Table(rows="loss", costs=("parameters", "seconds"))],
    )


def sweep() -> Study:
    """A sweep with a positive control, on one kernel."""
    return rho_study(base=base(evaluate=[Evaluate("photos/test", kernel="bd")]))


def gap() -> Study:
    """Training against test images, at two sizes of the training set."""
    sizes = {str(n): {"train.data.count": n, "evaluate.1.count": n} for n in (2, 32)}
    return gap_study(axes=[Axis("size", sizes, label="images"), gap_study().axes[1]])


STUDIES: dict[str, Callable[[], Study]] = {"sweep": sweep, "ablation": ablation, "gap": gap}


@pytest.mark.parametrize("name", STUDIES)
def test_tables_and_macros(store: Store, name: str, request: pytest.FixtureRequest) -> None:
    effect = gain if name == "sweep" else lambda arm, kernel: 0.2 * (arm.values.get("loss") == "on")
    store = Store(store.root / "results")  # a name that is stated
    fill(store, plan_of(STUDIES[name](), name), effect, costs=name == "ablation", images=32)
    report.write(store, name)
    written = {file.name: file.read_text(encoding="utf-8") for file in store.study(f"{name}/quick").glob("*.[mt][de]*")}
    if request.config.getoption("update_snapshots"):
        shutil.rmtree(SNAPSHOTS / name, ignore_errors=True)
        (SNAPSHOTS / name).mkdir(parents=True)
        for file, text in written.items():
            (SNAPSHOTS / name / file).write_text(text, encoding="utf-8")
    stored = {file.name: file.read_text(encoding="utf-8") for file in (SNAPSHOTS / name).iterdir()}
    assert written.keys() == stored.keys()
    for file, text in written.items():
        assert text == stored[file], f"{file}; --update-snapshots takes it over where that is what is wanted"
