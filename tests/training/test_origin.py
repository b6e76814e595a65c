"""The origin of a result: which code, plug-ins and packages count for a unit, and how a stored result is held against them."""

import pytest

from drnbench import Data, Evaluate, Stage, Trial
from drnbench.execution.worker import run
from drnbench.planning.keys import Keys
from drnbench.store import Store
from drnbench.store.environment import count_signatures, public, version
from drnbench.training.origin import changes, continued, origin, refusal

SIZES = {"n_blocks": 1, "n_feats": 2}


def units(cache, metrics=("psnr_y",), kernel="bicubic"):
    """The stage and the evaluation of a small trial."""
    stage = Stage(
        "train", scheme="paired", data=Data("photos/train", crop=64, kernel=kernel), steps=2, batch=2, patch=16
    )
    evaluate = Evaluate("photos/test", crop=48, metrics=metrics)
    trial, keys = Trial(method="drn", model=SIZES, scale=2, stages=[stage], evaluate=[evaluate]), Keys(cache)
    stages = keys.stages(trial, "test")
    return stages[0], keys.evaluation(trial, stages, "test")


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def unit(cache):
    return units(cache)[0]


def record(unit, **packages):
    """What a unit's stage.json says of its origin, where some packages had other versions."""
    made = origin(unit)
    return {**made, "packages": {**made["packages"], **{name.replace("_", "-"): v for name, v in packages.items()}}}


def test_packages_count_for_the_units_that_use_them(cache):
    stage, scored = units(cache)
    assert list(origin(stage)["packages"]) == ["torch", "numpy"]
    assert list(origin(scored)["packages"]) == ["torch", "numpy"]
    stage, scored = units(cache, ("psnr_y", "ssim_y", "lpips", "niqe"), kernel="bicubic:jpeg=70")
    assert list(origin(stage)["packages"]) == ["torch", "numpy", "pillow"]
    assert set(origin(scored)["packages"]) == {"torch", "numpy", "lpips", "torchvision", "scipy"}


def test_a_result_of_another_version_is_stale_and_both_versions_are_named(unit):
    now = origin(unit)["packages"]["torch"]
    assert changes(record(unit), unit) == ()
    assert changes(record(unit, torch="2.1.0"), unit) == (f"were made with torch 2.1.0, now {now}",)
    assert changes(record(unit, torch=f"{now}+cu128"), unit) == ()  # another build of the same version
    assert changes(record(unit, scikit_image="0.1"), unit) == ()  # no unit of this kind uses it
    assert changes(record(unit, drnbench="0.0.1"), unit) == ()  # a release alone computes what the one before did


def test_versions_of_records_of_earlier_commits_count_as_far_as_they_go(unit):
    now = origin(unit)
    old = {"code": now["code"], "code_rule": now["code_rule"], "versions": {"torch": "2.1.0", "lpips": "0.1"}}
    assert changes(old, unit) == (f"were made with torch 2.1.0, now {now['packages']['torch']}",)
    assert changes({"code": now["code"], "code_rule": now["code_rule"]}, unit) == ()
    (unknown,) = changes({"code": now["code"], "versions": {}, "code_rule": 1} | {"code": "0"}, unit)
    assert "not known" in unknown


def test_a_result_that_other_code_began_stays_stale(unit):
    now = origin(unit)
    before = {**record(unit), "code": "0" * 64}
    resumed = continued(before, now, "stage")
    assert resumed["code"] == now["code"]
    assert changes(resumed, unit) == ("come from other numeric code than this",)
    assert continued(resumed, now, "stage") == resumed
    assert continued(record(unit), now, "stage") == now
    assert continued(None, now, "stage") == now


def test_scores_keep_the_packages_of_metrics_that_were_measured_before(cache):
    _, few = units(cache)
    _, more = units(cache, ("psnr_y", "niqe"))
    before = record(more, scipy="0.1")
    after = continued(before, origin(few), "evaluate")
    assert changes(after, few) == ()
    assert len(changes(after, more)) == 1
    assert "scipy 0.1" in changes(after, more)[0]


def test_signatures_differ_by_the_versions_of_packages_that_both_name(unit):
    base = {**record(unit), "signature": {"torch": "2.1", "threads": 1}}
    assert count_signatures([base, base]) == 1
    assert count_signatures([base, {**record(unit, numpy="1.0"), "signature": base["signature"]}]) == 2
    assert count_signatures([base, {"signature": base["signature"]}]) == 1  # of an earlier commit
    assert count_signatures([base, {**record(unit, pillow="9"), "signature": base["signature"]}]) == 1
    plug_ins = {"outside": {"version": "1.0", "files": "a"}}
    assert count_signatures([base, {**base, "plug_ins": plug_ins}]) == 1
    assert count_signatures([{**base, "plug_ins": {"outside": {"version": "1.1", "files": "b"}}},
                             {**base, "plug_ins": plug_ins}]) == 2  # fmt: skip


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("code", "0" * 64, "other numeric code of drnbench"),
        ("plug_ins", {"outside": {"version": "1.0", "files": "a"}}, "another plug-in outside"),
        ("packages", {"torch": "1.13.1"}, f"torch {public(version('torch'))}, 1.13.1 in the run"),
        ("packages", {"torch": "1.13.1", "numpy": "1.0"}, f"numpy {version('numpy')}, 1.0 in the run"),
    ],
)
def test_a_process_with_other_code_or_packages_than_the_coordinator_refuses_the_unit(
    unit, tmp_path, field, value, words
):
    store = Store(tmp_path)
    folder = store.folder(unit)
    folder.mkdir(parents=True)
    assert run(unit, store, "cpu", print, lambda: False, folder, {**origin(unit), field: value}) == 1
    status = store.status(folder)
    assert (status.state, status.kind) == ("failed", "changed")
    assert words in status.message
    assert "\n" not in status.message
    assert not (folder / "stage.json").exists()


def test_builds_of_one_version_and_packages_that_the_coordinator_lacks_are_no_reason_to_refuse(unit, monkeypatch):
    expected = origin(unit)
    assert refusal(unit, expected) is None
    assert refusal(unit, {**expected, "packages": {"torch": public(version("torch")), "numpy": None}}) is None
    monkeypatch.setattr("drnbench.training.origin.version", lambda name: f"{version(name)}+cu128")
    try:
        assert refusal(unit, expected) is None
    finally:
        monkeypatch.undo()
