"""The page of reference results, from the reports under results/reference."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).resolve().parents[2] / "results" / "reference"
COMMENT = "\n[//]: #"


def reference_results(folder: Path = RESULTS) -> str:
    """Return a section for each report: question, answer, tables, and how it was made; in the order of their dates."""
    summaries = {path.parent: json.loads(path.read_text(encoding="utf-8")) for path in folder.glob("*/*/summary.json")}
    ordered = sorted(summaries.items(), key=lambda item: item[1]["provenance"]["date"])
    return "\n\n".join(_section(report, summary) for report, summary in ordered) or "None is stored yet."


def _section(report: Path, summary: dict[str, Any]) -> str:
    tables = [path.read_text(encoding="utf-8").partition(COMMENT)[0].strip() for path in sorted(report.glob("table_*.md"))]
    answer = "\n".join(f"> {line}" for line in str(summary["headline"]).splitlines())
    return "\n\n".join([
        f"## {summary['study']}", f"*{summary['question']}*", answer, *tables, _made(summary["provenance"]),
    ])  # fmt: skip


def _made(provenance: dict[str, Any]) -> str:
    """Return the command, the time, the machine and the versions of a report, in one paragraph."""
    versions = ", ".join(f"{name} {', '.join(numbers)}" for name, numbers in provenance["versions"].items())
    hours = provenance["training_seconds"] / 3600
    parts = [
        f"Command, in `results/`: `{provenance['command']}`.", f"{provenance['date']}, {'; '.join(provenance['hardware'])};",
        f"{hours:.1f} hours of training in one process; commit {', '.join(provenance['commits'])}; {versions}.",
    ]  # fmt: skip
    return " ".join(parts)
