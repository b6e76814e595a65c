"""Names that are written to run code in LaTeX or in a browser: nothing of them is executed, and no line is broken."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drnbench.config.study import Axis
from drnbench.outputs import report
from drnbench.render import assets, latex, latex_text, paper
from drnbench.render.table import CaptionedTable
from drnbench.store import Store
from tests.fake_store import fill, plan_of
from tests.outputs.conftest import gain, rho_study

pytestmark = pytest.mark.usefixtures("unrendered")

HOSTILE = [
    "set\n\\input{/etc/passwd}", "}\\input{/etc/passwd}%", "a^^M\\write18{id}", "a\u2028\\input{x}\u2029\x85\\input{x}\r\\input{x}",
    "<script>alert(1)</script>", "\"><img src=x onerror='alert(1)'>", "javascript:alert(1)", "{{ 7 * 7 }}{% raw %}",
    "\x00\x1b[2J\x7f", "\U0001f680 中文 a\u0301", "--> ]]> */ `", "%s %(x)s {0} \\",
]  # fmt: skip
LINE_ENDS = re.compile("[\r\v\f\x00-\x08\x1b-\x1f\x7f\x85\u2028\u2029]")
COMMANDS = {"input", "write", "include", "openin", "read", "catcode", "def", "immediate", "csname", "InputIfFileExists"}


class Page(HTMLParser):
    """Collects elements, attributes and the content of scripts."""

    def __init__(self) -> None:
        super().__init__()
        self.elements: set[str] = set()
        self.attributes: list[tuple[str, str]] = []
        self.scripts: list[str] = []
        self.blocks: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.add(tag)
        if tag == "script":
            (self.blocks if dict(attrs).get("type") == "application/json" else self.scripts).append("")
            self._content = self.blocks if dict(attrs).get("type") == "application/json" else self.scripts
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        if self.lasttag == "script":
            self._content[-1] += data

    def handle_endtag(self, tag: str) -> None:
        self.lasttag = ""


def check_tex(text: str) -> None:
    for line in text.split("\n"):
        assert not LINE_ENDS.search(line), line
        code = re.sub(r"(?<!\\)((?:\\\\)*)%.*", r"\1", line)
        assert not COMMANDS & set(re.findall(r"\\([A-Za-z]+)", code)), line
        assert "^^" not in code


def _without_own_commands(path: Path) -> str:
    """The text of a .tex file without what paper.tex defines itself, and without the files beside it that it includes."""
    text = path.read_bytes().decode()
    if path.name == "paper.tex":
        text = text.replace(paper.INCLUDE, "", 1).replace(paper.OTHER_SCRIPTS, "", 1)
        for part in [path.parent / "macros.tex", *path.parent.glob("table_*.tex")]:
            text = text.replace(f"\\input{{{part.stem}}}\n", "", 1)
    return text


def check_html(text: str) -> None:
    page = Page()
    page.feed(text)
    assert page.scripts == [assets.script()], "the script of this package, and no other"
    assert all(isinstance(json.loads(block), dict) for block in page.blocks)
    assert not page.elements & {"iframe", "object", "embed", "svg", "base", "form", "link"}
    for name, value in page.attributes:
        assert not name.startswith("on")
        assert name not in {"href", "src"} or not re.match(r"\s*(javascript|vbscript|data:text)", value, re.IGNORECASE)


@pytest.mark.fast_variants(2)
@pytest.mark.parametrize("hostile", HOSTILE)
def test_no_file_of_a_report_executes_a_name(tmp_path: Path, hostile: str) -> None:
    study = rho_study(
        arms={hostile: {"adapt.scheme": "paired", "adapt.data.kernel": "bd"}}, control=hostile,
        axes=[Axis("adapt.rho", [0, 0.5], label=hostile)], allow_overlap=hostile,
    )  # fmt: skip
    store = Store(tmp_path)
    fill(store, plan_of(study, "unpaired"), gain)
    for path in report.write(store, "unpaired").files:
        if path.suffix == ".tex":
            check_tex(_without_own_commands(path))
        elif path.suffix == ".html":
            check_html(path.read_text(encoding="utf-8"))
        elif path.suffix == ".md":
            assert "<script" not in path.read_text(encoding="utf-8")


@given(st.text() | st.sampled_from(HOSTILE))
def test_comments_and_labels_of_any_text(text: str) -> None:
    check_tex(latex.comment([text, text]))
    assert latex.comment([text]).count("\n") == 1
    check_tex(latex_text.escape(text))
    assert re.fullmatch(r"[A-Za-z0-9_.:+-]*", latex_text.label(text))


@given(st.text(), st.text())
def test_labels_of_two_names_differ(first: str, second: str) -> None:
    assert (latex_text.label(first) == latex_text.label(second)) == (first == second)


@pytest.mark.parametrize("hostile", HOSTILE)
def test_captions_heads_cells_and_labels_of_a_table(hostile: str) -> None:
    check_tex(latex.render(CaptionedTable.plain("t", hostile, ["arm", hostile], [[hostile, "1"]]), hostile))
