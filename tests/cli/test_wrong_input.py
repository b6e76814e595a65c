"""Wrong input: one line on standard error with what, where and how to mend; exit 2; nothing was started."""

import numpy as np
import pytest
from PIL import Image

from drnbench.cli import main
from tests.helpers import write_study


@pytest.fixture
def refused(capsys, tmp_path, monkeypatch):
    """Call the command line and return its one line."""
    monkeypatch.chdir(tmp_path)

    def call(*args):
        code = main([str(a) for a in args])
        out, err = capsys.readouterr()
        assert code == 2, out + err
        assert err.count("\n") == 1, err
        assert err.startswith("drnbench: ")
        assert "Traceback" not in err
        assert not (tmp_path / "results" / "stages").exists()
        return err

    return call


def edited(tmp_path, old, new):
    path = write_study(tmp_path)
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    return path


def test_unknown_method(refused, tmp_path):
    assert "did you mean 'drn'" in refused("run", edited(tmp_path, 'method="drn"', 'method="dnr"'))
    assert "did you mean 'drn-s'" in refused("evaluate", "drns", "--scale", 4, "--data", "photos/test")


def test_a_drn_at_scale_3(refused, tmp_path):
    line = refused("run", edited(tmp_path, "scale=2", "scale=3"))
    assert "drn cannot be built at scale 3: it exists at 2, 4, 8" in line
    assert "drn-s cannot be built at scale 3" in refused("evaluate", "drn-s", "--scale", 3, "--data", "photos/test")


def test_a_trained_method_without_weights(refused):
    assert "give --weights FILE" in refused("evaluate", "drn-s", "--scale", 4, "--data", "photos/test")


def test_negative_lambda(refused, tmp_path):
    line = refused("run", edited(tmp_path, 'scheme="paired", data', 'scheme="paired", lam=-0.1, data'))
    assert "mini.py:6" in line
    assert "lam: must be greater than or equal to 0 (got -0.1)" in line


def test_rho_above_1(refused, tmp_path):
    line = refused("run", edited(tmp_path, "[0.0, 0.5]", "[0.0, 1.5]"))
    assert "adapt.rho: must be less than or equal to 1 (got 1.5)" in line


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("pretrian.steps=5", "did you mean 'pretrain'"),
        ("pretrain.setps=5", "did you mean 'pretrain.steps'"),
        ("adapt.unpaired.kernal=bd", "did you mean 'adapt.unpaired.kernel'"),
        ("model.n_feat=4", "did you mean 'n_feats'"),
        ("pretrain.steps=many", "pretrain.steps: must be a valid integer (got 'many')"),
        ("pretrain.steps", "write it as path=value"),
        ("adapt.rho=0.3", "is an axis of the study"),
        ("model.n_blocks=foo", "size 'n_blocks' must be a valid integer"),
        ("model.n_blocks=true", "size 'n_blocks' must be a valid integer"),
        ("evaluate.7.crop=9", "evaluate.0 to evaluate.1"),
    ],
)
def test_misspelt_set(refused, tmp_path, setting, message):
    assert message in refused("run", write_study(tmp_path), "--set", setting)


def test_missing_folder(refused, tmp_path):
    line = refused("run", write_study(tmp_path), "--set", "pretrain.data.source=nowhere/HR")
    assert "nowhere/HR" in line
    assert "looked in" in line


def photographs(folder, n, size):
    folder.mkdir()
    generator = np.random.default_rng(0)
    for i in range(n):
        Image.fromarray(generator.integers(0, 256, (size, size, 3), dtype=np.uint8)).save(folder / f"{i}.png")
    return folder


def test_corrupt_training_image(refused, tmp_path):
    folder = photographs(tmp_path / "hr", 3, 64)
    broken = folder / "1.png"
    broken.write_bytes(broken.read_bytes()[:200])
    assert str(broken) in refused("run", write_study(tmp_path), "--set", f"pretrain.data.source={folder}")


def test_images_smaller_than_the_patch(refused, tmp_path):
    folder = photographs(tmp_path / "hr", 3, 24)
    line = refused("run", write_study(tmp_path), "--set", f"pretrain.data.source={folder}")
    assert "24x24" in line
    assert "too small for a patch of 32" in line


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 / 0\n", "mini.py:1: the study file raises ZeroDivisionError"),
        ("import drnbench\nstudy = (\n", "mini.py:"),
        ("from drnbench import Studdy\n", "mini.py:1"),
        ("x = 1\n", "a study file defines `study = Study(...)`"),
        ("raise SystemExit\n", "raises SystemExit"),
    ],
)
def test_a_study_file_that_raises(refused, tmp_path, text, message):
    (tmp_path / "mini.py").write_text(text)
    assert message in refused("run", tmp_path / "mini.py")


