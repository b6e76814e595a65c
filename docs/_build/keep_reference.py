"""Copy what a report is made of from a store into results/reference: `nox -s reference -- STORE STUDY... [--into results/reference/h100]`.

Scores, histories and costs, the plan and the report; no weights, no picture of a test set, no log. The forest plot is kept for the page.
"""

from __future__ import annotations

import argparse
import shutil
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


def keep(store: Path, study: str, profile: str, into: Path) -> None:
    """Copy one study and its report, which is written anew; the forest plot goes to the documentation from `REFERENCE` itself."""
    report = Path(study, profile)
    plan = read_plan(Store(store), str(report))
    (into / report).mkdir(parents=True, exist_ok=True)
    shutil.copy(store / report / "plan.json", into / report)
    for kind, keys in (("stages", plan.stages), ("trials", plan.keys)):
        for key in keys:
            for name in UNIT_FILES[kind]:
                source, target = store / kind / key / name, into / kind / key / name
                target.parent.mkdir(parents=True, exist_ok=True)
                if source.is_dir():
                    shutil.copytree(source, target, dirs_exist_ok=True)
                elif source.exists():
                    shutil.copy(source, target)
    if main(["report", study, "--profile", profile, "--results", str(into)]):
        raise SystemExit(1)
    if into == REFERENCE:
        FIGURES.mkdir(exist_ok=True)
        shutil.move(into / report / "figure_forest_psnr_y.png", FIGURES / f"{study}.png")
    for file in (into / report).rglob("*"):
        if file.suffix in PICTURES:
            file.unlink()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("store", type=Path)
    parser.add_argument("studies", nargs="+", metavar="STUDY")
    parser.add_argument("--into", type=Path, default=REFERENCE, help="another store of reports, of other hardware")
    given = parser.parse_args()
    for name in given.studies:
        keep(given.store, name, "workstation", given.into.resolve())
