"""NIQE against other implementations: features everywhere, scores where the authors' model is."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest

from drnbench.config.protocol import Protocol
from drnbench.data.images import read_rgb
from drnbench.datasets.photos import photos
from drnbench.errors import DataError, UsageError
from drnbench.evaluation import metrics, niqe
from drnbench.evaluation.metric import Item
from drnbench.evaluation.niqe import Pristine, distance, features
from drnbench.evaluation.protocol import luma

REPOSITORY = Path(__file__).resolve().parents[2]
PLAIN = Pristine(np.zeros(36), np.eye(36))
NOISE = np.random.default_rng(0).integers(0, 256, (208, 304, 3), dtype=np.uint8)


def photo(name):
    return read_rgb(dict(photos("test"))[name])


@pytest.fixture
def model(monkeypatch):
    """Set TORCH_HOME to a folder that has the authors' model."""
    folder = Path(os.environ.get("TORCH_HOME") or REPOSITORY.parent / "shared" / "torch_home").resolve()
    monkeypatch.setenv("TORCH_HOME", str(folder))
    file = folder / "hub" / "checkpoints" / "modelparameters.mat"
    try:
        metrics.get("niqe").check_available()
    except UsageError:
        if file.exists():
            raise
        pytest.skip(f"{file} of the authors' release (github.com/utlive/niqe) is not there")


