from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from PIL import Image

from drnbench import degradations
from drnbench.config.study import Axis, Study
from drnbench.config.trial import Data, Evaluate
from drnbench.degradations import kernels, parse
from drnbench.degradations.kernel import Kernel
from drnbench.outputs import kernel_weights, report
from drnbench.outputs import kernels as kernelfigure
from drnbench.results import reading
from drnbench.results.scores import Scores
from drnbench.store import Store, write_json
from tests.fake_store import PRETRAIN, fill, plan_of
from tests.outputs.conftest import gain, rho_study
from tests.outputs.shapes import KERNELS, SKEWED, dual_study, one_stage, real_study

FOUR = ("bicubic", "bd", "nearest", "gaussian:sigma=2.0")


def scored_on(*specs: str, scale: int = 4, **fields: Any) -> Study:
    """Trained on bicubic pairs, tested on some kernels."""
    evaluate = [Evaluate("photos/test", kernel=spec) for spec in specs]
    # DRN exists at powers of two.
    stages = [PRETRAIN.model_copy(update={"dual": "single"})]
    network: dict[str, Any] = {"method": "edsr", "stages": stages} if scale == 3 else {}
    wanted: dict[str, Any] = {
        "base": one_stage(scale=scale, evaluate=evaluate, **network), "axes": [Axis("pretrain.lam", [0, 0.1])], "seeds": 1,
        "baseline": {"pretrain.lam": 0},
    }  # fmt: skip
    return Study(**{**wanted, **fields})


def grid(scales: list[int]) -> Study:
    """Kernels times scales, as studies/kernel_scale_grid.py has them."""
    by_name = {k: {"pretrain.data.kernel": k, "evaluate.*.kernel": k} for k in FOUR}
    return scored_on("bicubic", axes=[Axis("kernel", by_name), Axis("scale", scales)], baseline={"kernel": "bicubic"})


def planned(store: Store, study: Study, name: str = "kernels") -> Scores:
    """A study that is planned and of which nothing has run."""
    fill(store, plan_of(study, name), gain, done=lambda trial: False)
    return reading.read(store, name)


def drawn(scores: Scores, store: Store) -> Any:
    figure = kernelfigure.draw(scores, store)
    assert figure is not None
    return figure


def pictures(figure: Any) -> list[Any]:
    """The images of the panels, in their order."""
    return [image for ax in figure.axes for image in ax.images]


def boxes_of(figure: Any) -> list[Any]:
    """The panels' boxes in inches."""
    figure.canvas.draw()
    return [image.axes.get_window_extent().transformed(figure.dpi_scale_trans.inverted()) for image in pictures(figure)]


def texts(figure: Any) -> list[Any]:
    """Titles, what stands below the panels, and scales."""
    panels = [ax for ax in figure.axes if ax.images]
    return [text for ax in panels for text in (ax.title, ax.xaxis.label, *ax.texts) if text.get_text()]


def words(scores: Scores, store: Store) -> str:
    return "\n".join(text.get_text() for text in texts(drawn(scores, store).figure))


def test_a_report_has_the_figure_before_anything_ran(store: Store) -> None:
    planned(store, rho_study(), "unpaired")
    written = report.write(store, "unpaired")
    assert {"figure_kernels.pdf", "figure_kernels.png"} <= {path.name for path in written.files}
    assert written.incomplete == 16
    folder = store.study("unpaired/quick")
    assert b"/Type3" not in (folder / "figure_kernels.pdf").read_bytes()
    with Image.open(folder / "figure_kernels.png") as picture:
        assert picture.width == 680
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "figure_kernels.pdf" in page
    assert "Degradation kernels of the study" in page


