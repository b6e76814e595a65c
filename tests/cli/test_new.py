"""`new` writes studies that plan; shipped studies have names; `doctor` names what is missing; `demo` is a whole study."""

import importlib.metadata
import os
import sqlite3

import pytest

import drnbench
from drnbench.cli import demo, main
from drnbench.config.shipped import shipped
from drnbench.errors import DataError
from drnbench.models import on_demand
from drnbench.session import doctor
from drnbench.session.new_study import Answers, text
from drnbench.store import Store
from tests.conftest import REPOSITORY


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_new_study_plans_as_it_is_and_explains_its_fields(here, capsys):
    assert main(["new", "mine"]) == 0
    assert "plan mine.py" in capsys.readouterr().out
    plan = drnbench.plan(here / "mine.py", profile="tiny", results=here / "r")
    assert len(plan.trials) == 7  # three weights with two seeds, and bicubic
    text = (here / "mine.py").read_text(encoding="utf-8")
    assert all(word in text for word in ("# ", "primary=", "margin=", "list methods", "list kernels"))


def test_a_shipped_study_is_copied(here):
    assert main(["new", "copy", "--from", "lambda_sweep"]) == 0
    assert (here / "copy.py").read_bytes() == (REPOSITORY / "studies" / "lambda_sweep.py").read_bytes()


def test_answers_become_the_study(here, monkeypatch, capsys):
    answers = iter(["Does the rate matter?", "edsr", 2, "photos/train", "photos/test", "train.lr", "1e-3, 2e-3", 2])
    monkeypatch.setattr("typer.prompt", lambda *_, **__: next(answers))
    assert main(["new", "asked", "--ask"]) == 0
    assert main(["plan", "asked.py", "--profile", "tiny"]) == 0
    out = capsys.readouterr().out
    assert "Does the rate matter?" in out
    assert "lr=0.002" in out


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["new", "there"], ["there.py is there already", "--force"]),
        (["new", "no/folder/x"], ["no folder"]),
        (["new", ""], ["cannot be called ''"]),
        (["new", "con"], ["cannot be called 'con'"]),
        (["new", "x", "--from", "text.py"], ["--from text.py", "study = Study(...)"]),
        (["new", "x", "--from", "broken.py"], ["--from broken.py", "not a study file"]),
        (["new", "x", "--from", "lamda_sweep"], ["did you mean 'lambda_sweep'"]),
        (["new", "x", "--from", "there", "--ask"], ["--ask and --from"]),
        (["plan", "rho_swep"], ["did you mean 'rho_sweep'", "rho_swep.py"]),
    ],
)
def test_what_cannot_be_written_is_one_line(here, capsys, words, parts):
    for name, content in (("there.py", "x = 1"), ("text.py", "'study = 1'"), ("broken.py", "root:x:0:0")):
        (here / name).write_text(content)
    assert main(words) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert [part for part in parts if part not in err] == []
    assert (here / "there.py").read_text() == "x = 1"


@pytest.mark.parametrize(
    ("axis", "values", "expected"),
    [
        ("train.data.kernel", "bicubic, gaussian:sigma=2.0,noise=5", ["bicubic", "gaussian:sigma=2.0,noise=5"]),
        ("scale", "2, 4", [2, 4]),
        ("train.augment", "true, false", [True, False]),
    ],
)
def test_values_of_an_axis_are_read_as_overrides_are(axis, values, expected):
    assert f"Axis({axis!r}, {expected!r})".replace("'", '"', 2) in text(Answers(axis=axis, values=values))


