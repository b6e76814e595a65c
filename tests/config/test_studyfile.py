"""Study files: modules beside them, names, errors."""

from __future__ import annotations

import sys
from importlib.metadata import EntryPoints, distributions
from types import ModuleType

import pytest

from drnbench import registry
from drnbench.config.studyfile import load
from drnbench.errors import UsageError
from drnbench.outputs import outputs
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


def test_a_file_that_is_no_text_is_refused_by_its_name(tmp_path):
    (tmp_path / "page.png").write_bytes(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR")
    with pytest.raises(UsageError, match=r"page\.png is not a Python file: name a study file"):
        load(tmp_path / "page.png")


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


MODEL = """from drnbench.models import models

STEPS = 3


@models.register("net-beside-the-study", "an example")
def net(scale: int) -> None: ...
"""


def test_a_model_that_only_the_study_registers_is_refused_before_any_work(tmp_path):
    """The processes that train would not know it; said the same however often the file is read."""
    path = write(tmp_path, MODEL)
    for _ in range(2):
        with pytest.raises(
            UsageError, match=r"helper_of_the_study.py registers the model 'net-beside-the-study'.*pip install -e"
        ):
            load(path)
    write(tmp_path)
    path.write_text(MODEL + path.read_text().replace('"""Does it run?"""', ""))
    with pytest.raises(UsageError, match=r"s.py registers the model"):
        load(path)


OUTPUT = """from drnbench.outputs import outputs
from drnbench.outputs.base import Output


@outputs.register("table-beside-the-study")
class Beside(Output):
    summary = "an example"
"""


def test_an_output_that_the_study_registers_is_that_of_the_last_reading(tmp_path):
    path = write(tmp_path)
    path.write_text(OUTPUT + path.read_text().replace('"""Does it run?"""', ""))
    for _ in range(3):  # as in a notebook
        load(path)
        assert "table-beside-the-study" in outputs
    load(write(tmp_path))
    assert "table-beside-the-study" not in outputs


def test_a_plug_in_in_the_folder_of_the_study_is_registered_once_and_is_no_part_of_the_study(tmp_path, monkeypatch):
    path = write(tmp_path, MODEL.replace("net-beside-the-study", "net-of-a-plug-in"), "plug_in_beside_the_study")
    information = tmp_path / "plug_in_beside_the_study-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: plug_in_beside_the_study\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text("[drnbench.models]\nx = plug_in_beside_the_study\n")
    registry.plug_ins.cache_clear()
    monkeypatch.setattr(
        registry,
        "_installed",
        lambda: EntryPoints(point for part in distributions(path=[str(tmp_path)]) for point in part.entry_points),
    )
    try:
        digests = [load(path)[3] for _ in range(2)]
    finally:
        registry.plug_ins.cache_clear()
        list(registry.withdraw({"plug_in_beside_the_study"}, {"model"}))
        sys.modules.pop("plug_in_beside_the_study", None)
    assert [set(files) for files in digests] == [{path}, {path}]
