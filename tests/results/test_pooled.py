"""Differences pooled over several test sets, and mean ranks over them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from drnbench.config.study import Axis, Study
from drnbench.config.trial import Data, Evaluate
from drnbench.outputs import captions
from drnbench.planning import PlannedTrial
from drnbench.results import reading
from drnbench.results.pooled import pooled, ranks
from drnbench.results.scores import Scores
from drnbench.results.statistics import three_spreads
from drnbench.store import Store
from tests.fake_store import PRETRAIN, base, fill, plan_of

SETS = ("photos/test", "Set5", "photos-frames")
IMAGES = {"photos-test": 4, "Set5": 5, "photos-frames": 3}


def study(*sets: str, **fields: Any) -> Study:
    wanted: dict[str, Any] = {
        "base": base(stages=[PRETRAIN], evaluate=[Evaluate(name, metrics=("psnr_y", "ssim_y")) for name in sets]),
        "axes": [Axis("pretrain.lam", [0.0, 0.1, 0.2, 0.3, 0.4], label="λ")],
        "seeds": 3,
        "baseline": {"pretrain.lam": 0.0},
    }
    return Study(**{**wanted, **fields})


def sized(trial: PlannedTrial, rows: pd.DataFrame) -> pd.DataFrame:
    """Every set has its own number of images, and its own gain of λ = 0.4."""
    number = rows["image"].str.removeprefix("img").astype(int)
    rows = rows[number < rows["dataset"].map(IMAGES)]
    gains = rows["dataset"].map({"photos-test": 1.0, "Set5": 2.0, "photos-frames": 6.0})
    own = np.random.default_rng([trial.trial.seed, *trial.arm.name.encode()]).standard_normal(len(rows))
    return rows.assign(value=rows["value"] + gains * (trial.arm.name == "λ=0.4") + 0.05 * own)


def filled(store: Store, declared: Study) -> Scores:
    fill(store, plan_of(declared), change=sized)
    return reading.read(store, "unpaired")


def test_every_set_counts_alike(store: Store) -> None:
    scores = filled(store, study(*SETS))
    cells = {(cell.arm, cell.setting.metric): cell for cell in pooled(scores) if not scores.arm(cell.arm).seedless}
    assert len(cells) == 4 * 2
    cell = cells["λ=0.4", "psnr_y"]
    tables = [
        scores.tables["λ=0.4", c, "psnr_y"].to_numpy() - scores.tables["λ=0", c, "psnr_y"].to_numpy()
        for c in cell.setting.conditions
    ]
    assert [table.shape for table in tables] == [(3, 4), (3, 5), (3, 3)]
    assert cell.difference.mean == pytest.approx(np.mean([table.mean() for table in tables]))
    assert (cell.difference.seeds, cell.difference.images, cell.difference.won) == (3, 12, 1.0)
    expected = three_spreads(tables, [1 / 3] * 3)
    assert cell.difference.high - cell.difference.mean == pytest.approx(float(expected.half_width()))
    by_seed = np.mean([table.mean(1) for table in tables], axis=0)
    assert cell.difference.p >= stats.ttest_1samp(by_seed, 0).pvalue - 1e-12
    assert all(cell.p_holm >= cell.difference.p for cell in cells.values())
    assert cell.verdict in {"better", ""}
    assert not any(cells[arm, "psnr_y"].verdict for arm in ("λ=0.1", "λ=0.2", "λ=0.3"))


def test_nothing_is_pooled_over_training_images_or_one_set(store: Store, tmp_path: Any) -> None:
    allowed = {"allow_overlap": "training images are scored beside test images"}
    assert pooled(filled(store, study("Set5", "photos/train", **allowed))) == []
    assert pooled(filled(Store(tmp_path / "one"), study("Set5"))) == []


@pytest.mark.parametrize(
    ("sets", "kept"),
    [
        (("photos/test", "Set5 without img00", "photos-frames"), 2),
        (("photos/test", "photos-frames"), 0),
        (("photos-frames", "Set5"), 0),
    ],
)
def test_a_set_that_is_trained_on_by_permission_is_not_pooled_and_captions_say_so(
    store: Store, sets: tuple[str, ...], kept: int
) -> None:
    stage = PRETRAIN.model_copy(update={"data": Data("photos-train", count=1)})  # img00 of Set5 and of photos-frames
    evaluate = [Evaluate(name, metrics=("psnr_y", "ssim_y")) for name in sets]
    declared = study(*sets, base=base(stages=[stage], evaluate=evaluate), allow_overlap="one image is in both")
    scores = reading.read(fill(store, plan_of(declared)), "unpaired")
    pooled_sets = {cell.setting.conditions for cell in pooled(scores)}
    assert {len(conditions) for conditions in pooled_sets} == ({kept} if kept else set())
    assert not any(condition.dataset == "photos-frames" for conditions in pooled_sets for condition in conditions)
    (_, sentence) = captions.overlap(scores)
    assert "photos-frames" in sentence
    assert "no part in differences over several test sets" in sentence


def test_scores_are_pooled_once(store: Store) -> None:
    scores = filled(store, study("photos/test", "Set5"))
    assert pooled(scores) is pooled(scores)


def test_ranks_take_four_methods_and_three_sets(store: Store, tmp_path: Any) -> None:
    ranked = ranks(filled(store, study(*SETS)))
    assert [part.setting.metric for part in ranked] == ["psnr_y", "ssim_y"]
    means = ranked[0].means
    assert len(means) == 5
    assert (next(iter(means)), means["λ=0.4"]) == ("λ=0.4", 1.0)
    assert sum(means.values()) == pytest.approx(1 + 2 + 3 + 4 + 5)
    assert ranked[0].friedman < 0.05
    assert all("λ=0.4" not in group for group in ranked[0].groups)
    assert ranked[0].images == 12
    assert ranks(filled(Store(tmp_path / "two"), study(*SETS[:2]))) == []
    for count in (3, 21):
        axis = Axis("pretrain.lam", [n / 10 for n in range(count)], label="λ")
        assert ranks(filled(Store(tmp_path / str(count)), study(*SETS, axes=[axis]))) == []
