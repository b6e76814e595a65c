"""The verb `report`."""

from __future__ import annotations

from drnbench.cli.options import RESULTS, ResultsOpt, StudyArg
from drnbench.cli.study_output import print_report
from drnbench.outputs.report import write
from drnbench.store import Store


def command(study: StudyArg, results: ResultsOpt = RESULTS) -> int:
    """Write tables, figures and HTML from the store alone; also while a sweep runs."""
    store = Store(results)
    print_report(write(store, study.stem), store, study.stem, mirrored=False)
    return 0
