"""The documentation site: generated pages have every field, verb and kernel; code blocks of README, Start and Recipes run."""

import importlib.util
import re
import sys

import pytest

from drnbench import degradations, outputs
from drnbench.cli.app import VERBS
from drnbench.config.shipped import shipped
from drnbench.config.study import Study
from drnbench.config.trial import Stage
from tests.conftest import REPOSITORY


@pytest.fixture(scope="module")
def reference():
    spec = importlib.util.spec_from_file_location("reference", REPOSITORY / "docs" / "_build" / "reference.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["reference"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["reference"]


def rows(text):
    """Return the cells of all rows of the tables of a page, without their heads."""
    lines = [re.split(r" \| ", line.strip("| ")) for line in text.splitlines() if line.startswith("| ")]
    return [line for line in lines if not {"---", "default", "parameters and defaults"} & set(line)]


def test_the_page_of_the_study_file_has_every_class_and_describes_every_field(reference):
    text = reference.study_fields()
    for model in (Study, Stage):
        assert [name for name in model.model_fields if f"<code>{name}</code>" not in text.replace("&#95;", "_")] == []
    names = [outputs.outputs.get(name).__name__ for name in outputs.outputs.list()]
    assert [name for name in names if f"### {name}\n" not in text] == []
    assert [row for row in rows(text) if not row[-1]] == [], "a field without a description"


def test_types_and_defaults_are_written_as_in_a_study_file(reference):
    cells = {row[0]: row[1:3] for row in rows(reference.fields(Stage))}
    plain = {name: [reference.html.unescape(re.sub("<.*?>", "", cell)) for cell in row] for name, row in cells.items()}
    assert plain["<code>steps</code>"] == ["int ≥ 1", "required"]
    assert plain["<code>rho</code>"] == ["float ≥ 0, ≤ 1", "0.0"]
    assert plain["<code>optimiser</code>"] == ['"adam" or "adamw"', '"adam"']
    assert plain["<code>unpaired</code>"] == ["Data or None", "None"]


@pytest.mark.real
def test_verbs_kernels_and_studies_are_listed_with_what_they_take(reference):
    text = reference.verbs()
    assert [verb for verb in VERBS if f"## {verb}\n" not in text] == []
    assert all(row[-1] for row in rows(text)), "an option without help"
    listed = {row[0] for row in rows(reference.kernels())}
    assert listed == {f"<code>{name}</code>" for name in degradations.kernels.list()}
    assert [name for name in shipped() if name not in reference.studies().replace("&#95;", "_")] == []
    assert reference.kernel_picture().startswith(b"\x89PNG")


def test_every_page_is_in_the_navigation():
    configuration = (REPOSITORY / "mkdocs.yml").read_text(encoding="utf-8")
    pages = {page.name for page in (REPOSITORY / "docs").glob("*.md")}
    assert set(re.findall(r": (\w+\.md)$", configuration, flags=re.MULTILINE)) == pages
    assert "- offline" in configuration
    assert "font: false" in configuration, "nothing is fetched to build or read it"