@pytest.mark.parametrize(
    ("field", "answer"),
    [
        ("values", "1"),
        ("values", "1, Infinity"),
        ("values", "1e400, 2"),
        ("values", "[1, 2], [3]"),
        ("axis", "lam"),
        ("method", 'a"b'),
        ("train", "a\nb"),
        ("test", ""),
    ],
)
def test_answers_that_no_study_can_have_are_refused(here, monkeypatch, capsys, field, answer):
    monkeypatch.setattr("drnbench.cli.new._asked", lambda: Answers(**{field: answer}))
    assert main(["new", "asked", "--ask"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not (here / "asked.py").exists()


def test_studies_are_planned_by_name_from_any_folder(here, capsys):
    assert main(["plan", "lambda_sweep", "--profile", "tiny"]) == 0
    assert "lambda_sweep, profile tiny" in capsys.readouterr().out
    assert main(["list", "studies"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == sorted(shipped())


def test_a_folder_of_the_name_hides_no_shipped_study(here):
    (here / "lambda_sweep").mkdir()
    assert main(["plan", "lambda_sweep", "--profile", "tiny"]) == 0


def test_a_file_comes_before_a_shipped_study_of_its_name(here):
    (here / "lambda_sweep").write_text("nothing")
    assert main(["plan", "lambda_sweep"]) == 2


# --- doctor


def states(store, part):
    return [
        (finding.state, f"{finding.detail} -> {finding.remedy}")
        for finding in doctor.examine(store)
        if finding.part == part
    ]


def test_an_installation_that_works_has_nothing_missing(here, capsys):
    assert main(["doctor"]) == 0
    out = capsys.readouterr().out
    assert "missing" not in out
    assert all(
        part in out
        for part in ("Python", "torch", "torchvision", "lpips", "data sets", "MLflow", "disk", "weights alexnet")
    )


def test_a_missing_torchvision_is_named_with_its_remedy(here, monkeypatch, capsys):
    monkeypatch.setattr(
        on_demand.perceptual, "import_error", lambda package: "No module named 'torchvision'" * (package != "lpips")
    )
    ((state, words),) = states(Store(here / "r"), "torchvision")
    assert state == "missing"
    assert "pip install torchvision" in words
    assert main(["doctor", "--problems"]) == 1
    assert "1 missing" in capsys.readouterr().out


def test_a_package_that_only_lacks_another_one_is_mended_with_that_one(here, monkeypatch):
    monkeypatch.setattr(on_demand.perceptual, "import_error", lambda package: "No module named 'torchvision'")
    for package in ("torchvision", "lpips"):
        ((_, words),) = states(Store(here / "r"), package)
        assert words.partition("-> ")[2].startswith("pip install torchvision")


def test_a_set_that_cannot_be_listed_is_named_without_advice_that_does_not_help(here, monkeypatch):
    def unreadable():
        raise DataError("data/Set5/HR cannot be listed (Permission denied): check its permissions")

    monkeypatch.setattr(doctor, "datasets", unreadable)
    ((state, words),) = states(Store(here / "r"), "data")
    assert (state, words) == ("missing", "data/Set5/HR cannot be listed (Permission denied): check its permissions -> ")


@pytest.mark.parametrize("kind", ["file", "gone", "unreadable"])
def test_a_data_root_that_cannot_be_read_is_named(here, monkeypatch, kind):
    root = here / "data"
    if kind == "file":
        root.write_text("")
    elif kind == "unreadable":
        root.mkdir()
        access = os.access  # the tests may be run by root, who may read everything
        monkeypatch.setattr(os, "access", lambda path, mode: path != root and access(path, mode))
    monkeypatch.setenv("DRNBENCH_DATA", str(root))
    ((state, words),) = states(Store(here / "r"), "data root")
    assert state == "missing"
    assert str(root) in words
    if kind == "unreadable":
        assert states(Store(here / "r"), "data") == states(Store(here / "r"), "data sets") == [], "said once"


def test_a_locked_and_a_damaged_database_are_named(here):
    store = Store(here / "r")
    store.root.mkdir()
    holder = sqlite3.connect(store.root / "mlflow.db", isolation_level=None)
    holder.execute("CREATE TABLE t (x)")
    assert states(store, "MLflow")[0][0] == "ok"
    holder.execute("BEGIN IMMEDIATE")
    ((state, words),) = states(store, "MLflow")
    assert (state, "locked" in words) == ("missing", True)
    holder.close()
    (store.root / "mlflow.db").write_bytes(b"no database at all" * 100)
    ((state, words),) = states(store, "MLflow")
    assert (state, "check --repair" in words) == ("missing", True)


def test_a_package_that_is_gone_is_named(here, monkeypatch):
    version = importlib.metadata.version

    def gone(name):
        if name == "mlflow":
            raise importlib.metadata.PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr(importlib.metadata, "version", gone)
    ((state, words),) = states(Store(here / "r"), "MLflow")
    assert (state, "pip install mlflow" in words) == ("missing", True)


def test_a_full_disk_is_named(here, monkeypatch):
    monkeypatch.setattr(doctor, "free_bytes", lambda folder: 1000)
    ((state, words),) = states(Store(here / "r"), "disk")
    assert state == "missing"
    assert "make room" in words


def test_the_demo_is_a_plan(here, capsys):
    assert main(["plan", demo.STUDY, *(word for override in demo.OVERRIDES for word in ("--set", override))]) == 0
    assert "with train.steps=" in capsys.readouterr().out
