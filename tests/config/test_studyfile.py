"""Study files: modules beside them, names, errors."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest

from drnbench.config.studyfile import load
from drnbench.errors import UsageError
from drnbench.session.declared import declare

STUDY = '''"""Does it run?"""
from {module} import STEPS
from drnbench import Axis, Data, Evaluate, Stage, Study, Trial

train = Stage("train", data=Data("photos/train"), steps=STEPS)
study = Study(base=Trial(stages=[train], evaluate=[Evaluate("photos/test")]), axes=[Axis("train.batch", [1, 2])])
'''


def write(folder, text="STEPS = 3\n", module="helper_of_the_study", name="s.py"):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{module}.py").write_text(text)
    (folder / name).write_text(STUDY.format(module=module))
    return folder / name


def steps(path):
    return load(path)[0].base.stages[0].steps


def test_a_module_beside_the_file_is_imported_from_any_folder(tmp_path, monkeypatch):
    path = write(tmp_path / "studies")
    search_path = list(sys.path)
    for folder, given in ((tmp_path, "studies/s.py"), (tmp_path / "studies", "s.py"), ("/", path)):
        monkeypatch.chdir(folder)
        assert steps(type(path)(given)) == 3
    assert sys.path == search_path
    assert "helper_of_the_study" not in sys.modules
    assert not (tmp_path / "studies/__pycache__").exists()


def test_modules_of_one_name_do_not_mix_and_changes_are_read(tmp_path):
    first, second = write(tmp_path / "a"), write(tmp_path / "b", "STEPS = 7\n")
    assert [steps(path) for path in (first, second, first)] == [3, 7, 3]
    write(tmp_path / "a", "STEPS = 5\n")
    assert steps(first) == 5


def test_packages_and_names_that_others_have_imported(tmp_path, monkeypatch):
    (tmp_path / "a/parts").mkdir(parents=True)
    (tmp_path / "a/parts/__init__.py").write_text("from parts.sizes import STEPS\n")
    (tmp_path / "a/parts/sizes.py").write_text("STEPS = 9\n")
    (tmp_path / "a/s.py").write_text(STUDY.format(module="parts"))
    other = ModuleType("parts")
    monkeypatch.setitem(sys.modules, "parts", other)
    assert steps(tmp_path / "a/s.py") == 9
    assert sys.modules["parts"] is other
    assert "parts.sizes" not in sys.modules


def test_modules_that_are_no_ordinary_modules_are_left_alone(tmp_path):
    path = write(tmp_path, "import torch\nimport torch._classes\nSTEPS = 4\n")
    assert steps(path) == 4
    assert "torch" in sys.modules


def test_a_module_of_the_standard_library_is_not_replaced(tmp_path):
    import json

    path = write(tmp_path, "import json\nSTEPS = len(json.loads('[1, 2]'))\n")
    (tmp_path / "json.py").write_text("raise ValueError('not this one')\n")
    assert steps(path) == 2
    assert sys.modules["json"] is json


@pytest.mark.parametrize(
    ("text", "line", "message"), [("STEPS = 1 / 0\n", 1, "ZeroDivisionError"), ("\nSTEPS = (\n", 2, "SyntaxError")]
)
def test_an_error_in_a_module_beside_the_file_names_its_line(tmp_path, text, line, message):
    with pytest.raises(UsageError, match=rf"helper_of_the_study\.py:{line}: .*{message}") as caught:
        load(write(tmp_path, text))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "name",
    ["...py", "..a.py", ".py", ".a.py", "-x.py", "stages.py", "Trials.py", "cache.py", "mlartifacts.py", "reference.py",
     "mlflow.db.py", "con.py", "a..py", "a\nb.py", "a\x1b[2Jb.py"],
)  # fmt: skip
def test_a_file_cannot_name_a_report_outside_or_over_the_folders_of_the_store(tmp_path, name):
    with pytest.raises(UsageError, match="cannot be called") as caught:
        declare(write(tmp_path, name=name))
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("name", ["a/b", "..", "../a", "a\\b", "/tmp/a"])
def test_a_program_cannot_either(tmp_path, name):
    study, *_ = load(write(tmp_path))
    with pytest.raises(UsageError, match="cannot be called"):
        declare(study, name=name)
    assert declare(study, name="a b, ρ=0.3").name == "a b, ρ=0.3"
