"""Scores of a study: its arms, what each is scored on, and which arm is compared to which."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from drnbench.config.study import Axis, Study
from drnbench.config.trial import Evaluate
from drnbench.results import labels, layout, reading, summary
from drnbench.results.scores import Condition, Scores
from drnbench.store import Store, read_json, write_json
from tests.fake_store import base, fill, plan_of
from tests.outputs.conftest import rho_study
from tests.outputs.shapes import SKEWED, adapt_study, dual_study, gap_study


def scores_of(store: Store, study: Study, **options: Any) -> Scores:
    fill(store, plan_of(study, "study"), lambda arm, kernel: 0.0, **options)
    return reading.read(store, "study")


@pytest.mark.parametrize(
    ("spec", "label"),
    [
        ("bd", "bd"), ("gaussian:sigma=2.0", "gaussian σ=2"), (SKEWED, "anisotropic 3×1, 45°"),
        ("bicubic:noise=10", "bicubic, noise 10"), ("bicubic:jpeg=40,noise=2.5", "bicubic, JPEG 40, noise 2.5"),
        ("bicubic:border=replicate", "bicubic, border=replicate"), ("file:path=a/b/k.npy", "file k.npy"),
    ],
)  # fmt: skip
def test_short_labels_of_kernels(spec: str, label: str) -> None:
    assert labels.kernel(spec) == label


def test_a_cell_is_compared_with_the_baseline_in_the_same_cell(store: Store) -> None:
    scores = scores_of(store, dual_study())
    arm = next(a for a in scores.arms if a.has({"network": "L", "loss": "on", "kernel": "skewed", "scale": 4}))
    condition = Condition("photos-test", SKEWED, 4)
    assert arm.conditions == (condition,)
    baseline = scores.baseline_of(arm, condition)
    assert baseline is not None
    assert baseline.values == {**arm.values, "loss": "off"}
    assert scores.baseline_of(baseline, condition) is None
    assert scores.is_baseline(baseline)
    assert scores.baseline_of(arm, Condition("photos-test", "bd", 4)) is None
    bicubic = next(a for a in scores.arms if a.kind == "reference" and a.scale == 4)
    assert len(bicubic.conditions) == 3
    # Two networks have a baseline there, and bicubic interpolation belongs to neither.
    assert scores.baseline_of(bicubic, condition) is None
    assert scores.baseline_label == "loss=off at the same network, kernel and scale"


def test_results_stand_where_an_arm_is_scored_and_nowhere_else(store: Store) -> None:
    scores = scores_of(store, adapt_study())
    results = summary.summarise(scores)
    assert ("adapted, bd", Condition("photos-test", "bd", 4), "psnr_y") in results
    assert ("adapted, bd", Condition("photos-test", SKEWED, 4), "psnr_y") not in results
    # Two cells that share a trial (the source network, scored on two kernels) keep their own rows.
    trials = {t.key for a in scores.arms if a.has({"training": "source"}) for t in a.trials}
    assert len(trials) == 6 or len(trials) == 3
    assert all(r.n_images == 5 for r in results.values() if r.n_seeds and r.metric == "psnr_y")


def test_arms_that_share_a_trial_are_scored_each_on_its_own(store: Store) -> None:
    scores = scores_of(store, dual_study())
    keys = [t.key for a in scores.arms if a.kind == "grid" for t in a.trials]
    assert len(set(keys)) * 3 == len(keys)
    results = summary.summarise(scores)
    assert all(r.n_seeds == 3 for r in results.values() if scores.arm(r.arm).kind == "grid")


def test_axes_that_move_the_conditions(store: Store) -> None:
    scores = scores_of(store, dual_study())
    assert layout.moving(scores) == ["kernel", "scale"]
    assert layout.moved(scores, ["kernel"]) == {"kernel"}
    assert layout.moved(scores, ["kernel", "scale"]) == {"kernel", "scale"}
    assert layout.moved(scores, ["loss"]) == frozenset()


def test_counts_of_images_are_one_condition_and_counted_once(store: Store) -> None:
    scores = scores_of(store, gap_study(), images=40)
    condition = next(p for p in scores.conditions if p.dataset == "photos-train")
    assert scores.sources[condition] == "photos-train"
    bicubic = next(a for a in scores.arms if a.kind == "reference")
    assert scores.tables[bicubic.name, condition, "psnr_y"].shape == (1, 32)
    few = next(a for a in scores.arms if a.values.get("size") == "2")
    assert scores.tables[few.name, condition, "psnr_y"].shape == (3, 2)


def test_counts_within_one_arm_are_two_conditions(store: Store) -> None:
    both = base(evaluate=[Evaluate("photos/test"), Evaluate("photos/test", count=2)])
    scores = scores_of(store, Study(base=both, seeds=1))
    assert [p.dataset for p in scores.conditions] == ["photos-test (all)", "photos-test (first 2)"]


def test_crops_that_differ_between_arms_are_two_conditions(store: Store) -> None:
    axis = Axis("crop", {"whole": {}, "cut": {"evaluate.0.crop": 64}})
    scores = scores_of(store, Study(base=base(evaluate=[Evaluate("photos/test")]), axes=[axis], seeds=1))
    assert [p.dataset for p in scores.conditions] == ["photos-test (whole)", "photos-test (crop 64)"]


def test_a_plan_of_an_earlier_version_is_read(store: Store, tmp_path: Path) -> None:
    fill(store, plan_of(rho_study()), lambda arm, kernel: 0.0)
    path = store.study("unpaired/quick") / "plan.json"
    plan = read_json(path)
    write_json(path, {k: v for k, v in plan.items() if k not in {"baseline_values", "control_values", "subject"}})
    scores = reading.read(store, "unpaired")
    assert scores.compared_on == {"adapt.rho": 0}
