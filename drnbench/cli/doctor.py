"""The verb `doctor`."""

from __future__ import annotations

from typing import Annotated

from typer import Option

from drnbench.cli.options import RESULTS, DataRootOpt, ResultsOpt, use_data_roots
from drnbench.session.doctor import examine
from drnbench.store import Store


def command(
    results: ResultsOpt = RESULTS,
    data_root: DataRootOpt = None,
    all_parts: Annotated[bool, Option("--all/--problems", help="every part, or only what is missing")] = True,
) -> int:
    """Examine this installation: what works, what is missing, and the command that gets it."""
    use_data_roots(data_root)
    findings = examine(Store(results))
    missing = [finding for finding in findings if finding.state == "missing"]
    shown = findings if all_parts else missing
    width = max((len(finding.part) for finding in shown), default=0)
    for finding in shown:
        print(f"{finding.state:<7}  {finding.part:<{width}}  {finding.detail}")
        if finding.remedy:
            print(f"{'':<7}  {'':<{width}}  -> {finding.remedy}")
    print(f"{len(missing)} missing" if missing else "everything that a study needs is here")
    return 1 if missing else 0
