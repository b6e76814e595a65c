"""What `run` and `report` print of a report."""

from __future__ import annotations

from pathlib import Path

import typer

from drnbench.outputs.stored_report import Report
from drnbench.store import Store


def print_report(report: Report, store: Store, *, mirrored: bool) -> None:
    """Print settings, headline, first table and files; `mirrored`: the store's own MLflow database shows the runs."""
    for warning in report.warnings:
        print(f"warning: {warning}")
    # Bold and underlined on a terminal alone.
    typer.echo(f"\n{report.settings}\n{report.headline}\n\n{report.table}\n")
    print(f"files in {report.files[0].parent}:")
    print("  " + "  ".join(sorted(path.name for path in report.files)))
    if mirrored:
        where = "" if store.root == Path("results").absolute() else f" --results {store.root}"
        print(f"runs side by side: python -m drnbench ui{where}")