@pytest.fixture
def nowhere(monkeypatch, tmp_path):
    """Set TORCH_HOME to an empty folder, hide BasicSR, and return where the model is looked for."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setitem(sys.modules, "basicsr", None)
    checkpoints = tmp_path / "hub" / "checkpoints"
    checkpoints.mkdir(parents=True)
    return checkpoints / "modelparameters.mat"


def test_features_of_a_photograph():
    # basicsr.metrics.niqe of BasicSR 1.4.2 in float64, mean over the blocks; the photograph has no flat areas.
    # fmt: off
    expected = [
        2.0618333, 0.7065033, 0.6836667, 0.0796892, 0.0808827, 0.1135931, 0.7099167, 0.0387727, 0.0927885,
        0.1153447, 0.6982500, -0.0232060, 0.1113745, 0.0929318, 0.6812500, 0.0097118, 0.0956174, 0.0964451,
        2.1870000, 0.7564775, 0.7442500, 0.0894616, 0.0891093, 0.1366935, 0.7425000, 0.0486392, 0.0963211,
        0.1284392, 0.7273333, -0.0078527, 0.1115461, 0.1060568, 0.7373333, 0.0019706, 0.1106072, 0.1093218,
    ]
    # fmt: on
    of = features(luma(photo("chelsea"), y_round=True))
    assert of.shape == (12, 36)
    np.testing.assert_allclose(of.mean(axis=0), expected, atol=1e-6)


def test_features_are_of_whole_blocks_row_by_row():
    luma = NOISE[:, :, 0].astype(float)
    of = features(luma)
    assert of.shape == (6, 36)
    np.testing.assert_array_equal(of, features(luma[:192, :288]))
    flat = luma.copy()
    flat[:110, 180:] = 90  # all of the third block, and what its window sees
    whole = ~np.isnan(features(flat)).any(axis=1)
    assert whole.tolist() == [True, True, False, True, True, True]


def test_rounding_noise_of_flat_areas_is_not_counted():
    luma = NOISE[:, :, 0].astype(float)
    luma[20:60] = 90
    # No feature knows brightness. Yet with 91 for 90 the flat rows less their mean round to another sign, and if that
    # is counted, features move by 0.1.
    for brighter in (0.7, 1, 2, 13.1):
        np.testing.assert_allclose(features(luma + brighter), features(luma), atol=1e-9)


def test_distance_is_that_of_the_paper():
    rng = np.random.default_rng(1)
    of = rng.normal(size=(50, 36))
    away = PLAIN.mean - of.mean(axis=0)
    mixed = (PLAIN.covariance + np.cov(of.T)) / 2
    assert distance(of, PLAIN) == pytest.approx(float(np.sqrt(away @ np.linalg.solve(mixed, away))), rel=1e-9)
    same = np.ones((4, 36))  # no covariance of its own: half the identity is left, so the distance is sqrt(2 * 36)
    assert distance(same, PLAIN) == pytest.approx(72**0.5)
    same[0, 3] = np.nan  # left out of the covariance, and of the mean where it is missing
    assert distance(same, PLAIN) == pytest.approx(72**0.5)


def test_the_metric_looks_at_rounded_luma_without_the_border(monkeypatch):
    monkeypatch.setattr(niqe, "pristine", lambda: PLAIN)
    metric = metrics.get("niqe")
    y = luma(NOISE[4:-4, 4:-4], y_round=True)
    value = metric.score(NOISE, NOISE, 4, Protocol())
    assert value == distance(features(y), PLAIN)
    assert metric.score(NOISE, NOISE, 2, Protocol(border=4)) == value
    assert metric.score(NOISE, NOISE, 4, Protocol(border=0)) != value
    exact = NOISE.astype(np.float32) + np.float32(0.4)
    item = Item("x", None, NOISE, None, 4, "bicubic", exact=exact)
    assert metric.measure(item, Protocol()) == value
    assert metric.measure(item, Protocol(quantise=False)) != value
    assert metric.score(NOISE, NOISE, 4, Protocol(y_round=True)) == value
    assert set(Protocol().fields_of(metric)) == {"border", "quantise"}
    assert not metric.needs


def test_images_that_niqe_cannot_take(monkeypatch):
    monkeypatch.setattr(niqe, "pristine", lambda: PLAIN)
    metric = metrics.get("niqe")
    with pytest.raises(DataError, match="two blocks of 96 x 96 pixels, but 191 x 100 pixels are left"):
        metric.score(NOISE[:108, :199], NOISE, 4, Protocol())
    assert metric.score(NOISE[:96, :192], NOISE, 4, Protocol(border=0)) > 0
    with pytest.raises(DataError, match="nearly flat"):
        metric.score(np.full_like(NOISE, 7), NOISE, 4, Protocol())
    with pytest.raises(DataError, match="not an H x W x 3 RGB image"):
        metric.score(NOISE[:, :, 0], NOISE, 4, Protocol())


def test_a_missing_model_is_reported(nowhere):
    with pytest.raises(UsageError, match=r"save modelparameters.mat of github.com/utlive/niqe as") as caught:
        metrics.get("niqe").check_available()
    assert str(nowhere) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_another_model_is_refused(nowhere):
    from scipy.io import savemat

    savemat(nowhere, {"mu_prisparam": np.zeros((1, 36)), "cov_prisparam": np.eye(36)})
    with pytest.raises(UsageError, match=r"is not the model of NIQE's authors.*github.com/utlive/niqe"):
        metrics.get("niqe").check_available()


@pytest.mark.parametrize("content", [b"", b"<html>not found</html>" * 50])
def test_a_broken_model_is_one_line(nowhere, content):
    nowhere.write_bytes(content)
    with pytest.raises(UsageError, match="is broken") as caught:
        metrics.get("niqe").check_available()
    assert str(nowhere) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_basicsr_is_read_and_not_imported(nowhere, monkeypatch, tmp_path):
    monkeypatch.delitem(sys.modules, "basicsr")
    folder = tmp_path / "site" / "basicsr" / "metrics"
    folder.mkdir(parents=True)
    (folder.parent / "__init__.py").write_text("raise RuntimeError\n")
    np.savez(folder / "niqe_pris_params.npz", mu_pris_param=np.zeros((1, 36)), cov_pris_param=np.eye(36))
    monkeypatch.syspath_prepend(tmp_path / "site")
    with pytest.raises(UsageError, match=r"niqe_pris_params.npz is not the model of NIQE's authors"):
        metrics.get("niqe").check_available()


def test_score_of_an_embedded_photograph(model):
    camera = photo("camera")
    value = metrics.get("niqe").score(camera, camera, 4, Protocol(border=0))
    # basicsr.metrics.calculate_niqe of BasicSR 1.4.2 on Y: 3.15522 in float32 as released, 3.15632 in float64.
    assert value == pytest.approx(3.1558, abs=1e-3)
    assert value == pytest.approx(3.155845, abs=1e-5)
    assert metrics.get("niqe").score(camera, camera, 4, Protocol()) == pytest.approx(3.146701, abs=1e-5)


def test_score_of_matlab(model, shared_data):
    # The authors' release in MATLAB R2021a on Y of Set14's baboon: 5.72957338 (docstring of BasicSR's niqe.py).
    (path,) = (shared_data / "Set14" / "HR").glob("baboon.*")
    baboon = read_rgb(path)
    assert metrics.get("niqe").score(baboon, baboon, 4, Protocol(border=0)) == pytest.approx(5.72957338, abs=1e-6)


def test_blur_and_noise_are_less_natural(model):
    from scipy.ndimage import gaussian_filter

    clean = photo("chelsea")
    noisy = (clean + np.random.default_rng(0).normal(0, 25, clean.shape)).clip(0, 255)
    scores = [
        metrics.get("niqe").score(x, clean, 4, Protocol()) for x in (clean, gaussian_filter(clean, (2, 2, 0)), noisy)
    ]
    assert scores[0] < min(scores[1:])
