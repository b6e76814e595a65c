"""README, CONTRIBUTING and docs speak of what is there: links, files, modules, verbs and options."""

import ast
import importlib
import re
import shlex

import pytest
import typer

import drnbench
from drnbench.cli.app import VERBS, app
from drnbench.models import methods
from drnbench.schemes import schemes
from tests.conftest import REPOSITORY

PAGES = sorted([*REPOSITORY.glob("*.md"), *REPOSITORY.glob("docs/*.md")])
TEXTS = {page.relative_to(REPOSITORY).as_posix(): page.read_text(encoding="utf-8") for page in PAGES}
pages = pytest.mark.parametrize("page", TEXTS)


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}(?: [^\n]*)?\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)


@pages
def test_links_lead_to_files(page):
    links = [link for link in re.findall(r"\]\(([^)#]+)[^)]*\)", TEXTS[page]) if "://" not in link]
    folder = (REPOSITORY / page).parent
    assert [link for link in links if not (folder / link).exists()] == []


@pytest.mark.parametrize("page", [page for page in TEXTS if page != "CHANGELOG.md"])  # it speaks of what was
def test_files_and_modules_that_are_named_exist(page):
    # Results and what a reader makes are not in the repository.
    paths = re.findall(r"`((?:drnbench|studies|tests|docs)/[\w./*<>-]*)", TEXTS[page])
    assert [path for path in paths if "<" not in path and not list(REPOSITORY.glob(path.rstrip("/")))] == []
    for name in set(re.findall(r"`(drnbench(?:\.\w+)+)`", TEXTS[page])):
        groups = {
            f"drnbench.{kind}" for kind in ("models", "schemes", "kernels", "metrics", "losses", "outputs", "executors")
        }
        if name not in groups:
            assert resolved(name), name


def resolved(name: str) -> object:
    """Return the module, or the attribute of a module, of a dotted name."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError:
        module, _, attribute = name.rpartition(".")
        return getattr(importlib.import_module(module), attribute)


@pages
def test_commands_name_verbs_and_options_that_exist(page):
    group = typer.main.get_group(app)
    commands = re.findall(r"(?:python -m |^)drnbench ([^`\n]*)", TEXTS[page], flags=re.MULTILINE)
    for line in commands:
        words = shlex.split(line.replace("\\|", "|"), comments=True)
        if not words or not words[0].islower():
            continue  # VERB stands for any
        assert words[0] in VERBS, line
        command = group.get_command(None, words[0])
        if hasattr(command, "commands"):
            command = command.commands[words[1]]
        options = {option for parameter in command.params for option in parameter.opts}
        assert {word for word in words if word.startswith("--")} <= options | {"--help"}, line


@pages
def test_python_is_python(page):
    for block in blocks(TEXTS[page], "python"):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("drnbench"):
                module = importlib.import_module(node.module)
                assert all(hasattr(module, alias.name) for alias in node.names), block


def test_package_citation_and_changelog_name_one_version():
    version = re.search(
        r'^version = "(.+)"$', (REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE
    )[1]
    assert f"\nversion: {version}\n" in (REPOSITORY / "CITATION.cff").read_text(encoding="utf-8")
    assert re.search(r"^## (\d.+) - \d{4}-\d\d-\d\d$", TEXTS["CHANGELOG.md"], re.MULTILINE)[1] == version


def test_every_method_and_scheme_states_its_differences_from_its_source():
    headings = " ".join(re.findall(r"^### (.*)$", TEXTS["docs/methods.md"], flags=re.MULTILINE))
    stated = set(re.findall(r"`([\w-]+)`", headings))
    assert {*methods.names(), *schemes.list()} <= stated


@pytest.mark.real
def test_the_example_of_python_compares_arms_that_its_study_has(tmp_path):
    arms = re.search(r'compare\("(.+?)", "(.+?)", image', TEXTS["docs/api.md"])
    study = re.search(r'run\("(\w+)", profile="(\w+)"\)', TEXTS["docs/api.md"])
    assert arms
    assert study
    plan = drnbench.plan(study[1], profile=study[2], results=tmp_path)
    assert {arms[1], arms[2]} <= {trial.arm.name for trial in plan.trials}


@pytest.mark.parametrize("page", [page for page in TEXTS if page.startswith("docs/")])
def test_pages_write_commands_in_one_way(page):
    lines = [
        line for line in TEXTS[page].splitlines() if re.search(r"python -m drnbench|^drnbench .*studies/\w+\.py", line)
    ]
    assert all("`python -m drnbench` is" in line for line in lines), lines
