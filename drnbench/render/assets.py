"""The parts of a page that are not of a study: templates, style and script, which a page holds so that it needs no network."""

from __future__ import annotations

import base64
import functools
import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drnbench.render.table import CaptionedTable, group_runs

if TYPE_CHECKING:
    from jinja2 import Template
    from markupsafe import Markup

FOLDER = Path(__file__).parent / "page"
SCRIPTS = ("dom", "tables", "chart", "viewport", "curves", "tradeoff", "scores", "configurations", "explorer", "main")
"""Files of the script in the order of use; all are one script, whose names no other script of a page can see."""
ESCAPED = {ord(c): f"\\u{ord(c):04x}" for c in "<>&\u2028\u2029"}
"""Characters that may end a block of data, or begin another element, as JSON writes them in a string."""


@functools.cache
def template(name: str) -> Template:
    """Return a template of a page; it escapes every text that is not `Markup`."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(FOLDER), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
        keep_trailing_newline=True,
    )  # fmt: skip
    return environment.get_template(name)


def style() -> Markup:
    """Return the style of every page."""
    from markupsafe import Markup

    return Markup((FOLDER / "page.css").read_text(encoding="utf-8"))  # noqa: S704 - a file of this package


@functools.cache
def script() -> Markup:
    """Return the script of every page."""
    from markupsafe import Markup

    parts = [(FOLDER / f"{name}.js").read_text(encoding="utf-8") for name in SCRIPTS]
    return Markup('\n(() => {\n"use strict";\n' + "\n".join(parts) + "})();\n")  # noqa: S704 - files of this package


def policy() -> str:
    """Return the content security policy of a page: its own style and this script, pictures from it or beside it, no network."""
    digest = base64.b64encode(hashlib.sha256(script().encode()).digest()).decode()
    return f"default-src 'none'; img-src 'self' data: file:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"


def block(content: Any) -> Markup:
    """Return data as JSON for a block of a page, which no text in them can end."""
    from markupsafe import Markup

    return Markup(json.dumps(content, separators=(",", ":"), allow_nan=False).translate(ESCAPED))  # noqa: S704 - escaped


def html_table(table: CaptionedTable) -> str:
    """Return a table as HTML, with caption and notes, as report.html has it; for a notebook."""
    macros: Any = template("macros.html.j2").module
    return str(macros.table_of(table, group_runs(table.columns)))
