"""The page of reference results, from the reports under results/reference."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).resolve().parents[2] / "results" / "reference"
FIGURES = Path(__file__).resolve().parents[1] / "reference"
COMMENT = "\n[//]: #"


def reference_results(folder: Path = RESULTS) -> str:
    """Return a section for each report: question, answer, tables, and how it was made; in the order of their dates."""
    summaries = {path.parent: json.loads(path.read_text(encoding="utf-8")) for path in folder.glob("*/*/summary.json")}
    ordered = sorted(summaries.items(), key=lambda item: item[1]["provenance"]["date"])
    return "\n\n".join(_section(report, summary) for report, summary in ordered) or "None is stored yet."


def _section(report: Path, summary: dict[str, Any]) -> str:
    # Over all test sets; the wide tables of each set and metric are files of the report.
    pooled = [report / "table_pooled.md"] if (report / "table_pooled.md").exists() else sorted(report.glob("table_*.md"))
    tables = [path.read_text(encoding="utf-8").partition(COMMENT)[0].strip() for path in pooled]
    name, folder = report.parent.name, report.relative_to(RESULTS.parents[1])
    figures = [f"![Differences in PSNR-Y of {name}, with 95 % intervals](reference/{name}.png)"] if (FIGURES / f"{name}.png").exists() else []
    answer = "\n".join(f"> {line}" for line in str(summary["headline"]).splitlines())
    return "\n\n".join([
        f"## {summary['study']}", f"*{summary['question']}*", answer, *figures, *tables,
        f"Each test set and metric, costs and per-image scores: `{folder}/`.", _made(summary["provenance"]),
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
