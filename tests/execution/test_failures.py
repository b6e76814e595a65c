"""A failure is recorded with its kind and costs no other unit; the store says which units are left."""

import json

import pytest

from drnbench.session.declared import declare
from drnbench.session.items import todo
from drnbench.store import Store, write_json
from tests.helpers import STORE_ONLY, call, scores, write_study

pytestmark = pytest.mark.real


def states(results):
    return sorted(json.loads(p.read_text())["state"] for p in results.glob("stages/*/status.json"))


def clean_checkpoints(store):
    """Remove the checkpoints, and strike them from what each stage has, as `clean` does."""
    for path in store.root.glob("stages/*/checkpoint.pt"):
        path.unlink()
        store.finish(path.parent, store.status(path.parent))


def test_a_diverging_arm_fails_alone_and_stays_failed_until_asked(tmp_path):
    study, results = write_study(tmp_path), tmp_path / "r"
    text = study.read_text()
    study.write_text(text.replace('"adapt.scheme": "paired"', '"adapt.lr": 1e30, "adapt.scheme": "paired"'))
    args = ("run", study, "--results", results, "--tracking-uri", "off")
    done = call(*args)
    assert done.returncode == 1
    failed = [line for line in done.stderr.splitlines() if line.startswith("failed: ")]
    assert len(failed) == 1
    assert "diverged" in failed[0]
    assert "lower lr" in failed[0]
    assert states(results).count("failed") == 1
    assert (results / "mini" / "quick" / "summary.csv").exists()

    again = call(*args)
    assert again.returncode == 1
    assert "nothing to train" in again.stdout
    assert "--rerun failed tries them again" in again.stderr

    study.write_text(text)  # the mended arm is another configuration, and the failed one is no longer wanted
    assert call(*args).returncode == 0


def test_a_new_metric_or_test_set_retrains_nothing(tmp_path):
    study, results = write_study(tmp_path), tmp_path / "r"
    assert (
        call("run", study, "--results", results, *STORE_ONLY, "--set", 'evaluate.*.metrics=["psnr_y"]').returncode == 0
    )
    before, stamps = scores(results), {p: p.stat().st_mtime_ns for p in results.glob("stages/*/checkpoint.pt")}
    done = call("run", study, "--results", results, *STORE_ONLY)
    assert done.returncode == 0
    assert "0 stages to train" in done.stdout
    assert done.stdout.count("note: one seed: no difference is tested") == 1
    assert stamps == {p: p.stat().st_mtime_ns for p in stamps}
    after = scores(results)
    assert set(after["metric"]) == {"psnr_y", "ssim_y"}
    assert after[after["metric"] == "psnr_y"].reset_index(drop=True).equals(before)


def test_a_store_copied_elsewhere_is_finished_there(tmp_path):
    study, here, there = write_study(tmp_path), tmp_path / "here", tmp_path / "there"
    assert call("run", study, "--results", here, *STORE_ONLY).returncode == 0
    for kind in ("stages", "trials"):
        (there / kind).mkdir(parents=True)
        for folder in (here / kind).iterdir():
            folder.rename(there / kind / folder.name)
    done = call("run", study, "--results", there, "--tracking-uri", "off")
    assert done.returncode == 0
    assert "nothing to train" in done.stdout
    assert (there / "mini" / "quick" / "report.html").exists()


def test_rerun_stale_trains_again_what_other_code_made(tmp_path):
    study, results = write_study(tmp_path, rhos=(0.0,)), tmp_path / "r"
    args, store = ("run", study, "--results", results, *STORE_ONLY), Store(results)
    assert call(*args).returncode == 0
    for stale in (min(results.glob("stages/*/stage.json")), min(results.glob("trials/*/scores.json"))):
        write_json(stale, {**json.loads(stale.read_text()), "code": "other"})
        store.finish(stale.parent, store.status(stale.parent))
    assert (
        "1 stages and 1 scored trials come from other numeric code" in call("plan", study, "--results", results).stdout
    )
    before = scores(results)
    done = call(*args, "--rerun", "stale")
    assert done.returncode == 0
    assert "stages to train" in done.stdout
    assert "warning" not in call("plan", study, "--results", results).stdout
    assert scores(results).equals(before)


def test_a_cleaned_checkpoint_is_trained_again_only_when_somebody_needs_it(tmp_path):
    study, results = write_study(tmp_path, rhos=(0.0,)), tmp_path / "r"
    assert call("run", study, "--results", results, *STORE_ONLY).returncode == 0
    store = Store(results)
    clean_checkpoints(store)
    assert todo(declare(study, "quick").plan(store), None) == []
    # The last stages are there again: what they started from is not needed to score them.
    for path in results.glob("stages/*/unit.json"):
        if json.loads(path.read_text())["depth"] == 1:
            path.with_name("checkpoint.pt").write_bytes(b"PK\5\6" + bytes(18))
            store.finish(path.parent, store.status(path.parent))
    assert {item.unit.kind for item in todo(declare(study, overrides={"protocol.border": 0}).plan(store), None)} == {
        "evaluate"
    }
    clean_checkpoints(store)
    left = todo(declare(study, overrides={"protocol.border": 0}).plan(store), None)
    assert [item.unit.kind for item in left].count("stage") == 3
