"""The numbers of the field, to the last digit, and the steps that lead to them."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from skimage.metrics import structural_similarity

from drnbench.config.protocol import Protocol
from drnbench.data.images import mod_crop, read_rgb, to_tensor, to_uint8
from drnbench.datasets.sources import resolve
from drnbench.degradations import parse
from drnbench.degradations.resize import upsample
from drnbench.errors import DataError, UsageError
from drnbench.evaluation import metrics
from drnbench.evaluation.protocol import align, luma, prepare

NOISE = np.random.default_rng(0).integers(0, 256, (2, 40, 52, 3), dtype=np.uint8)


def bicubic(folder, scale):
    for image in resolve(str(folder)).images:
        hr = mod_crop(read_rgb(image.path), scale)
        lr = parse("bicubic").degrade(to_tensor(hr), scale)
        yield to_uint8(upsample(lr, scale, quantize=True)), hr


@pytest.mark.parametrize(
    ("name", "scale", "psnr", "ssim"),
    [
        ("Set5", 2, 33.6734, 0.9303),
        ("Set5", 4, 28.4290, 0.8111),
        ("Set5", 8, 24.3972, 0.6581),
        pytest.param("Set14", 2, 30.3246, 0.8699, marks=pytest.mark.real),
        pytest.param("Set14", 4, 26.0884, 0.7048, marks=pytest.mark.real),
        pytest.param("Set14", 8, 23.1835, 0.5666, marks=pytest.mark.real),
        pytest.param("B100", 4, 25.9613, 0.6681, marks=pytest.mark.real),
        pytest.param("B100", 8, 23.6673, 0.5443, marks=pytest.mark.real),
    ],
)
def test_numbers_to_hit(shared_data, name, scale, psnr, ssim):
    pairs = list(bicubic(shared_data / name, scale))
    means = [
        np.mean([metrics.get(metric).score(sr, hr, scale, Protocol()) for sr, hr in pairs])
        for metric in ("psnr_y", "ssim_y")
    ]
    assert means[0] == pytest.approx(psnr, abs=0.001)
    assert means[1] == pytest.approx(ssim, abs=0.0001)


def test_rounded_luma_gives_the_number_of_the_tables(shared_data):
    rounded = Protocol(y_round=True)
    scores = [metrics.get("psnr_y").score(sr, hr, 4, rounded) for sr, hr in bicubic(shared_data / "Set5", 4)]
    assert f"{np.mean(scores):.2f}" == "28.42"


def test_luma_is_bt601_in_studio_range():
    colours = np.array([[[0, 0, 0], [255, 255, 255], [255, 0, 0], [0, 255, 0], [0, 0, 255]]], np.uint8)
    y = luma(colours)
    assert y.dtype == np.float64
    np.testing.assert_allclose(y, [[16, 235, 81.481, 144.553, 40.966]], atol=1e-12)
    assert luma(colours, y_round=True).tolist() == [[16, 235, 81, 145, 41]]


@pytest.mark.parametrize("metric", ["psnr_y", "ssim_y"])
def test_metrics_are_symmetric_and_best_for_identical_images(metric):
    score = metrics.get(metric).score
    a, b = NOISE
    assert score(a, a, 2, Protocol()) == (math.inf if metric == "psnr_y" else 1)
    assert score(a, b, 2, Protocol()) == pytest.approx(score(b, a, 2, Protocol()), abs=1e-12)
    assert score(a, b, 2, Protocol()) < score(a, a, 2, Protocol())


def test_psnr_of_a_known_difference():
    a = np.full((20, 20, 3), 100, np.uint8)
    by_hand = 20 * math.log10(255 / (10 * 219 / 255))
    assert metrics.get("psnr_y").score(a, a + np.uint8(10), 1, Protocol()) == pytest.approx(by_hand, abs=1e-9)


@pytest.mark.parametrize("border", [None, 0, 7])
def test_only_the_border_is_shaved(border):
    protocol = Protocol(border=border)
    a = NOISE[0]
    b = a.copy()
    edge = 4 if border is None else border
    b[:edge], b[-edge or 40 :], b[:, :edge], b[:, -edge or 52 :] = 0, 0, 0, 0
    assert metrics.get("psnr_y").score(a, b, 4, protocol) == math.inf
    b[edge, edge] = 255 - a[edge, edge]
    assert metrics.get("psnr_y").score(a, b, 4, protocol) < math.inf


def test_alignment_quantises_sr_and_crops_hr():
    hr = NOISE[0]
    sr = hr[:39, :51].astype(np.float32) + 0.4
    whole_sr, whole_hr = align(sr, hr, 3, Protocol())
    assert whole_sr.dtype == np.uint8
    assert (whole_sr == whole_hr).all()
    assert whole_hr.shape == (39, 51, 3)
    assert prepare(sr, hr, 3, Protocol())[0].shape == (33, 45, 3)


@pytest.mark.parametrize(
    ("sr", "scale", "error", "message"),
    [
        (NOISE[1][:36], 4, DataError, "SR is 52 x 36 .* HR is 52 x 40"),
        (NOISE[1][:39], 3, DataError, "51 x 39 when cropped to a multiple of 3"),
        (NOISE[1], 3, DataError, "crop both to their top left 51 x 39"),
        (NOISE[1][..., 0], 4, DataError, "not an H x W x 3 RGB"),
        (np.full((40, 52, 3), np.nan), 4, DataError, "not finite"),
        (NOISE[1][:, :40], 20, DataError, "nothing left"),
        (NOISE[1], 0, UsageError, "at least 1"),
        (NOISE[1], 52, DataError, "too small for scale 52"),
    ],
)
def test_pairs_that_do_not_fit(sr, scale, error, message):
    with pytest.raises(error, match=message):
        metrics.get("psnr_y").score(sr, NOISE[0], scale, Protocol())


def test_an_image_too_small_for_the_window():
    small = NOISE[0][:12, :12]
    assert metrics.get("psnr_y").score(small, small, 1, Protocol()) == math.inf
    with pytest.raises(DataError, match="11 x 11 window"):
        metrics.get("ssim_y").score(small, small, 1, Protocol())


def test_captions_state_the_protocol():
    usual = [metrics.get("psnr_y"), metrics.get("ssim_y")]
    assert Protocol().caption(usual, 4) == (
        "PSNR and SSIM on Y of BT.601 (studio range, float64, not rounded), border of 4 pixels shaved, "
        "SR rounded to 8 bit, mean over images"
    )
    assert "rounded to integers), border of 1 pixel shaved" in Protocol(y_round=True).caption(usual, 1)
    assert "no border shaved" in Protocol(border=0).caption(usual, 8)
    assert "as many pixels as the scale" in Protocol().caption(usual)
    assert "clamped to 0..255 and not rounded" in Protocol(quantise=False).caption(usual, 4)
    both = Protocol().caption([*usual, metrics.get("psnr_rgb")], 4)
    assert both.startswith("PSNR and SSIM on Y of BT.601 (studio range, float64, not rounded); PSNR on RGB, border")
    assert Protocol().caption([metrics.get("lr_psnr")], 4) == ""


def test_a_tag_states_the_settings_that_affect_each_metric():
    shown = {name: metrics.get(name) for name in ("psnr_y", "ssim_rgb", "lr_psnr")}
    assert Protocol(y_round=True).tag(shown, 4) == (
        "psnr_y v1: Y of BT.601 y_round=true border=4 quantise=true; ssim_rgb v1: RGB border=4 quantise=true; "
        "lr_psnr v1: y_round=true border=4"
    )
    assert "border=scale" in Protocol().tag(shown)
    assert Protocol(y_round=True).fields_of(metrics.get("psnr_rgb")) == Protocol().fields_of(metrics.get("psnr_rgb"))


def test_rgb_scores_are_means_over_the_colours():
    a, b = NOISE
    planes = [np.repeat(x[..., None], 3, 2) for x in np.moveaxis(np.stack([a, b]), -1, 0).reshape(6, 40, 52)]
    red, green, blue = [(planes[2 * i], planes[2 * i + 1]) for i in range(3)]
    ssim, protocol = metrics.get("ssim_rgb"), Protocol()
    each = [ssim.score(x, y, 2, protocol) for x, y in (red, green, blue)]
    assert ssim.score(a, b, 2, protocol) == pytest.approx(np.mean(each), abs=1e-12)
    errors = [255**2 / 10 ** (metrics.get("psnr_rgb").score(x, y, 2, protocol) / 10) for x, y in (red, green, blue)]
    assert metrics.get("psnr_rgb").score(a, b, 2, protocol) == pytest.approx(
        10 * math.log10(255**2 / np.mean(errors)), abs=1e-9
    )


def test_sr_may_be_compared_before_it_is_rounded():
    hr = NOISE[0]
    sr = hr.astype(np.float32).clip(1, 254) + np.float32(0.4)
    assert metrics.get("psnr_y").score(sr, hr, 1, Protocol(quantise=False)) < 60
    clipped = np.where(hr > 127, 300.0, -20.0).astype(np.float32)
    black = np.where(hr > 127, 255, 0).astype(np.uint8)
    assert metrics.get("psnr_rgb").score(clipped, black, 1, Protocol(quantise=False)) == math.inf


def test_a_protocol_is_strict():
    with pytest.raises(ValueError, match="extra"):
        Protocol(shave=4)
    with pytest.raises(ValueError, match="boolean"):
        Protocol(y_round=1)
    with pytest.raises(ValueError, match="greater"):
        Protocol(border=-1)
    assert all(field.description for field in Protocol.model_fields.values())


def test_every_metric_is_described():
    for name in metrics.list():
        metric = metrics.get(name)
        assert metric.name == name
        assert metric.label
        assert metric.summary
        assert isinstance(metric.higher_is_better, bool)
        assert metric.decimals > 0


def test_scores_do_not_depend_on_the_number_of_threads():
    threads = torch.get_num_threads()
    try:
        hr = to_tensor(NOISE[0])
        torch.set_num_threads(2)
        two = parse("bd").degrade(hr, 4)
        torch.set_num_threads(1)
        assert torch.equal(parse("bd").degrade(hr, 4), two)
    finally:
        torch.set_num_threads(threads)


@settings(max_examples=20, deadline=None)
@given(st.integers(11, 60), st.integers(11, 700), st.integers(0, 2**32 - 1))
@example(12, 25_000, 0)  # a row that is more than a block
def test_ssim_is_that_of_scikit_image(height, width, seed):
    rng = np.random.default_rng(seed)
    a = rng.random((height, width)) * 219 + 16
    b = np.clip(a + rng.normal(0, rng.integers(0, 60), a.shape), 16, 235)
    expected = structural_similarity(
        a, b, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=255
    )
    assert metrics.get("ssim_y").compare(a, b) == pytest.approx(expected, abs=1e-13)
