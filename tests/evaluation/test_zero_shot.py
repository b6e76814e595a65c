"""Zero-shot methods in a study: keys, the results of single images, resumption, estimated time; and on the command line."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from drnbench import Axis, Evaluate, Study, Trial
from drnbench.cli import main
from drnbench.errors import DamageWarning, StoppedError, UsageError
from drnbench.evaluation.evaluator import evaluate
from drnbench.planning.build import make
from drnbench.planning.costs import Costs
from drnbench.planning.estimate import scoring_seconds
from drnbench.results.comparison import of_record
from drnbench.session.recording import record_trial
from drnbench.store import Store
from tests.helpers import expand_study

SIZES = {"steps": 2, "n_layers": 2, "n_feats": 4, "patch": 8}
KERNEL = "gaussian:sigma=0.6"


def planned(store, sizes=SIZES, seeds=1, kernel=KERNEL, **fields):
    evaluate = [Evaluate("photos/test", kernel=kernel, crop=16, count=3, **fields)]
    study = Study(base=Trial(method="zssr", scale=2, model=sizes, evaluate=evaluate), seeds=seeds)
    return make(expand_study(study, "s", "?"), store)


def unit(store, **changes):
    return planned(store, **changes).trials[0].unit


def score(store, scored, stop=lambda: False):
    return evaluate(scored, store, torch.device("cpu"), lambda message: None, stop)


def fits(store, scored):
    return {path.name: path for path in sorted((store.trial(scored.key) / "fits").glob("*.npz"))}


def values(store, scored):
    import pandas as pd

    return pd.read_parquet(store.trial(scored.key) / "per_image.parquet")["value"].tolist()


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    store = Store(tmp_path_factory.mktemp("whole"))
    scored = unit(store)
    score(store, scored)
    return store, scored


def test_steps_seed_and_kernel_of_the_method_are_in_the_key_and_metrics_are_not(whole):
    store, scored = whole
    keys = [scored.key]
    keys += [
        unit(store, sizes={**SIZES, **change}).key for change in ({"steps": 3}, {"lr": 2e-3}, {"kernel": "bicubic"})
    ]
    keys += [planned(store, seeds=2).trials[1].unit.key]
    assert len(set(keys)) == 5
    assert unit(store, metrics=("psnr_y",)).key == scored.key
    assert unit(store, kernel="bicubic").key == scored.key, "evaluations have the test set in their own keys"


def test_a_stopped_scoring_goes_on_with_the_next_image_and_ends_with_the_same_bits(whole, tmp_path):
    store, scored = Store(tmp_path), whole[1]
    with pytest.raises(StoppedError):
        score(store, scored, stop=lambda: len(fits(store, scored)) == 2)
    before = {name: path.stat().st_mtime_ns for name, path in fits(store, scored).items()}
    assert len(before) == 2
    score(store, scored)
    after = fits(store, scored)
    assert {name: after[name].stat().st_mtime_ns for name in before} == before
    assert values(store, scored) == values(*whole)
    for name, path in fits(*whole).items():
        with np.load(path) as expected, np.load(after[name]) as result:
            assert np.array_equal(result["sr"], expected["sr"])


def test_a_new_metric_fits_nothing_again(whole):
    store, scored = whole
    more = unit(store, metrics=("psnr_y", "ssim_y", "lr_psnr"))
    before = {path: path.stat().st_mtime_ns for path in fits(store, scored).values()}
    score(store, more)
    assert {path: path.stat().st_mtime_ns for path in fits(store, scored).values()} == before


def test_the_kernel_of_a_fit_is_compared_with_the_true_one_also_when_it_was_stored(tmp_path):
    evaluate = [Evaluate("photos/test", kernel=KERNEL, crop=64, count=2, metrics=("psnr_y", "dual_mae"))]
    arms = {
        "kernelgan": {"method": "kernelgan", "model": {"steps": 2, "n_feats": 2}},
        "both": {"method": "kernelgan-zssr", "model": SIZES},
    }
    study = Study(base=Trial(method="zssr", scale=2, model=SIZES, evaluate=evaluate), arms=arms, seeds=1)
    store, errors = Store(tmp_path), {}
    for scored in (trial.unit for trial in make(expand_study(study, "s", "?"), store).trials):
        if scored.model == "bicubic":
            continue
        score(store, scored)
        errors[scored.model, scored.options.get("kernel")] = first = values(store, scored)[1::2]
        with np.load(next((store.trial(scored.key) / "dual_kernel").glob("*.npz"))) as kernels:
            assert kernels["learned"].shape == kernels["true"].shape
        (store.trial(scored.key) / "per_image.parquet").unlink()
        before = {path.stat().st_mtime_ns for path in fits(store, scored).values()}
        score(store, scored)
        assert {path.stat().st_mtime_ns for path in fits(store, scored).values()} == before
        assert values(store, scored)[1::2] == first
    assert max(errors["zssr", "given"]) < 0.5 < min(*errors["kernelgan", None], *errors["zssr", "estimated"])


def test_a_result_that_is_not_whole_is_fitted_again(whole, tmp_path):
    store, scored = Store(tmp_path), whole[1]
    score(store, scored)
    expected, path = values(store, scored), next(iter(fits(store, scored).values()))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    (store.trial(scored.key) / "per_image.parquet").unlink()
    with pytest.warns(DamageWarning, match="fitted again"):
        score(store, scored)
    assert values(store, scored) == expected
    assert list(path.parent.glob("*.damaged-1"))


def test_the_plan_states_the_time_of_the_images_that_are_left(whole):
    store = whole[0]
    plan = planned(store, seeds=2)
    for trial in plan.trials:
        record_trial(store, trial.unit.key, [], trial.trial)
    costs = Costs(store, "cpu")
    left = {
        trial.trial.seed: scoring_seconds(costs, trial, trial.unit, None)
        for trial in plan.trials
        if trial.unit.model == "zssr"
    }
    assert left[0] == 0
    assert left[1] > 0
    twice = planned(store, sizes={**SIZES, "steps": 4}).trials[0]
    assert scoring_seconds(costs, twice, twice.unit, None) == pytest.approx(2 * left[1])
    other = planned(store, sizes={**SIZES, "n_feats": 8}).trials[0]
    assert scoring_seconds(costs, other, other.unit, None) is None


@pytest.mark.parametrize("kernel", ["real", "random", "second-order"])
def test_a_kernel_that_cannot_be_given_is_refused_before_work(tmp_path, kernel):
    metrics = {"metrics": ("lr_psnr",)} if kernel == "real" else {}
    with pytest.raises(UsageError, match=r"given.*kernel=bicubic"):
        planned(Store(tmp_path), kernel=kernel, **metrics)


def test_seeds_of_a_zero_shot_method_are_trials_of_their_own_which_are_compared(tmp_path):
    axis = Axis("method", {name: {"method": "zssr", "model": {**SIZES, "steps": n}} for n, name in enumerate("ab", 1)})
    base = Trial(method="bicubic", scale=2, evaluate=[Evaluate("photos/test", kernel=KERNEL)])
    plan = make(
        expand_study(Study(base=base, axes=[axis], seeds=2, baseline={"method": "a"}), "s", "?"), Store(tmp_path)
    )
    assert len(plan.keys) == 5
    assert {arm.name: arm.seedless for arm in of_record(plan.record()).scores.arms} == {
        "a": False,
        "b": False,
        "bicubic": True,
    }


def test_the_command_line_fits_real_images_without_hr(tmp_path, capsys):
    (tmp_path / "lr").mkdir()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (8, 10, 3), np.uint8)).save(tmp_path / "lr" / "a.png")
    sizes = [part for name, value in SIZES.items() for part in ("--set", f"{name}={value}")]
    args = [
        "evaluate",
        "zssr",
        "--scale",
        "2",
        "--data",
        str(tmp_path / "lr"),
        "--kernel",
        "real",
        *sizes,
        "--device",
        "cpu",
    ]
    args += ["--metrics", "lr_psnr", "--json", str(tmp_path / "out.json"), "--save", str(tmp_path / "sr")]
    assert main(args) == 2
    assert "kernel=bicubic" in capsys.readouterr().err
    assert main([*args, "--set", "kernel=bicubic", "--tile", "8"]) == 2
    assert main([*args, "--set", "kernel=bicubic"]) == 0
    assert json.loads((tmp_path / "out.json").read_text())["model"] == "zssr"
    with Image.open(tmp_path / "sr" / "a.png") as sr:
        assert sr.size == (20, 16)