def test_panels_are_the_kernels_of_the_plan_with_their_roles(store: Store) -> None:
    shown = kernel_weights.panels(planned(store, rho_study()), store)
    # The control alone trains on pairs of bd.
    assert [(p.spec, p.scale, p.roles) for p in shown] == [
        ("bicubic", 4, ("train", "test")), ("bd", 4, ("train", "unpaired", "test")),
    ]  # fmt: skip
    shown = kernel_weights.panels(planned(store, dual_study(), "dual"), store)
    skewed = "anisotropic:angle=45.0,sigma_x=3.0,sigma_y=1.0"
    specs = ["bicubic", "bd", "gaussian:sigma=2.0", skewed]
    assert [(p.spec, p.scale) for p in shown] == [(spec, scale) for scale in (2, 4) for spec in specs]
    assert len(KERNELS) + 1 == len(specs)
    assert all(p.roles == (("train",) if p.spec == "bicubic" else ("test",)) for p in shown)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_weights_are_the_impulse_also_from_the_cache(store: Store, scale: int, monkeypatch: pytest.MonkeyPatch) -> None:
    scores = planned(store, scored_on(*FOUR, SKEWED, "bicubic:noise=8", scale=scale))
    want = {p.spec: parse(p.spec).impulse(scale).numpy() for p in kernel_weights.panels(scores, store)}
    assert len(want) == 6

    def unwanted(spec: str) -> Kernel:
        raise AssertionError(f"{spec} is made again")

    monkeypatch.setattr(degradations, "parse", unwanted)
    again = kernel_weights.panels(scores, store)
    assert {p.spec for p in again} == want.keys()
    for panel in again:
        assert panel.weights is not None
        assert panel.weights.dtype == np.float64
        np.testing.assert_array_equal(panel.weights, want[panel.spec])


def test_pictures_are_the_weights_and_negative_ones_are_seen(store: Store) -> None:
    scores = planned(store, scored_on("bicubic", "gaussian:sigma=2.0"))
    images = pictures(drawn(scores, store).figure)
    shown = kernel_weights.panels(scores, store)
    assert len(images) == len(shown) == 2
    for picture, panel in zip(images, shown, strict=True):
        assert panel.weights is not None
        pixels = np.asarray(picture.get_array())
        assert pixels.shape == (16, 16)
        np.testing.assert_allclose(pixels, panel.weights / panel.weights.max(), atol=1e-15)
    lobe = float(np.asarray(images[0].get_array()).min())
    assert lobe < -0.05
    red, _, blue, _ = images[0].cmap(images[0].norm(lobe))
    assert blue - red > 0.15
    middle = images[0].cmap(images[0].norm(0.0))
    assert min(middle[:3]) > 0.95


def test_two_spellings_are_one_panel(store: Store) -> None:
    turned = "anisotropic:sigma_x=3,sigma_y=1,angle=45"
    shown = kernel_weights.panels(planned(store, scored_on("bd:sigma=1.6", "bd", SKEWED, turned)), store)
    assert [p.spec for p in shown] == ["bicubic", "bd", "anisotropic:angle=45.0,sigma_x=3.0,sigma_y=1.0"]


def test_real_images_have_no_picture_and_the_caption_says_so(store: Store) -> None:
    scores = planned(store, real_study())
    shown = {p.spec: p for p in kernel_weights.panels(scores, store)}
    assert shown["real"].weights is None
    assert shown["real"].roles == ("test",)
    figure = drawn(scores, store)
    assert len(pictures(figure.figure)) == 2  # bicubic and bd
    assert "Without a picture: real (test: the images are LR already)." in figure.caption
    assert "real" not in words(scores, store)


def test_a_study_of_real_images_alone_has_no_figure(store: Store) -> None:
    scores = planned(store, real_study())
    trials = [trial.model_copy(update={"config": None}) for trial in scores.plan.trials]
    scores = replace(scores, plan=scores.plan.model_copy(update={"trials": trials}))
    assert [p.spec for p in kernel_weights.panels(scores, store)] == ["real"]
    assert kernelfigure.draw(scores, store) is None


