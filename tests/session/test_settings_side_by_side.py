"""One study run under three settings: three reports, each naming its own, and three parents in MLflow that equal them."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from statistics import mean

import pandas as pd
import pytest
from mlflow import MlflowClient

import drnbench
from drnbench.store import Store, read_json
from tests.helpers import call, write_study
from tests.tracking.stores import empty_database, runs

pytestmark = pytest.mark.real  # it trains three settings of a study

OPTIONS = {"quick": (), "changed": ("--set", "adapt.steps=5"), "tiny": ("--profile", "tiny")}
SETTINGS = {"quick": "profile quick", "changed": "profile quick with adapt.steps=5", "tiny": "profile tiny"}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """The folders of the three reports, by name, and what each run printed."""
    root = tmp_path_factory.mktemp("settings")
    (root / "results").mkdir()
    (root / "results" / "mlflow.db").write_bytes(empty_database())
    study, reports, printed = write_study(root, seeds=2), {}, {}
    for name, options in OPTIONS.items():
        before = set(root.glob("results/mini/*"))
        done = call("run", study, "--results", root / "results", *options, cwd=root)
        assert done.returncode == 0, done.stderr
        (reports[name],) = set(root.glob("results/mini/*")) - before
        printed[name] = done.stdout
    return reports, printed


def test_each_report_names_its_settings(folders):
    reports, printed = folders
    for name, folder in reports.items():
        others = set(SETTINGS.values()) - {SETTINGS[name]}
        caption = (folder / "table_rho.md").read_text(encoding="utf-8").partition("\n[//]")[0]
        assert f"{SETTINGS[name]}." in caption
        assert f"mini, {SETTINGS[name]}\n" in printed[name]
        for file in ("table_rho.tex", "macros.tex", "report.html", "summary.json"):
            text = (folder / file).read_text(encoding="utf-8")
            assert ("adapt.steps=5" in text or '"adapt.steps": 5' in text) == (name == "changed"), file
            assert not any(f"mini, {other}\n" in text for other in others)
        assert read_json(folder / "plan.json")["overrides"] == ({"adapt.steps": 5} if name == "changed" else {})
    assert "drnOverrides}{adapt.steps=5}" in (reports["changed"] / "macros.tex").read_text(encoding="utf-8")
    assert "adapt.steps=5" in (reports["changed"] / "settings.txt").read_text(encoding="utf-8")
    assert "is replaced" not in "".join(printed.values())


def test_reports_are_told_apart_and_loaded(folders):
    reports, _ = folders
    results = reports["quick"].parent.parent
    with pytest.raises(drnbench.UsageError, match="3 reports"):
        drnbench.load(results, "mini")
    means = [drnbench.load(folder).summary["mean"].iloc[0] for folder in reports.values()]
    assert means[0] != means[1]


def test_group_by_arm_of_each_parent_equals_its_table(folders):
    reports, _ = folders
    store = Store(reports["quick"].parent.parent)
    client = MlflowClient(f"sqlite:///{store.root}/mlflow.db")
    mirrored = runs(f"sqlite:///{store.root}/mlflow.db", "mini")
    parents = {r.data.tags["drnbench.settings"]: r for r in mirrored if r.data.tags["drnbench.kind"] == "study"}
    assert parents.keys() == {folder.name for folder in reports.values()}
    for name, folder in reports.items():
        parent = parents[folder.name]
        assert parent.data.params["overrides"] == ("adapt.steps=5" if name == "changed" else "none")
        query = f"tags.mlflow.parentRunId = '{parent.info.run_id}'"
        children = client.search_runs([parent.info.experiment_id], query, max_results=1000)
        values = defaultdict(list)
        for child in children:
            for metric, value in child.data.metrics.items():
                values[child.data.params["arm"], metric].append(value)
        table = pd.read_csv(folder / "summary.csv")
        assert len({arm for arm, _ in values}) == table["arm"].nunique()
        for row in table.itertuples():
            assert mean(values[row.arm, f"{row.metric}/{row.dataset}/{row.kernel}"]) == pytest.approx(
                row.mean, abs=1e-9
            )


def test_sync_finds_all_of_a_study_and_adds_nothing(folders):
    reports, _ = folders
    done = call("sync", "mini", "--results", reports["quick"].parent.parent)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(" 0 new, 0 new points") == 3
    assert {line.partition(":")[0] for line in done.stdout.splitlines()} == {f"mini/{f.name}" for f in reports.values()}


def test_report_takes_the_settings_and_is_equal_byte_for_byte(folders):
    reports, _ = folders
    for name, folder in reports.items():
        # report.json holds the times of the files that a report was made from; bicubic's are those of the last run.
        files = [path for path in folder.iterdir() if path.is_file() and path.name != "report.json"]
        before = {path: path.read_bytes() for path in files}
        done = call("report", Path("mini.py"), "--results", folder.parent.parent, *OPTIONS[name])
        assert done.returncode == 0, done.stderr
        assert SETTINGS[name] in done.stdout
        assert {path: path.read_bytes() for path in files} == before
    wrong = call("report", Path("mini.py"), "--results", folder.parent.parent, "--set", "adapt.steps=6")
    assert wrong.returncode == 2
    assert all(f"mini/{folder.name}" in wrong.stderr for folder in reports.values())


def test_clean_deletes_nothing_of_any_setting(folders):
    reports, _ = folders
    results = reports["quick"].parent.parent
    before = {path for kind in ("stages", "trials") for path in results.glob(f"{kind}/*/*")}
    done = call("clean", "--results", results, "--unused", "--yes")
    assert done.returncode == 0, done.stderr
    assert {path for kind in ("stages", "trials") for path in results.glob(f"{kind}/*/*")} == before
