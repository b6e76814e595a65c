from __future__ import annotations

import math
import os
import re
import threading
from unittest import mock

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from drnbench import Table
from drnbench.config.study import Axis, Exclude, Study
from drnbench.config.trial import Evaluate
from drnbench.errors import UsageError
from drnbench.outputs import report, stored_report
from drnbench.results import reading
from drnbench.session import running
from drnbench.store import Status, Store, read_json, write_json
from tests.fake_store import base, fill, plan_of, value
from tests.outputs.conftest import gain, notes_of, rho_study

pytestmark = pytest.mark.usefixtures("unrendered")

COLUMNS = (
    "arm,dataset,kernel,scale,metric,mean,half_width,n_seeds,n_images,delta,delta_low,delta_high,p_holm,"
    "won,level,family,primary,margin,equivalence,statistics,delta_seeds,delta_images,of_control,"
    "confidence_percent,settings"
)


def summary(store: Store, name: str = "unpaired") -> pd.DataFrame:
    return pd.read_csv(store.study(f"{name}/quick") / "summary.csv")


def line(frame: pd.DataFrame, arm: str, kernel: str = "bd", metric: str = "psnr_y") -> pd.Series:
    rows = frame[(frame["arm"] == arm) & (frame["kernel"] == kernel) & (frame["metric"] == metric)]
    assert len(rows) == 1
    return rows.iloc[0]


def test_summary_has_every_arm_and_agrees_with_a_count_by_hand(filled: Store) -> None:
    report.write(filled, "unpaired")
    assert (filled.study("unpaired/quick") / "summary.csv").read_text().splitlines()[0] == COLUMNS
    frame = summary(filled)
    arms = ["ρ=0", "ρ=0.1", "ρ=0.3", "ρ=1", "true pairs", "bicubic"]
    assert list(dict.fromkeys(frame["arm"])) == arms
    assert len(frame) == len(arms) * 2 * 2
    by_name = {a.name: a for a in plan_of(rho_study()).study.arms}
    table = {
        name: np.array([[value(by_name[name], s, i, "bd", "psnr_y", gain) for i in range(5)] for s in range(3)])
        for name in ("ρ=0", "true pairs")
    }
    row = line(frame, "true pairs")
    assert row["mean"] == pytest.approx(table["true pairs"].mean())
    assert (row["n_seeds"], row["n_images"]) == (3, 5)
    means = table["true pairs"].mean(1)
    assert row["half_width"] == pytest.approx(stats.t.ppf(0.975, 2) * means.std(ddof=1) / 3**0.5)
    assert row["delta"] == pytest.approx((table["true pairs"] - table["ρ=0"]).mean())
    assert row["delta_low"] < row["delta"] < row["delta_high"]
    base_row = line(frame, "ρ=0")
    assert base_row[["delta", "delta_low", "delta_high", "p_holm"]].isna().all()
    reference = line(frame, "bicubic")
    assert math.isnan(reference["half_width"])
    assert math.isnan(reference["p_holm"])
    assert reference["delta"] == pytest.approx(-1.2 - (table["ρ=0"].mean() - means_of_bicubic(by_name) - 1.2))


def means_of_bicubic(arms: dict) -> float:
    return float(np.mean([value(arms["bicubic"], 0, i, "bd", "psnr_y", gain) for i in range(5)]))


def test_p_values_are_adjusted_within_all_cells_of_a_table(filled: Store) -> None:
    report.write(filled, "unpaired")
    frame = summary(filled)
    tested = frame[frame["p_holm"].notna()]
    arms = ["ρ=0.1", "ρ=0.3", "ρ=1", "true pairs"]
    assert list(dict.fromkeys(tested["arm"])) == arms
    assert len(tested) == len(arms) * 2 * 2
    assert set(tested["family"]) == {16}
    column = frame[(frame["kernel"] == "bd") & (frame["metric"] == "psnr_y")].set_index("arm")["p_holm"]
    assert column["ρ=1"] < 0.05
    assert column["ρ=0.1"] == 1.0 or column["ρ=0.1"] > 0.05


def test_stars_and_daggers_stand_in_every_format(filled: Store) -> None:
    report.write(filled, "unpaired")
    folder = filled.study("unpaired/quick")
    md = (folder / "table_rho.md").read_text()
    tex = (folder / "table_rho.tex").read_text()
    row = next(r for r in md.splitlines() if r.startswith("| true pairs"))
    assert re.search(r"\+0\.2\d\d \[\+0\.\d{3}, \+0\.\d{3}\]\\\*", row)
    collapse = next(r for r in md.splitlines() if r.startswith("| 1 "))
    assert "†" in collapse
    assert r"\rlap{$^{*}$}" in tex
    assert r"\rlap{$^{\dagger}$}" in tex
    assert r"\label{tab:unpaired}" in tex


def test_two_seeds_have_intervals_and_no_star(store: Store) -> None:
    fill(store, plan_of(rho_study(seeds=2)), gain)
    report.write(store, "unpaired")
    md = (store.study("unpaired/quick") / "table_rho.md").read_text()
    assert "†" not in md
    assert "\\*" not in md
    assert "Under 3 seeds nothing is starred" in md
    assert not math.isnan(line(summary(store), "true pairs")["delta_low"])