def test_parameters_and_roles_stand_below(store: Store) -> None:
    notes = words(planned(store, scored_on("bd:sigma=2.4,size=9", "bicubic:border=replicate,noise=10,jpeg=60")), store)
    lines = [" ".join(line.split()) for line in notes.splitlines()]
    for line in ("σ=2.4, size=9", "9 × 9, largest 0.031", "border=symmetric", "border=replicate", "train", "test"):
        assert line in lines
    assert "then noise σ=10 and JPEG 60" in " ".join(lines)


def test_noise_and_jpeg_are_explained_in_the_caption_where_there_are_some(store: Store) -> None:
    with_some = drawn(planned(store, scored_on("bd:jpeg=60"), "some"), store).caption
    assert "JPEG (quality) follow the kernel" in with_some
    assert "JPEG" not in drawn(planned(store, scored_on("bd"), "none"), store).caption


def test_a_grid_has_a_row_for_each_scale_and_a_column_for_each_kernel(store: Store) -> None:
    scores = planned(store, grid([2, 4]))
    figure = drawn(scores, store)
    boxes = boxes_of(figure.figure)
    assert len(boxes) == 8
    assert len({round(box.x0, 6) for box in boxes}) == 4
    bottoms = [round(box.y0, 6) for box in boxes]
    assert bottoms[:4] == [max(bottoms)] * 4  # ×2 above
    assert bottoms[4:] == [min(bottoms)] * 4
    sides = [p.get_array().shape[0] for p in pictures(figure.figure)]
    assert sides == [14] * 4 + [16] * 4
    assert "14 × 14 at ×2, 16 × 16 at ×4" in figure.caption
    assert {"×2", "×4"} <= set(words(scores, store).splitlines())


def test_many_kernels_wrap_within_the_page(store: Store) -> None:
    specs = [f"gaussian:sigma={sigma / 2}" for sigma in range(1, 8)]
    figure = drawn(planned(store, scored_on(*specs)), store)
    width, height = figure.figure.get_size_inches()
    assert width <= 7.0
    boxes = boxes_of(figure.figure)
    bottoms = [round(box.y0, 6) for box in boxes]
    assert [bottoms.count(b) for b in dict.fromkeys(bottoms)] == [5, 3]
    assert all(box.x0 >= 0 and box.x1 <= width and box.y0 >= 0 and box.y1 <= height for box in boxes)


@pytest.mark.parametrize("study", [grid([2, 4]), scored_on("bicubic"), scored_on(SKEWED, "bicubic:noise=8,jpeg=60")])
def test_nothing_is_clipped_and_no_words_overlap(store: Store, study: Study) -> None:
    figure = drawn(planned(store, study), store).figure
    figure.canvas.draw()
    boxes = [text.get_window_extent() for text in texts(figure)]
    for n, box in enumerate(boxes):
        assert 0 <= box.x0 < box.x1 <= figure.bbox.width
        assert 0 <= box.y0 < box.y1 <= figure.bbox.height
        for other in boxes[:n]:
            assert not box.overlaps(other)


def test_a_single_kernel_is_small(store: Store) -> None:
    width, height = drawn(planned(store, scored_on("bicubic")), store).figure.get_size_inches()
    assert width == pytest.approx(3.4)
    assert height < 1.6
    # At several scales it stays one row.
    study = scored_on("bicubic", axes=[Axis("scale", [2, 4, 8])], baseline={"scale": 2})
    again = drawn(planned(store, study, "scales"), store)
    assert again.figure.get_size_inches()[1] == pytest.approx(height)
    assert [p.get_array().shape[0] for p in pictures(again.figure)] == [10, 16, 32]
    assert "10 × 10 at ×2, 16 × 16 at ×4, 32 × 32 at ×8" in again.caption


