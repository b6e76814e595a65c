"""Studies with as little as possible, with gaps and with names of every kind: each form of each table comes out and says so."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest
from rich.cells import cell_len

from drnbench import Table
from drnbench.config.study import Study
from drnbench.outputs import compose
from drnbench.planning import PlannedTrial
from drnbench.render import assets, latex, markdown, paper
from drnbench.store import Status, Store
from tests.fake_store import fill, plan_of
from tests.outputs.conftest import composed, failing, rho_study

NAMES = ("a_b%&#{}<script>", r"$\frac{a$", "中文方法", "x" * 200)
TABLES = [Table(costs=("parameters", "seconds")), Table(layout="paper", costs=("parameters",)), Table(width="column")]


def study(**fields: Any) -> Study:
    return rho_study(**{"outputs": TABLES, "arms": {}, "control": None, **fields})


def infinite(trial: PlannedTrial, rows: pd.DataFrame) -> pd.DataFrame:
    perfect = (trial.arm.name == "ρ=0.3") & (rows["metric"] == "psnr_y") & (rows["kernel"] == "bd")
    return rows.assign(value=rows["value"].where(~perfect, math.inf))


def without_ssim(trial: PlannedTrial, rows: pd.DataFrame) -> pd.DataFrame:
    return rows[rows["metric"] != "ssim_y"] if trial.arm.name == "ρ=0.3" else rows


ALONE = failing("ρ=0.3", seeds=(0, 1, 2))
CASES: dict[str, tuple[Study, dict[str, Any], str]] = {
    "one seed": (study(seeds=1), {}, "one seed|1 seed"),
    "one image": (study(), {"images": 1}, "one test image|1 image"),
    "one arm": (study(axes=[], arms={"alone": {}}, baseline={}), {}, r"\balone\b"),
    "a failed arm": (study(), {"done": lambda trial: not ALONE(trial)}, "failed|diverged"),
    "an infinite PSNR": (study(), {"change": infinite}, "∞"),
    "a metric missing of an arm": (study(), {"change": without_ssim}, "–"),
    "names": (study(arms={name: {"adapt.steps": 21 + n} for n, name in enumerate(NAMES)}), {}, r"\(\w{4}\) is x{200}"),
}


@pytest.mark.parametrize("case", CASES)
def test_every_form_of_every_table_comes_out_and_says_so(store: Store, case: str) -> None:
    declared, options, words = CASES[case]
    plan = plan_of(declared)
    fill(store, plan, costs=True, **options)
    done: Callable[[PlannedTrial], bool] = options.get("done", lambda trial: True)
    for trial in (trial for trial in plan.trials if not done(trial)):
        store.write_status(
            store.stage(trial.stages[-1]), Status("failed", kind="diverged", message="the loss is not finite")
        )
    results, outputs = composed(store)
    tables = compose.tables(results, outputs)
    assert len(tables) >= len(TABLES)
    for table in tables[: len(TABLES)]:
        plain = re.sub(r"\x1b\[\d+m", "", markdown.terminal(table))
        assert max(map(cell_len, plain.splitlines())) <= 80
        text, page, code = markdown.render(table), assets.html_table(table), latex.render(table, "odd")
        assert re.search(words, text), (case, table.name)
        assert text.count("\n|") + text.startswith("|") == len(table.rows) + 2
        assert page.count("<tr") >= len(table.rows) + 1
        assert "<script>" not in page
        assert code.count(r"\begin{tabular}") == code.count(r"\end{tabular}") >= 1
        assert table.frame().shape == (len(table.rows), len(table.columns))
        assert table.to_csv().count("\n") > 1
    document = paper.render(
        "A question?", compose.headline(results, outputs), [(t.name, latex.render(t, "a")) for t in tables], [], "a"
    )
    assert document.rstrip().endswith(r"\end{document}")


def test_names_of_arms_stay_apart_in_every_form(store: Store) -> None:
    fill(store, plan_of(CASES["names"][0]), costs=True)
    table = compose.tables(*composed(store))[0]
    labels = table.frame().iloc[:, 0]
    assert labels.is_unique
    code = latex.render(table, "odd")
    assert r"\drnglyphs{中文方法}{[U+4E2D U+6587 U+65B9 U+6CD5]}" in code
    assert r"\$\textbackslash{}frac\{a\$" in code
    assert r"a\_b\%\&\#\{\}\textless{}script\textgreater{}" in code