def test_one_seed_speaks_of_checkpoints(store: Store) -> None:
    fill(store, plan_of(rho_study(seeds=1)), gain)
    written = report.write(store, "unpaired")
    assert "these checkpoints" in written.headline
    assert "these checkpoints" in (store.study("unpaired/quick") / "table_rho.md").read_text()
    row = line(summary(store), "true pairs")
    assert math.isnan(row["half_width"])
    assert math.isnan(row["p_holm"])
    assert not math.isnan(row["delta_low"])


def test_a_running_sweep_is_reported_as_far_as_it_is(store: Store) -> None:
    plan = plan_of(rho_study())
    fill(store, plan, gain, done=lambda t: t.arm.name in {"ρ=0", "bicubic"} or t.trial.seed == 0)
    broken = next(t for t in plan.trials if t.arm.name == "ρ=0.3" and t.trial.seed == 1)
    store.write_status(
        store.stage(broken.stages[-1]), Status("failed", kind="oom", message="out of memory <at> step 3")
    )
    written = report.write(store, "unpaired")
    assert written.incomplete == 8
    assert written.headline.startswith("8 of 16 trials so far.")
    assert line(summary(store), "ρ=0.1")["n_seeds"] == 1
    page = (store.study("unpaired/quick") / "report.html").read_text()
    assert "8 of 16" in page
    assert "oom: out of memory &lt;at&gt; step 3" in page


def test_nothing_scored_yet(store: Store) -> None:
    fill(store, plan_of(rho_study()), gain, done=lambda t: False)
    written = report.write(store, "unpaired")
    assert written.headline == "No scores yet: 0 of 16 trials done."
    assert written.incomplete == 16
    assert (summary(store)["n_seeds"] == 0).all()


def test_infinite_values_are_left_out_and_said(store: Store) -> None:
    def perfect(trial, rows):
        hit = (rows["image"] == "img00") & (rows["metric"] == "psnr_y") & (trial.arm.name == "ρ=0.1")
        return rows.assign(value=rows["value"].where(~hit, np.inf))

    fill(store, plan_of(rho_study()), gain, change=perfect)
    report.write(store, "unpaired")
    row = line(summary(store), "ρ=0.1")
    assert row["n_images"] == 4
    assert np.isfinite(row["mean"])
    caption = (store.study("unpaired/quick") / "table_rho.md").read_text()
    assert "Infinite values (SR equal to HR) are left out: 1 of ρ=0.1 on photos-test, bd ×4" in caption


def test_rows_that_nobody_wants_today_do_not_count(store: Store) -> None:
    def extra(trial, rows):
        return pd.concat([rows, rows.assign(evaluation="old", value=99.0)], ignore_index=True)

    fill(store, plan_of(rho_study()), gain, change=extra)
    report.write(store, "unpaired")
    assert line(summary(store), "ρ=0")["mean"] < 40


def test_an_unknown_study_names_the_nearest(filled: Store) -> None:
    with pytest.raises(UsageError, match=r"no study 'unpared' in .*did you mean 'unpaired'"):
        report.write(filled, "unpared")


def test_the_page_is_whole_and_escaped(store: Store) -> None:
    study = rho_study(exclude=[Exclude({"adapt.rho": 0.3, "seed": 1}, "diverged <b>& so on")])
    fill(store, plan_of(study, question="<script>alert(1)</script>?"), gain, samples=True, history=True)
    written = report.write(store, "unpaired")
    page = (store.study("unpaired/quick") / "report.html").read_text()
    assert page.count("<script") == 3, "the data, the pictures and the script of the package"
    assert "<script>alert" not in page
    assert "diverged &lt;b&gt;&amp; so on" in page
    assert page.count("data:image/png;base64,") == 5
    assert not re.search(r'(src|href)="https?:(?!//127\.0\.0\.1)', page), "but for the UI of MLflow on this machine"
    for path in written.files:
        assert path.exists()
        assert path.name in page
    assert line(summary(store), "ρ=0.3")["n_seeds"] == 2


def test_test_images_that_are_trained_on_are_said_with_the_reason(store: Store) -> None:
    fill(store, plan_of(rho_study()), gain)
    path = store.study("unpaired/quick") / "plan.json"
    shared = {"reason": "memorisation is the question", "images": ["Set5/woman is BSDS200/302003"]}
    write_json(path, {**read_json(path), "overlap": shared})
    made = report.write(store, "unpaired")
    sentence = "among the training images: Set5/woman is BSDS200/302003. Reason: memorisation is the question."
    assert sentence in made.headline
    page = (path.parent / "report.html").read_text(encoding="utf-8")
    assert sentence in (path.parent / "table_rho.md").read_text(encoding="utf-8")
    captions = [part.partition("</figcaption>")[0] for part in page.split("<figcaption>")[1:]]
    assert captions
    assert all(sentence in caption for caption in captions)


def test_without_baseline_nothing_is_compared(store: Store) -> None:
    fill(store, plan_of(rho_study(baseline={}, control=None)), gain)
    written = report.write(store, "unpaired")
    assert "declares no baseline" in written.headline
    assert summary(store)["delta"].isna().all()


