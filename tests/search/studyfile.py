"""A study with a search whose trials train in a second."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from drnbench import Table
from drnbench.config.study import Study
from drnbench.config.trial import Data, Evaluate, Stage, Trial
from drnbench.search import Float, Maximise, Search, Steps

TEXT = '''"""Which λ and ρ are best here?"""

from drnbench import Data, Evaluate, Stage, Study, Table, Trial
from drnbench.search import Choice, Float, Int, Maximise, Median, Minimise, Search, Steps, Wilcoxon

small = {{"batch": 2, "patch": 32, "validations": 2}}
pretrain = Stage("pretrain", scheme="paired", data=Data("photos/train", crop=96), steps={steps}, lr=1e-3, **small)
adapt = Stage("adapt", scheme="unpaired", rho=0.5, data=Data("photos/train", crop=96),
              unpaired=Data("photos/unpaired", kernel="bd", crop=96), steps={steps}, lr=1e-3, **small)
study = Study(
    base=Trial(method="drn", model={{"n_blocks": 1, "n_feats": 2}}, scale=2, stages=[pretrain, adapt],
               evaluate=[Evaluate("photos/test", kernel="bd", crop=48)]),
    search=Search({search}),
    baseline={baseline}, outputs=[Table(rows="search")],
)
'''
SEARCH = (
    'space={"adapt.lam": Float(0.01, 1, log=True), "adapt.rho": Steps(0.1, 0.9, 0.1)}, '
    'objectives=[Maximise("val_psnr_y", kernel="bd")], trials=3, seeds=1, fresh_seeds=2, startup=2'
)


def write(
    folder: Path,
    *,
    search: str = SEARCH,
    steps: int = 3,
    baseline: str = '{"adapt.lam": 0.1, "adapt.rho": 0.5}',
    name: str = "mini",
) -> Path:
    """Write the study file."""
    path = folder / f"{name}.py"
    path.write_text(TEXT.format(search=search, steps=steps, baseline=baseline), encoding="utf-8")
    return path


def study(search: dict[str, Any] | None = None, **fields: Any) -> Study:
    """The same study, as an object."""
    small: dict[str, Any] = {
        "batch": 2,
        "patch": 32,
        "validations": 2,
        "steps": 4,
        "data": Data("photos/train", crop=96),
    }
    unpaired = Data("photos/unpaired", kernel="bd", crop=96)
    wanted: dict[str, Any] = {
        "space": {"adapt.lam": Float(0.01, 1, log=True), "adapt.rho": Steps(0.1, 0.9, 0.1)},
        "objectives": [Maximise("val_psnr_y", kernel="bd")], "trials": 6, "seeds": 2, "fresh_seeds": 3, "startup": 3,
    }  # fmt: skip
    base = Trial(
        method="drn", model={"n_blocks": 1, "n_feats": 2}, scale=2,
        stages=[Stage("pretrain", scheme="paired", **small), Stage("adapt", scheme="unpaired", rho=0.5, unpaired=unpaired, **small)],
        evaluate=[Evaluate("photos/test", kernel="bd", crop=48)],
    )  # fmt: skip
    sought = Search(**{**wanted, **(search or {})})
    baseline = {path: value for path, value in {"adapt.lam": 0.1, "adapt.rho": 0.5}.items() if path in sought.space}
    made: dict[str, Any] = {"base": base, "search": sought, "baseline": baseline, "outputs": [Table(rows="search")]}
    return Study(**{**made, **fields})
