"""The verbs as a user calls them."""

import importlib
import json
import subprocess
import sys

import pytest

from drnbench.cli import app, main
from drnbench.config.shipped import shipped
from drnbench.session import running
from tests.helpers import call, command, write_study

VERBS = (
    "run", "plan", "report", "list", "show", "clean", "reproduce", "evaluate", "score", "degrade", "export", "sync", "ui",
    "audit", "bench", "data",
)  # fmt: skip


def test_help_imports_nothing_heavy():
    code = (
        "import sys; from drnbench.cli import main; main(['--help']); "
        "print([m for m in ('torch', 'mlflow', 'pandas', 'matplotlib', 'numpy', 'scipy', 'skimage') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip().endswith("[]")
    for verb in VERBS:
        assert f"\n  {verb} " in out


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_with_an_example(verb, capsys):
    assert main([verb, "--help"]) == 0
    assert f"Example: python -m drnbench {verb}" in " ".join(capsys.readouterr().out.split())


def test_list_shows_everything(capsys):
    assert main(["list"]) == 0
    out = capsys.readouterr().out
    for word in (
        "drn-s",
        "drn-l",
        "no-dual",
        "bicubic",
        "paired",
        "unpaired",
        "supervised",
        "nearest",
        "bd",
        "psnr_y",
        "photos/test",
    ):
        assert f"  {word} " in out, word


def test_list_studies_names_those_of_the_folder_beside_the_shipped_ones(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "studies").mkdir()
    write_study(tmp_path / "studies")
    assert main(["list", "studies"]) == 0
    names = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert names == [*sorted(shipped()), "studies/mini.py"]


@pytest.mark.real
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_processor_that_emulates_bf16_is_noted(tmp_path, monkeypatch, capsys, precision):
    monkeypatch.setattr(running, "computes_bf16", lambda: False)
    study, words = (
        write_study(tmp_path),
        ["--set", f"*.precision={precision}", "--set", "*.steps=1", "--tracking-uri", "off"],
    )
    assert main(["run", str(study), "--results", str(tmp_path / "r"), "--jobs", "1", *words]) == 0
    assert ("neither AVX-512 BF16 nor AMX" in capsys.readouterr().out) == (precision == "bf16")


def test_compilation_without_a_compiler_is_refused_by_the_plan(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("CXX", str(tmp_path / "none"))
    words = ["plan", str(write_study(tmp_path)), "--results", str(tmp_path / "r")]
    assert main([*words, "--set", "*.compile=true"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "pretrain.compile" in line
    assert "g++" in line
    assert main(words) == 0


@pytest.mark.parametrize(
    ("seeds", "words"), [(1, "one seed: no difference is tested"), (2, "two seeds: nothing is starred")]
)
def test_plan_says_what_few_seeds_cannot_show(tmp_path, capsys, seeds, words):
    assert main(["plan", str(write_study(tmp_path)), "--results", str(tmp_path / "r"), "--seeds", str(seeds)]) == 0
    assert capsys.readouterr().out.count(f"note: {words}; --seeds 3") == 1


def test_plan_says_nothing_of_seeds_that_are_enough(tmp_path, capsys):
    assert main(["plan", str(write_study(tmp_path)), "--results", str(tmp_path / "r"), "--seeds", "3"]) == 0
    assert "note:" not in capsys.readouterr().out


def test_plan_runs_nothing(tmp_path, capsys):
    study = write_study(tmp_path)
    assert main(["plan", str(study), "--results", str(tmp_path / "r")]) == 0
    out = capsys.readouterr().out
    assert "4 trials: 0 done, 4 to run; 4 stages, 4 to train, 2 shared" in out
    assert "unknown" in out
    assert not (tmp_path / "r" / "stages").exists()


@pytest.mark.real
def test_run_from_study_file_to_table_and_mirror(tmp_path):
    study, results = write_study(tmp_path, seeds=2), tmp_path / "r"
    done = call("run", study, "--results", results)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert "| ρ" in done.stdout or "ρ" in done.stdout
    names = {p.name for p in (results / "mini" / "quick").iterdir()}
    assert {"plan.json", "summary.csv", "macros.tex", "report.html"} <= names
    assert any(n.startswith("table_") and n.endswith(".tex") for n in names)
    assert any(n.startswith("figure_") and n.endswith(".pdf") for n in names)
    assert all(
        t["state"] == "done" for t in json.loads((results / "mini" / "quick" / "plan.json").read_text())["trials"]
    )

    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{results / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("mini")
    runs = client.search_runs([experiment.experiment_id])
    children = [r for r in runs if "mlflow.parentRunId" in r.data.tags]
    assert len(children) == 7
    assert len(runs) == 8

    again = call("run", study, "--results", results)
    assert again.returncode == 0
    assert "nothing to train" in again.stdout
    assert len(client.search_runs([experiment.experiment_id])) == 8


@pytest.mark.real
def test_a_tracking_server_that_is_down_costs_a_warning(tmp_path):
    study, results = write_study(tmp_path, rhos=(0.0,)), tmp_path / "r"
    done = call("run", study, "--results", results, "--tracking-uri", "http://127.0.0.1:9")
    assert done.returncode == 0, done.stderr
    assert "warning" in done.stdout
    assert (results / "mini" / "quick" / "report.html").exists()
    assert (
        "3 runs" in call("sync", "--results", results).stdout or "4 runs" in call("sync", "--results", results).stdout
    )


def test_the_module_and_the_script_are_one():
    assert command()[1:] == ["-m", "drnbench"]
    assert call("--help").stdout.startswith("Usage: drnbench ")


def test_ctrl_c_is_one_line(monkeypatch, capsys):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("drnbench.cli.list.KINDS", {"methods": interrupted})
    assert main(["list"]) == 130
    assert capsys.readouterr().err == "interrupted\n"


@pytest.mark.parametrize("verb", [name for name in VERBS if name != "data"])
def test_the_list_of_verbs_says_what_their_own_help_says(verb):
    module = importlib.import_module(f"drnbench.cli.{verb}")
    assert module.command.__doc__.splitlines()[0] == app.VERBS[verb].summary