def test_a_window_loses_faint_weights_alone(store: Store) -> None:
    scores = planned(store, scored_on("bd", SKEWED, "gaussian:sigma=4.0"))
    shown = kernel_weights.panels(scores, store)
    side = kernelfigure.window(shown)
    for panel in shown:
        assert panel.weights is not None
        cut = (len(panel.weights) - side) // 2
        outside = panel.weights.copy()
        if cut > 0:
            outside[cut:-cut, cut:-cut] = 0
            assert np.abs(outside).max() < 0.01 * panel.weights.max()
    assert max(len(p.weights) for p in shown if p.weights is not None) >= side
    assert side % 2 == 0
    only = [p for p in shown if p.spec == "bd"]
    assert kernelfigure.window(only) < side
    skewed = drawn(planned(store, scored_on(SKEWED), "skewed"), store)
    assert "below 1 % of a kernel's largest weight, and at most 0.1 % of its absolute weight" in skewed.caption
    assert "Cut off" not in drawn(planned(store, scored_on("nearest"), "whole"), store).caption


def test_a_kernel_file_that_changes_is_read_again_and_one_that_is_gone_is_named(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "blur.npy"
    np.save(path, np.eye(4))
    scores = planned(store, scored_on(f"file:path={path}"))
    _, before = kernel_weights.panels(scores, store)
    np.save(path, np.ones((6, 6)))
    _, after = kernel_weights.panels(scores, store)
    assert before.weights is not None
    assert after.weights is not None
    np.testing.assert_allclose(before.weights, np.eye(4) / 4)
    np.testing.assert_allclose(after.weights, np.full((6, 6), 1 / 36))
    path.unlink()
    assert f"file blur.npy (test: {path} does not exist" in drawn(scores, store).caption


@pytest.fixture
def plug_in(monkeypatch: pytest.MonkeyPatch) -> type[Kernel]:
    """A kernel of another package, which does not state its weights."""
    kernels.list()
    monkeypatch.setattr(kernels, "_entries", dict(kernels._entries))

    @kernels.register("outside")
    class Outside(Kernel):
        name: ClassVar[str] = "outside"
        summary: ClassVar[str] = "of another package"
        a: int = 1

    return Outside


def test_a_plug_in_is_drawn_where_it_states_its_weights(
    store: Store, plug_in: type[Kernel], monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = planned(store, scored_on("outside"))
    assert "outside (test: kernel 'outside' does not state its weights" in drawn(scores, store).caption
    # Its code may change without a trace in the store, so nothing of it is kept.
    bd = parse("bd")
    monkeypatch.setattr(plug_in, "taps", lambda self, scale: bd.taps(scale))
    shown = {p.spec: p.weights for p in kernel_weights.panels(scores, store)}["outside"]
    assert shown is not None
    np.testing.assert_array_equal(shown, bd.impulse(4).numpy())
    monkeypatch.setattr(plug_in, "taps", lambda self, scale: 1 / 0)
    assert "outside (test: its weights fail with ZeroDivisionError" in drawn(scores, store).caption


def test_a_plug_in_that_is_not_installed_is_named(store: Store, plug_in: type[Kernel]) -> None:
    scores = planned(store, scored_on("bd", base=one_stage(evaluate=[Evaluate("photos/test", kernel="outside:a=2")])))
    del kernels._entries["outside"]
    assert "outside, a=2 (test: unknown kernel 'outside'" in drawn(scores, store).caption


def test_a_plan_of_an_earlier_version_shows_what_is_tested_on(store: Store) -> None:
    stage = PRETRAIN.model_copy(update={"data": Data("photos/train", kernel="nearest")})
    planned(store, scored_on("bd", base=one_stage(stages=[stage], evaluate=[Evaluate("photos/test", kernel="bd")])))
    path = store.study("kernels/quick") / "plan.json"
    plan = json.loads(path.read_text(encoding="utf-8"))
    for trial in plan["trials"]:
        del trial["config"]
    write_json(path, plan)
    shown = kernel_weights.panels(reading.read(store, "kernels"), store)
    assert [(p.spec, p.roles) for p in shown] == [("bd", ("test",))]