def test_without_axes_there_is_still_a_table(store: Store) -> None:
    fill(store, plan_of(Study(base=base(), seeds=2), "one"), gain)
    written = report.write(store, "one")
    assert "base" in written.table
    assert (store.study("one/quick") / "table_arms.tex").exists()


def test_several_axes_and_scales(store: Store) -> None:
    study = Study(
        base=base(), axes=[Axis("scale", [2, 4]), Axis("adapt.rho", [0, 0.3], label="ρ")], seeds=3,
        baseline={"scale": 2, "adapt.rho": 0},
        outputs=[Table(rows="adapt.rho", columns="scale"), Table(rows="scale")],
    )  # fmt: skip
    fill(store, plan_of(study, "scales"), gain)
    report.write(store, "scales")
    frame = summary(store, "scales")
    # Each scale has a baseline of its own: differences between scales mean nothing.
    deltas = frame[frame["metric"] == "psnr_y"].dropna(subset="delta")
    assert set(deltas["arm"]) == {"scale=2, ρ=0.3", "scale=4, ρ=0.3", "bicubic x2", "bicubic x4"}
    wide = (store.study("scales/quick") / "table_rho.md").read_text()
    assert wide.count("\n| bicubic ") == 1
    assert "×2, bd: PSNR-Y" in wide
    long = (store.study("scales/quick") / "table_scale.md").read_text()
    # Rows of several scales share the columns of a kernel, and each has a bicubic of its own.
    assert re.search(r"\| +\| bicubic, scale=4 +\|", long)
    assert "| bd: PSNR-Y" in long
    assert "×2: " not in long


def test_two_crops_of_one_set_stay_apart(store: Store) -> None:
    both = base(evaluate=[Evaluate("photos/test"), Evaluate("photos/test", crop=64)])
    fill(store, plan_of(Study(base=both, seeds=2), "crops"), gain)
    report.write(store, "crops")
    assert set(summary(store, "crops")["dataset"]) == {"photos-test (whole)", "photos-test (crop 64)"}


def test_a_current_report_is_found_and_an_outdated_one_is_not(filled: Store) -> None:
    store, name = filled, "unpaired/quick"
    assert stored_report.current(store, name) is None
    written = report.write(store, name)
    current = stored_report.current(store, name)
    assert current is not None
    assert (current.headline, current.table, current.incomplete) == (
        written.headline,
        written.table,
        written.incomplete,
    )
    assert set(current.files) == set(written.files)
    os.utime(next(store.root.glob("trials/*/per_image.parquet")), (1, 1))
    assert stored_report.current(store, name) is None


def test_a_report_is_outdated_by_a_state_and_by_what_changed_while_it_was_drawn(filled: Store) -> None:
    store, name = filled, "unpaired/quick"
    report.write(store, name)
    assert stored_report.current(store, name) is not None
    os.utime(next(store.root.glob("trials/*/status.json")), (1, 1))
    assert stored_report.current(store, name) is None

    def read_then_changed(*args: object) -> object:
        scores = reading.read(*args)
        os.utime(next(store.root.glob("trials/*/per_image.parquet")), (2, 2))
        return scores

    with mock.patch.object(report, "reading", mock.Mock(read=read_then_changed)):
        report.write(store, name)
    assert stored_report.current(store, name) is None


def test_a_run_takes_the_report_that_another_one_writes_meanwhile(filled: Store) -> None:
    store, name, taken, write = filled, "unpaired/quick", [], report.write
    with mock.patch.object(report, "write", side_effect=AssertionError("drawn twice")):
        waiting = threading.Thread(target=lambda: taken.append(running.report_of(store, name)))
        with stored_report.writing(store, name):
            waiting.start()
            written = write(store, name)
        waiting.join()
    assert taken[0].files == written.files


def test_a_caption_says_what_few_seeds_and_one_image_leave(store: Store) -> None:
    fill(store, plan_of(rho_study()), gain, done=lambda t: t.arm.name != "ρ=1" or t.trial.seed < 2)
    report.write(store, "unpaired")
    caption = notes_of(store.study("unpaired/quick") / "table_rho.md")
    assert "Arms with fewer than 3 common seeds are not starred" in caption
    assert "over the 16 differences of the table" in caption
    fill(store, plan_of(rho_study()), gain, change=lambda trial, rows: rows[rows["image"] == "img00"])
    report.write(store, "unpaired")
    text = (store.study("unpaired/quick") / "table_rho.md").read_text()
    assert "one test image, so nothing is starred, and it speaks of this image and not of the methods" in text
    assert "†" not in text


def test_a_unit_that_runs_where_it_cannot_be_seen_is_shown_with_its_holder(filled: Store) -> None:
    folder = min((filled.root / "trials").iterdir())
    filled.write_status(folder, Status("running", host="node-42", pid=7, process={}))
    report.write(filled, "unpaired")
    page = (filled.study("unpaired/quick") / "report.html").read_text()
    assert f"trial {folder.name[:12]}: held by process 7 on node-42, not seen from here." in page
