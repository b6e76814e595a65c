"""The verb `audit`, and the one line that `evaluate` and studies say of LR images that are shifted."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from drnbench.cli import main
from drnbench.data.images import mod_crop
from drnbench.outputs.report import write
from drnbench.session.declared import declare
from drnbench.store import Store
from tests.fake_store import finish
from tests.forensics.tools import TOOLS, photos, save

PHOTOS = {name: mod_crop(hr[:200, :200], 4) for name, hr in photos(2).items()}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("audit")
    save(root / "hr", PHOTOS)
    save(root / "pillow", {name: TOOLS["Pillow's bicubic"](hr, 4) for name, hr in PHOTOS.items()})
    save(root / "every", {name: hr[::4, ::4] for name, hr in PHOTOS.items()})
    return root


def call(capsys, *args):
    code = main([str(arg) for arg in args])
    out, err = capsys.readouterr()
    assert "Traceback" not in err
    return code, out, err


def test_tables_sentence_json_and_picture(folders, tmp_path, capsys):
    files = ("--json", tmp_path / "a.json", "--picture", tmp_path / "a.png")
    code, out, err = call(capsys, "audit", folders / "hr", folders / "pillow", "--scale", 4, "--jobs", 1, *files)
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[1].split("  ")[0] == "Pillow's bicubic"
    assert lines[-1] == "LR images are Pillow's bicubic, exact to rounding in 2 of 2 images; no shift."
    record = json.loads((tmp_path / "a.json").read_text())
    assert record["sentence"] == lines[-1]
    assert record["candidates"][0] == {
        "generator": "Pillow's bicubic",
        "exact": 2,
        "psnr": None,
        "equal": 1.0,
        "largest": 0.0,
    }
    assert np.asarray(Image.open(tmp_path / "a.png")).shape[1] > 800
    code, out, _ = call(capsys, "audit", folders / "hr", folders / "pillow", "--scale", 4, "--jobs", 1, "--json", "-")
    assert (code, json.loads(out)) == (0, record)


def test_a_file_without_a_counterpart_is_named_and_the_rest_audited(folders, tmp_path, capsys):
    save(
        tmp_path / "lr", {"stray": PHOTOS["astronaut"], **{n: TOOLS["Pillow's box"](hr, 4) for n, hr in PHOTOS.items()}}
    )
    code, out, err = call(capsys, "audit", folders / "hr", tmp_path / "lr", "--scale", 4, "--jobs", 1)
    assert code == 1
    assert "Pillow's box" in out.splitlines()[-1]
    assert err.count("\n") == 1
    assert "stray.png belongs to no HR image" in err


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("hr", "absent", "--scale", 4), "absent"),
        (("hr", "pillow", "--scale", 3), "it fits scale 4"),
        (("hr", "pillow", "--scale", 1), "--scale"),
        (("hr", "pillow", "--scale", 4, "--picture", "a.gif"), ".png"),
        (("hr", "pillow", "--scale", 4, "--picture", "no/a.png"), "does not exist"),
        (("hr", "pillow", "--scale", 4, "--json", "no/a.json"), "does not exist"),
        (("hr", "names", "--scale", 4), "belongs to"),
        (("hr", "broken", "--scale", 4), "broken or truncated"),
    ],
)
def test_wrong_input_is_one_line(folders, monkeypatch, capsys, args, words):
    monkeypatch.chdir(folders)
    save(folders / "names", {"x": PHOTOS["astronaut"][::4, ::4]})
    (folders / "broken").mkdir(exist_ok=True)
    for name in PHOTOS:
        (folders / "broken" / f"{name}.png").write_bytes((folders / "hr" / f"{name}.png").read_bytes()[:500])
    code, out, err = call(capsys, "audit", *args, "--jobs", 1)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert words in err


def test_evaluate_warns_in_one_line_and_in_the_json(folders, capsys):
    args = (
        "evaluate",
        "bicubic",
        "--data",
        folders / "hr",
        "--scale",
        4,
        "--jobs",
        1,
        "--device",
        "cpu",
        "--json",
        "-",
    )
    code, out, err = call(capsys, *args, "--lr", folders / "every")
    assert (code, err.count("\n")) == (0, 1)
    assert err.startswith(
        f"drnbench: warning: LR images in {folders / 'every'} are shifted by (+1.50, +1.50) HR pixels"
    )
    assert json.loads(out)["warnings"][0] in err
    code, out, err = call(capsys, *args, "--lr", folders / "pillow")
    assert (code, err) == (0, "")
    assert "warnings" not in json.loads(out)


STUDY = '''"""Does it help?"""

from drnbench import Axis, Data, Evaluate, Stage, Study, Table, Trial

study = Study(
    base=Trial(
        method="drn", model={{"n_blocks": 1, "n_feats": 2}}, scale=4,
        stages=[Stage("train", data=Data({hr!r}, lr={lr!r}), steps=2, batch=2, patch=32, holdout=0)],
        evaluate=[Evaluate({hr!r}, lr={lr!r}, kernel={kernel!r})],
    ),
    axes=[Axis("train.steps", [1, 2])], seeds=1, baseline={{"train.steps": 1}}, outputs=[Table(rows="train.steps")],
    allow_overlap="LR images are looked at, not scores",
)
'''


def plan_of(folder, store, lr, kernel="bicubic"):
    (folder / "asks.py").write_text(STUDY.format(hr=str(store / "hr"), lr=str(store / lr), kernel=kernel))
    return declare(folder / "asks.py").plan(Store(folder / "results"))


def test_a_study_warns_once_and_measures_once(folders, tmp_path, monkeypatch):
    plan = plan_of(tmp_path, folders, "every")
    (warning,) = plan.warnings
    assert f"LR images in {folders / 'every'} are shifted by (+1.50, +1.50) HR pixels" in warning
    assert plan.record().displaced == [warning]
    monkeypatch.setattr("drnbench.forensics.displacement.measured", None)  # nothing is measured again
    assert plan_of(tmp_path, folders, "every").warnings == [warning]


def test_a_study_with_aligned_images_has_no_warning(folders, tmp_path):
    assert plan_of(tmp_path, folders, "pillow").warnings == []


def test_captions_carry_the_warning(folders, tmp_path):
    (tmp_path / "asks.py").write_text(STUDY.format(hr=str(folders / "hr"), lr=str(folders / "every"), kernel="bicubic"))
    store, _ = finish(tmp_path / "asks.py", tmp_path / "results")
    report = write(store, "asks")
    (page,) = [file.read_text(encoding="utf-8") for file in report.files if file.name == "report.html"]
    assert page.count("are shifted by (+1.50, +1.50) HR pixels") >= 2  # beside the warnings of the plan, in the caption
    tables = [file.read_text(encoding="utf-8") for file in report.files if file.name.endswith("_steps.tex")]
    assert tables
    assert all("PSNR will be too low" in table for table in tables)
