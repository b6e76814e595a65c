"""What `run` and `report` print of a report."""

from __future__ import annotations

import re
import sys

from drnbench.outputs.stored_report import Report
from drnbench.results.locations import results_option
from drnbench.store import Store


def print_report(report: Report, store: Store, *, mirrored: bool) -> None:
    """Print settings, headline, first table and files; `mirrored`: the store's own MLflow database shows the runs."""
    for warning in report.warnings:
        print(f"warning: {warning}")
    # Bold and underlined on a terminal alone.
    table = report.table if sys.stdout.isatty() else re.sub(r"\x1b\[\d+m", "", report.table)
    print(f"\n{report.settings}\n{report.headline}\n\n{table}\n")
    print(f"files in {report.files[0].parent}:")
    print("  " + "  ".join(sorted(path.name for path in report.files)))
    if mirrored:
        print(f"runs side by side: python -m drnbench ui{results_option(store)}")
