"""The documentation site: generated pages have every field, verb and kernel; code blocks of README, Start and Recipes run."""

import importlib.util
import json
import os
import re
import shutil
import sys
from subprocess import run
from types import SimpleNamespace

import pytest

from drnbench import degradations, outputs
from drnbench.cli import main
from drnbench.cli.app import VERBS
from drnbench.config.shipped import question, shipped
from drnbench.config.study import Study
from drnbench.config.trial import Stage
from drnbench.models import on_demand
from drnbench.outputs import report
from drnbench.store import Store
from tests import site_blocks
from tests.conftest import REPOSITORY
from tests.fake_store import fill, plan_of
from tests.outputs.shapes import adapt_study


def module_of(name):
    """Return a module of docs/_build, which is no package."""
    spec = importlib.util.spec_from_file_location(name, REPOSITORY / "docs" / "_build" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[name]


@pytest.fixture(scope="module")
def reference():
    yield from module_of("reference")


@pytest.fixture(scope="module")
def gallery():
    yield from module_of("gallery")


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


def test_readers_of_the_markdown_are_told_where_a_generated_part_is(reference):
    for page in (REPOSITORY / "docs").glob("*.md"):
        text = page.read_text(encoding="utf-8")
        assert len(re.findall(reference.NOT_ON_GITHUB, text, flags=re.MULTILINE)) == text.count("<!-- generated: "), (
            page
        )


@pytest.mark.real
def test_the_table_of_costs_is_what_the_networks_cost():
    text = (REPOSITORY / "docs" / "weights.md").read_text(encoding="utf-8")
    costs = re.findall(r"^\| (`.+`) \| ([\d,]+) \| ([\d.]+) \| ([\d.]+) \|$", text, flags=re.MULTILINE)
    assert len(costs) == 10
    for names, *numbers in costs:
        for name in set(re.findall(r"`(.+?)`", names)) - {"kernelgan-zssr"}:  # its network is that of zssr
            cost = on_demand.costs.costs(name, 4)
            assert numbers == [f"{cost.parameters:,}", f"{cost.macs / 1e9:.1f}", f"{cost.activations / 1e6:.1f}"], name


def test_the_gallery_shows_every_shipped_study_with_question_command_time_answer_figure_and_report(gallery):
    records = json.loads(gallery.RECORDS.read_text(encoding="utf-8"))
    text = (REPOSITORY / "docs" / "gallery.md").read_text(encoding="utf-8")
    assert text == gallery.page(records), f"out of date: {gallery.COMMAND} -- --page"
    assert records.keys() == shipped().keys()
    entries = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", text, flags=re.MULTILINE | re.DOTALL))
    assert entries.keys() == shipped().keys()
    for study, entry in entries.items():
        record = records[study]
        size = "" if record["profile"] == "quick" else f" --profile {record['profile']}"
        parts = (question(shipped()[study]), f"`drnbench run {study}{size}`: ", record["answer"], record["date"])
        assert [part for part in parts if part not in entry] == []
        assert set(re.findall(r"[(\"](gallery/[^)\"]+)[)\"]", entry)) == {
            f"gallery/{study}.webp",
            f"gallery/{study}.html",
        }


def test_the_gallery_is_small_and_its_pages_load_nothing(gallery):
    files = list(gallery.FOLDER.iterdir())
    assert sum(file.stat().st_size for file in files) < 6 * 2**20
    for page in gallery.FOLDER.glob("*.html"):
        text = page.read_text(encoding="utf-8")
        assert len(re.findall(r"data:image/webp;base64,", text)) >= 1
        assert re.findall(r"data:image/png|(?:src|href)=\"(?!data:|#|http)[^\"]+\.(?:png|webp)", text) == []


@pytest.mark.real
def test_a_study_is_run_and_taken_into_the_gallery_with_the_time_of_its_units(gallery, tmp_path, monkeypatch):
    store, commands = Store(tmp_path / "r"), []
    for name in ("FOLDER", "DOCS"):
        monkeypatch.setattr(gallery, name, tmp_path / "docs")
    monkeypatch.setattr(gallery, "RECORDS", tmp_path / "docs" / "gallery.json")
    monkeypatch.setattr(gallery, "subprocess", SimpleNamespace(run=lambda command, check: commands.append(command)))
    plan = plan_of(adapt_study(), "rho_sweep")
    fill(store, plan, lambda arm, kernel: 0.0, costs=True)
    report.write(store, "rho_sweep")
    gallery.main(["rho_sweep", "--results", str(store.root)])
    assert commands[0][3:7] == ["run", "rho_sweep", "--profile", "quick"]
    record = json.loads(gallery.RECORDS.read_text(encoding="utf-8"))["rho_sweep"]
    assert record["seconds"] > 0
    assert (tmp_path / "docs" / "rho_sweep.webp").read_bytes()[8:12] == b"WEBP"
    assert "data:image/png" not in (tmp_path / "docs" / "rho_sweep.html").read_text(encoding="utf-8")
    assert not (tmp_path / "docs" / "gallery.md").exists(), "the other studies have no entry yet"


def test_every_page_is_in_the_navigation():
    configuration = (REPOSITORY / "mkdocs.yml").read_text(encoding="utf-8")
    pages = {page.name for page in (REPOSITORY / "docs").glob("*.md")}
    assert set(re.findall(r": (\w+\.md)$", configuration, flags=re.MULTILINE)) == pages
    assert "- offline" in configuration
    assert "font: false" in configuration, "nothing is fetched to build or read it"


@pytest.mark.parametrize("page", ["README.md", "docs/start.md", "docs/recipes.md"])
def test_every_code_block_is_executed_or_says_why_not(page):
    for block in site_blocks.blocks(page):
        is_code = block.title or block.language == "python" or block.mark
        lines = [] if is_code else block.text.splitlines()
        assert [line for line in lines if not site_blocks.COMMAND.match(line)] == []
    text = (REPOSITORY / page).read_text(encoding="utf-8")
    assert len(site_blocks.blocks(page)) == text.count("\n```") // 2, "a fence or a mark of another form"


@pytest.mark.real
@pytest.mark.parametrize("page", ["README.md", "docs/start.md"])
def test_code_of_the_page_runs(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    site_blocks.write_files(page, tmp_path)
    site_blocks.execute(page, tmp_path)


@pytest.mark.real
def test_recipes_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    site_blocks.write_files("docs/recipes.md", tmp_path)
    for source, target in (("photos/train", "my/train"), ("photos/more", "my/test"), ("my/test", "my/test_LR_x4")):
        assert main(["degrade", source, target, "--scale", "4", "--kernel", "bicubic"]) == 0
    shutil.copytree("my/test_LR_x4", "frames")
    # In a process of its own, which alone has the package of the recipe.
    code = "import sys, pathlib; from tests.site_blocks import execute; execute(sys.argv[1], pathlib.Path.cwd())"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(REPOSITORY)])}
    command = [sys.executable, "-c", code, "docs/recipes.md"]
    process = run(command, env=environment, capture_output=True, text=True, timeout=600, check=False)
    assert process.returncode == 0, process.stdout[-2000:] + process.stderr[-4000:]
