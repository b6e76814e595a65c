"""Copy what a report is made of from a store into results/reference: `nox -s reference -- STORE STUDY...`.

Scores, histories and costs, the plan and the report; no weights, no picture of a test set, no log. The forest plot is kept for the page.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from drnbench.cli import main
from drnbench.results.plan_record import read_plan
from drnbench.store import Store

ROOT = Path(__file__).resolve().parents[2]
REFERENCE, FIGURES = ROOT / "results" / "reference", ROOT / "docs" / "reference"
UNIT_FILES = {
    "stages": ("unit.json", "stage.json", "status.json", "history.parquet"),
    "trials": ("trial.json", "scores.json", "status.json", "per_image.parquet", "dual_kernel"),
}
PICTURES = (".png", ".html")


def keep(store: Path, study: str, profile: str) -> None:
    """Copy one study and its report, which is written anew."""
    report = Path(study, profile)
    plan = read_plan(Store(store), str(report))
    (REFERENCE / report).mkdir(parents=True, exist_ok=True)
    shutil.copy(store / report / "plan.json", REFERENCE / report)
    for kind, keys in (("stages", plan.stages), ("trials", plan.keys)):
        for key in keys:
            for name in UNIT_FILES[kind]:
                source, target = store / kind / key / name, REFERENCE / kind / key / name
                target.parent.mkdir(parents=True, exist_ok=True)
                if source.is_dir():
                    shutil.copytree(source, target, dirs_exist_ok=True)
                elif source.exists():
                    shutil.copy(source, target)
    if main(["report", study, "--profile", profile, "--results", str(REFERENCE)]):
        raise SystemExit(1)
    FIGURES.mkdir(exist_ok=True)
    shutil.move(REFERENCE / report / "figure_forest_psnr_y.png", FIGURES / f"{study}.png")
    for file in (REFERENCE / report).rglob("*"):
        if file.suffix in PICTURES:
            file.unlink()


if __name__ == "__main__":
    for name in sys.argv[2:]:
        keep(Path(sys.argv[1]), name, "workstation")
