"""The verb `report`: one study, or every study of a store with an index page, and the page in a browser."""

import webbrowser
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from drnbench.cli import main
from drnbench.store import Status, Store
from tests.fake_store import fill, plan_of
from tests.helpers import PIXEL
from tests.outputs.conftest import gain, rho_study


@pytest.fixture
def store(tmp_path, monkeypatch):
    """Two studies, one of which has a failed trial."""
    monkeypatch.setattr(Figure, "savefig", lambda self, path, **options: Path(path).write_bytes(PIXEL))
    store = Store(tmp_path / "my results")
    fill(store, plan_of(rho_study(outputs=[]), "whole", question="Is <it> so?"), gain)
    plan = plan_of(rho_study(seeds=2, outputs=[]), "broken")
    failed = plan.trials[0]
    fill(store, plan, gain, done=lambda trial: trial is not failed)
    store.write_status(store.trial(failed.unit.key), Status("failed", kind="error", message="out of memory"))
    return store


@pytest.mark.usefixtures("store")
def test_the_index_page_names_every_study_with_its_answer_and_state(store, capsys):
    assert main(["report", "--all", "--results", str(store.root)]) == 0
    assert "2 reports" in capsys.readouterr().out
    page = (store.root / "index.html").read_text(encoding="utf-8")
    assert "Is &lt;it&gt; so?" in page
    assert "1 failed" in page
    for study in ("whole", "broken"):
        assert f'href="{study}/quick/report.html"' in page
        assert (store.study(f"{study}/quick") / "report.html").exists()
    written = (store.study("whole/quick") / "report.html").stat().st_mtime_ns
    assert main(["report", "--all", "--results", str(store.root)]) == 0
    assert (store.study("whole/quick") / "report.html").stat().st_mtime_ns == written, "it was up to date"


def test_a_study_that_cannot_be_read_costs_itself_alone(store, capsys):
    plan = store.study("broken/quick") / "plan.json"
    plan.write_text('{"version": 99}', encoding="utf-8")
    assert main(["report", "--all", "--results", str(store.root)]) == 1
    assert "broken/quick" in capsys.readouterr().err
    page = (store.root / "index.html").read_text(encoding="utf-8")
    assert "newer drnbench" in page
    assert 'href="whole/quick/report.html"' in page


@pytest.mark.real
def test_the_page_opens_in_a_browser_or_its_path_is_printed(store, monkeypatch, capsys):
    opened = []
    monkeypatch.setattr(webbrowser, "open", lambda url: opened.append(url) is None)
    monkeypatch.setenv("BROWSER", "firefox")
    assert main(["report", "whole.py", "--open", "--results", str(store.root)]) == 0
    page = store.study("whole/quick").absolute() / "report.html"
    assert opened == [page.as_uri()]
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER", "WSL_DISTRO_NAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    capsys.readouterr()
    assert main(["report", "--all", "--open", "--results", str(store.root)]) == 0
    assert f"the page is {store.root.absolute() / 'index.html'}" in capsys.readouterr().out
    assert len(opened) == 1


@pytest.mark.parametrize("arguments", [[], ["study.py", "--all"]])
def test_one_study_or_all_of_them(arguments, tmp_path, capsys):
    assert main(["report", *arguments, "--results", str(tmp_path)]) == 2
    assert "--all" in capsys.readouterr().err
