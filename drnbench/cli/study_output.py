"""What `run` and `report` print of a report."""

from __future__ import annotations

import os
import re
import shutil
import sys
import textwrap
import webbrowser
from pathlib import Path

from drnbench.outputs.stored_report import Report
from drnbench.results.locations import results_option
from drnbench.store import Store


def print_report(report: Report, store: Store, *, mirrored: bool) -> None:
    """Print settings, headline, first table and files; `mirrored`: the store's own MLflow database shows the runs."""
    for warning in report.warnings:
        print(f"warning: {warning}")
    # Bold and underlined on a terminal alone.
    table = report.table if sys.stdout.isatty() else re.sub(r"\x1b\[\d+m", "", report.table)
    headline = _folded(report.headline) if sys.stdout.isatty() else report.headline  # one line for `grep`
    print(f"\n{report.settings}\n{headline}\n\n{table}\n")
    print(f"files in {report.files[0].parent}:")
    print("  " + "  ".join(sorted(path.name for path in report.files)))
    if mirrored:
        print(f"runs side by side: python -m drnbench ui{results_option(store)}")


def open_page(page: Path) -> None:
    """Show a page in the user's browser; without a display, where browsers of a terminal would take it over, print its path."""
    displays = ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER", "WSL_DISTRO_NAME")
    is_shown = sys.platform in {"darwin", "win32"} or any(map(os.environ.get, displays))
    try:
        is_shown = is_shown and webbrowser.open(page.absolute().as_uri())
    except (OSError, webbrowser.Error):
        is_shown = False
    if not is_shown:
        print(f"no browser here; the page is {page.absolute()}")


def _folded(text: str) -> str:
    """Return text in lines as wide as the terminal, which would break them inside words."""
    width = shutil.get_terminal_size().columns
    return textwrap.fill(text, width, break_long_words=False, break_on_hyphens=False)