def test_no_such_study(refused, tmp_path):
    write_study(tmp_path, name="rho_sweep")
    assert "did you mean 'rho_sweep.py'" in refused("run", tmp_path / "rho_sweeps.py")


def test_of_many_study_files_the_closest_are_named_first(refused, tmp_path):
    for name in [f"other{n}" for n in range(9)] + ["lambda_sweep"]:
        write_study(tmp_path, name=name)
    line = refused("plan", "lambda_swep.py")
    assert "did you mean 'lambda_sweep.py'? known: lambda_sweep.py, other" in line
    assert line.count("other") == 4
    assert refused("plan", ".").count("other") == 4
    assert refused("plan", tmp_path / "none.py").count(str(tmp_path)) == 1


def test_results_that_cannot_be_written(refused, tmp_path):
    (tmp_path / "file").write_text("")
    assert "choose another with --results DIR" in refused(
        "run", write_study(tmp_path), "--results", tmp_path / "file" / "r"
    )


def test_unpaired_data_missing_for_rho(refused, tmp_path):
    path = edited(tmp_path, 'unpaired=Data("photos/unpaired", kernel="bd", crop=96), ', "")
    assert "adapt.unpaired: rho = 0.5 needs unpaired=Data(...)" in refused("run", path)


def test_patch_and_scale(refused, tmp_path):
    assert "33 is not a multiple of the scale 2" in refused("run", write_study(tmp_path), "--set", "pretrain.patch=33")


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["runn"], "no such verb 'runn': did you mean 'run'"),
        (["rn", "studies/x.py"], "did you mean 'run'"),
        (["evalute"], "did you mean 'evaluate'"),
        (["run", "x.py", "--jobs", "0"], "--jobs"),
        (["evaluate", "bicubic", "--scale", "4", "--data", "/nowhere/x.mp4"], "/nowhere/x.mp4: no such video\n"),
        (["run"], "STUDY.py"),
        (["list", "metods"], "did you mean 'methods'"),
        (["evaluate", "bicubic", "--scale", "0", "--data", "photos/test"], "--scale"),
        (
            ["evaluate", "bicubic", "--scale", "4", "--data", "photos/test", "--kernel", "bicubik"],
            "did you mean 'bicubic'",
        ),
        (
            ["evaluate", "bicubic", "--scale", "4", "--data", "photos/test", "--metrics", "psnr"],
            "did you mean 'psnr_y'",
        ),
        (["evaluate", "drn", "--scale", "4", "--data", "photos/test", "--weights", "none.pt"], "no such file"),
        (
            ["evaluate", "bicubic", "--scale", "4", "--data", "photos/test", "--metrics", "psnr_y, psnr_y"],
            "each metric once",
        ),
        (["report", "studies/nothing.py"], "no study 'nothing'"),
        (["plan", "."], "is a folder"),
        (["evaluate", "bicubic", "--scale", "4", "--data", "/nowhere/HR"], "/nowhere/HR: no such folder; name"),
        (["evaluate", "bicubic", "--scale", "4", "--data", "./HR"], "./HR: no such folder; looked in /"),
        (["ui"], "results"),
        (["sync"], "holds no study yet"),
    ],
)
def test_other_wrong_words(refused, args, message):
    line = refused(*args)
    assert message in line
    assert "Input should" not in line


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--profile", "tinny"], "did you mean 'tiny'"),
        (["--executor", "lokal"], "did you mean 'local'"),
        (["--rerun", "fail"], "did you mean 'failed'"),
        (["--device", "gpu"], "unknown device 'gpu'"),
        (["--set", "seeds=0"], "seeds must be a whole number"),
    ],
)
def test_wrong_run_options(refused, tmp_path, options, message):
    assert message in refused("run", write_study(tmp_path), *options)


def test_weights_of_another_network(refused, tmp_path):
    import torch

    from drnbench import models

    torch.save(models.create("drn", 4, n_blocks=1, n_feats=2).state_dict(), tmp_path / "w.pt")
    args = (
        "evaluate",
        "drn",
        "--scale",
        4,
        "--data",
        "photos/test",
        "--set",
        "n_blocks=1",
        "--weights",
        tmp_path / "w.pt",
    )
    assert "another network: 'add_mean" not in refused(*args, "--set", "n_feats=4")
    (tmp_path / "junk.pt").write_bytes(b"junk")
    assert "no weights that can be read safely" in refused(*args[:-1], tmp_path / "junk.pt")


def test_a_study_with_an_unknown_field_names_the_nearest(refused, tmp_path):
    line = refused("run", edited(tmp_path, "baseline=", "baselin="))
    assert "baselin: there is no such field: did you mean 'baseline'" in line


def test_an_image_too_small_to_score_is_named(refused, tmp_path):
    photographs(tmp_path / "hr", 1, 8)
    assert "0.png: " in refused("evaluate", "bicubic", "--scale", 4, "--data", tmp_path / "hr")
