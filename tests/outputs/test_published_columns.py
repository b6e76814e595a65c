"""Published numbers in tables."""

from __future__ import annotations

import pytest

from drnbench import Table
from drnbench.config.study import Axis, Study
from drnbench.config.trial import Evaluate
from drnbench.outputs import compose
from drnbench.render.table import CaptionedTable
from drnbench.store import Store, read_json, write_json
from tests.fake_store import PRETRAIN, base, fill, plan_of
from tests.outputs.conftest import composed


def first_table(store: Store, name: str) -> CaptionedTable:
    return compose.tables(*composed(store, name))[0]


NETWORKS = {
    "drn-s": {"method": "drn-s"}, "own sizes": {"method": "drn", "model": {"n_feats": 8}},
}  # fmt: skip


def published_study(**fields) -> Study:
    loss = {"off": {"pretrain.scheme": "supervised"}, "on": {"pretrain.scheme": None}}
    wanted = {
        "base": base(stages=[PRETRAIN], evaluate=[Evaluate("Set5"), Evaluate("Set5", kernel="bd")]),
        "axes": [Axis("network", NETWORKS), Axis("loss", loss)],
        "seeds": 2,
        "baseline": {"loss": "off"},
        "outputs": [Table(rows="network", peers=("RCAN",))],
    }
    return Study(**{**wanted, **fields})


def test_published_numbers_stand_beside_ours(store: Store) -> None:
    fill(store, plan_of(published_study(), "p"), lambda arm, kernel: 0.0)
    path = store.study("p/quick") / "plan.json"
    plan = read_json(path)
    plan["outputs"][0]["peers"].append("nobody")  # as of a version that had numbers of it
    write_json(path, plan)
    body = first_table(store, "p")
    at = [n for n, c in enumerate(body.columns) if c.header == "published"]
    assert [body.columns[n].group for n in at] == ["bicubic", "bicubic"]  # none under bd
    assert "PSNR-Y" in body.columns[at[0] - 1].header
    shown = {tuple(e.text for e in row.entries[:2]): row.entries[at[0]].text for row in body.rows}
    assert shown == {
        ("", "bicubic"): "28.42", ("off (baseline)", "drn-s"): "–", ("", "own sizes"): "–", ("on", "drn-s"): "32.68",
        ("", "RCAN"): "32.63",
    } | {("", "own sizes"): "–"}  # fmt: skip
    assert body.rows[-1].rule
    assert "guoyongcs/DRC" in body.notes
    assert "in no test" in body.notes


@pytest.mark.parametrize(
    "evaluate", [Evaluate("Set5", crop=64), Evaluate("Set5", count=2), Evaluate("Set5", kernel="bd")]
)
def test_nothing_is_published_of_another_task(store: Store, evaluate: Evaluate) -> None:
    study = published_study(base=base(stages=[PRETRAIN], evaluate=[evaluate]))
    fill(store, plan_of(study, "p"), lambda arm, kernel: 0.0)
    body = first_table(store, "p")
    assert not [c for c in body.columns if c.header == "published"]
    assert "RCAN" not in [e.text for row in body.rows for e in row.entries]
