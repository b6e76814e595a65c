"""The gap between training and test images."""

from __future__ import annotations

import csv
import re

import numpy as np
import pytest
from scipy import stats

from drnbench import Gap
from drnbench.outputs import gap_values, report
from drnbench.results import reading
from drnbench.results.scores import Condition
from drnbench.store import Store
from tests.fake_store import fill, plan_of, value
from tests.outputs.shapes import gap_study


def gap_change(trial, rows):
    """Training images are 1.5 dB easier, and networks overfit the fewer the images."""
    if trial.arm.kind == "reference":
        extra = 1.5
    else:
        extra = 1.5 + 4 / int(trial.arm.values["size"]) * (0.6 if trial.arm.values["loss"] == "on" else 1.0)
    on_train = rows["dataset"] == "photos-train"
    return rows.assign(value=rows["value"] + extra * on_train)


def test_a_gap_agrees_with_a_count_by_hand(store: Store) -> None:
    plan = plan_of(gap_study(), "gap")
    fill(store, plan, lambda arm, kernel: 0.0, images=40, change=gap_change)
    scores = reading.read(store, "gap")
    gaps = gap_values.gaps(scores, Gap(x="size", train="photos-train", test="photos/test"))
    arms = {arm.name: arm for arm in plan.study.arms}

    def by_seed(name: str, size: int, extra: float) -> np.ndarray:
        def mean(seed: int, n: int) -> float:
            return float(np.mean([value(arms[name], seed, i, "bicubic", "psnr_y", lambda a, k: 0.0) for i in range(n)]))

        return np.array([mean(s, size) + extra - mean(s, 40) for s in range(3)])

    off, on = by_seed("2, off", 2, 3.5), by_seed("2, on", 2, 2.7)
    test = Condition("photos-test", "bicubic", 4)
    gap = gaps["2, on", test]
    t = stats.t.ppf(0.975, 2) / 3**0.5
    assert gap.value == pytest.approx(on.mean())
    assert gap.half == pytest.approx(t * on.std(ddof=1))
    assert gap.delta == pytest.approx((on - off).mean())
    # Over seeds alone it would be narrower: the images of both sets count, too.
    assert gap.low < (on - off).mean() - t * (on - off).std(ddof=1)
    assert gap.p_holm is not None
    assert gap.p_holm >= gap.p
    assert gap.sign == -1
    assert gaps["2, off", test].delta is None
    assert gaps["bicubic", test].delta is None
    assert gap.bicubic is not None
    reference = scores.arm("bicubic")
    train = next(p for p in reference.conditions if p.dataset == "photos-train")
    table = scores.tables["bicubic", train, "psnr_y"]
    assert gap.bicubic == pytest.approx(
        float(table[["img00", "img01"]].mean(axis=None)) - gaps["bicubic", test].test_mean
    )


@pytest.mark.real
def test_the_gap_is_written_and_drawn(store: Store) -> None:
    fill(store, plan_of(gap_study(), "gap"), lambda arm, kernel: 0.0, images=40, change=gap_change)
    written = report.write(store, "gap")
    names = {path.name for path in written.files}
    assert {"table_gap_size.md", "table_gap_size.tex", "table_gap_size.csv", "figure_gap_psnr_y_size.pdf"} <= names
    folder = store.study("gap/quick")
    with (folder / "table_gap_size.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["arm"] for row in rows][-1] == "bicubic"
    assert len(rows) == 7
    text = (folder / "table_gap_size.md").read_text()
    for words in ("of these images", "overfitting", "Positive", "paired by seed and image"):
        assert words in text
    assert "| on" in text
    assert "bicubic gap (dB)" in text
    macros = (folder / "macros.tex").read_text()
    assert re.search(r"\\drnGapDeltaTwoOnPhotosTestBicubicPsnrY\}\{\\ensuremath\{-0\.\d{3}\}\}", macros)
    assert written.headline.startswith("The gap in PSNR-Y between training and test images of loss=off falls from +")
    assert "With loss=on it is smaller in 3 of 3 (images=2 with -" in written.headline


def test_gaps_that_differ_by_noise_are_not_called_different(store: Store) -> None:
    """With seeds alone, a test of four such cells calls one different in most studies of two seeds."""
    for seeds in (2, 3):
        own = Store(store.root / str(seeds))
        fill(own, plan_of(gap_study(seeds=seeds), "gap"), lambda arm, kernel: 0.0, images=40)
        gaps = gap_values.gaps(reading.read(own, "gap"), Gap(x="size", train="photos-train", test="photos/test"))
        compared = [gap for gap in gaps.values() if gap.delta is not None]
        assert len(compared) == 3
        assert all(gap.low < 0 < gap.high for gap in compared)
        assert not any(gap.sign for gap in compared)


@pytest.mark.fast_variants(1)
@pytest.mark.parametrize("seeds", [2, 3])
def test_a_gap_earns_a_star_from_three_seeds_on(store: Store, seeds: int) -> None:
    def one_overfits(trial, rows):
        extra = 200.0 * (trial.arm.name == "8, on") * (rows["dataset"] == "photos-train")
        return rows.assign(value=rows["value"] + extra)

    fill(store, plan_of(gap_study(seeds=seeds), "gap"), lambda arm, kernel: 0.0, images=40, change=one_overfits)
    gaps = gap_values.gaps(reading.read(store, "gap"), Gap(x="size", train="photos-train", test="photos/test"))
    gap = gaps["8, on", Condition("photos-test", "bicubic", 4)]
    assert (gap.sign, gap.starred) == (1, seeds == 3)
    headline = report.write(store, "gap").headline
    assert ("Two seeds: nothing is starred" in headline) == (seeds == 2)
    text = (store.study("gap/quick") / "table_gap_size.md").read_text()
    assert "+200." in text
    assert ("\\*" in text) == (seeds == 3)


@pytest.mark.real
def test_gaps_of_fewer_seeds_say_so(store: Store) -> None:
    study = gap_study()
    plan = plan_of(study, "gap")
    arm = next(trial.arm.name for trial in plan.trials if trial.arm.values.get("loss") == "on")
    fill(store, plan, lambda arm, kernel: 0.0, done=lambda trial: trial.arm.name != arm or trial.trial.seed < 2)
    headline = report.write(store, "gap").headline
    assert "; 2–3 seeds, after Holm's correction over 3 gaps." in headline


def test_gaps_of_one_image_are_not_tested(store: Store) -> None:
    fill(store, plan_of(gap_study(), "gap"), lambda arm, kernel: 0.0, images=1)
    headline = report.write(store, "gap").headline
    assert "With loss=on it is not tested in 3 of 3 (" in headline
    assert "significantly different" not in headline
