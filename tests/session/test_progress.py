"""The display of a running study."""

import io
import re

import pytest
from rich.console import Console

from drnbench import Data, Stage
from drnbench.config.units import StageUnit
from drnbench.parallel import clock
from drnbench.session import progress as displays
from drnbench.session.progress import PlainProgress, RichProgress
from drnbench.store import Status


def unit():
    stage = Stage("adapt", scheme="paired", data=Data("photos/train"), steps=200)
    return StageUnit(
        key="0" * 64, model="drn", options={}, scale=4, seed=0, depth=0, before=None, stage=stage, data_digest="1" * 64
    )


def plain(out):
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", out.getvalue())


def test_the_live_display_shows_step_loss_psnr_and_what_failed():
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=120)
    with RichProgress([unit()], console) as progress:
        progress.started(unit(), "adapt · ρ=0.3 [x], seed 0")
        progress.message(unit(), "", {"step": 10, "steps": 200, "loss": 12.3456})
        progress.message(unit(), "", {"step": 20, "steps": 200, "val_psnr_y/bicubic": 28.914})
        console.print(progress.render())
        text = plain(out)
        for shown in ("trials 0/0, stages 0/1", "adapt · ρ=0.3 [x], seed 0", "20/200", "loss 12.346", "val 28.91 dB"):
            assert shown in text, shown
        progress.ended(unit(), "adapt [x]", Status("failed", kind="oom", message="out of [memory]"))
    text = plain(out)
    assert "adapt [x]: oom: out of [memory]" in text


def test_plain_lines_for_a_log(capsys):
    with PlainProgress([unit()]) as progress:
        progress.started(unit(), "pretrain, seed 0")
        progress.message(unit(), "pretrain, seed 0", {"step": 5, "loss": 1.0, "val_psnr_y/bd": 30.0})
        progress.ended(
            unit(), "pretrain, seed 0", Status("interrupted", kind="killed", message="by signal 9; it runs again")
        )
        progress.started(unit(), "pretrain, seed 0")
        progress.ended(unit(), "pretrain, seed 0", Status("failed", kind="killed", message="by signal 9"), ["a", "b"])
        progress.started(unit(), "pretrain, seed 0")
        progress.message(unit(), "pretrain, seed 0", {"step": 5, "loss": 1.0, "val_psnr_y/bd": 30.0})
        progress.ended(unit(), "pretrain, seed 0", Status("done"))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "[trials 0/0, stages 0/1, left about ?] start pretrain, seed 0"
    assert lines[1].endswith("] interrupted pretrain, seed 0: killed: by signal 9; it runs again")
    assert lines[3].endswith("] FAILED pretrain, seed 0: killed: by signal 9")
    assert lines[4:6] == ["  a", "  b"]
    assert lines[7] == "[trials 0/0, stages 1/1, left about 0:00] done pretrain, seed 0 in 0:00, val 30.00 dB"


def test_clocks():
    assert [clock(s) for s in (None, 0, 61.4, 3723)] == ["?", "0:00", "1:01", "1:02:03"]


def test_the_time_left_is_the_pace_so_far(monkeypatch):
    now = [100.0]
    monkeypatch.setattr("drnbench.session.progress.time.monotonic", lambda: now[0])
    progress = PlainProgress([unit(), unit().model_copy(update={"key": "2" * 64})])
    progress.started(unit(), "a")
    progress.message(unit(), "a", {"step": 10})
    assert progress.left() is None
    now[0] += 9.0
    progress.message(unit(), "a", {"step": 100})
    assert progress.left() == 30.0
    progress.ended(unit(), "a", Status("done"))
    assert progress.share() == 0.5


def test_what_is_given_up_is_counted_no_longer():
    units = [unit().model_copy(update={"key": str(n) * 64}) for n in range(4)]
    progress = PlainProgress(units)
    for stage, steps in zip(units, (200, 50, 0, 0), strict=True):
        progress.started(stage, "adapt")
        progress.message(stage, "adapt", {"step": steps})
    progress.ended(units[0], "adapt", Status("done"))
    progress.ended(units[1], "adapt", Status("interrupted"))
    assert progress.share() == 250 / 800
    progress.spare(units[:2])
    assert progress.counts() == "trials 0/0, stages 1/3"
    assert progress.share() == 250 / 650
    progress.spare(units[2:3])
    assert progress.share() == 250 / 450


@pytest.mark.parametrize("patience", [0.0, 3600.0])
def test_plain_lines_name_whom_a_run_waits_for_after_a_moment_and_then_now_and_then(capsys, monkeypatch, patience):
    monkeypatch.setattr(displays, "PATIENCE_S", patience)
    display = PlainProgress([])
    for line in ("waiting for node-42", "waiting for node-42", "", "waiting for node-43"):
        display.waiting(line)
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition("] ")[2] for line in lines] == (["waiting for node-42"] if patience == 0 else [])
    monkeypatch.setattr(displays, "PLAIN_S", 0.0)
    display.waiting("waiting for node-44")
    assert ("node-44" in capsys.readouterr().out) == (patience == 0)


def test_the_live_display_shows_whom_a_run_waits_for_until_it_goes_on(monkeypatch):
    monkeypatch.setattr(displays, "PATIENCE_S", 0.0)
    display = RichProgress([], Console(width=200, file=io.StringIO()))
    for line in ("waiting for node-42 [batch=1]", ""):
        display.waiting(line)
        console = Console(width=200, file=io.StringIO())
        console.print(display.render())
        assert ("waiting for node-42 [batch=1]" in console.file.getvalue()) == bool(line)
