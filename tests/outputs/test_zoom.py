"""Zoomed crops: which images and boxes, and that every pixel of the PNG is one of the stored images."""

from __future__ import annotations

import csv
import io
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from drnbench import Crops, Table
from drnbench.errors import UsageError
from drnbench.outputs import compose, zoom_content, zoom_figure, zoom_tikz
from drnbench.render import style
from drnbench.results.reading import read
from drnbench.results.sr_images import sr_images
from drnbench.store import Store
from tests.fake_store import fill, plan_of
from tests.outputs.conftest import composed, gain, rho_study

BOXES = {"img01": ((8, 12, 32, 32), (64, 40, 16, 24)), "img03": ((0, 0, 24, 24),)}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    study = rho_study(outputs=[Table(rows="adapt.rho"), Crops(images=("img01", "img03"), boxes=BOXES, errors=True)])
    return fill(Store(tmp_path_factory.mktemp("zoom")), plan_of(study), gain, sr_images=True)


def content(store: Store, **fields: object) -> zoom_content.Content:
    scores = read(store, "unpaired")
    shown = zoom_content.content(scores, store, Crops(**fields))
    assert shown is not None
    return shown


@pytest.mark.fast_variants(1)
@pytest.mark.parametrize("width", ["page", "column"])
def test_pixels_in_the_png_are_those_of_the_stored_images(store, tmp_path, width):
    scores = read(store, "unpaired")
    output = Crops(images=("img01", "img03"), boxes=BOXES, errors=True, width=width)
    with style.styled():
        drawn = zoom_figure.draw(scores, store, output)
        files = {path.name: path for path in style.save(drawn, tmp_path)}
    png = np.asarray(Image.open(files["figure_crops.png"]).convert("RGB"))
    stored = {(image.arm, image.name): image for images in sr_images(scores, store).values() for image in images
              if image.kernel == "bd"}  # fmt: skip
    rows = list(csv.DictReader(files["figure_crops.csv"].read_text(encoding="utf-8").splitlines()))
    assert len(rows) == 3 * 8  # two boxes and one; LR, bicubic, five arms and HR
    for row in rows:
        sides = ("left", "top", "width", "height", "zoom", "png_left", "png_top")
        left, top, wide, high, zoom, x, y = (int(row[side]) for side in sides)
        image = stored[row["picture"] if row["picture"] not in {"LR", "HR"} else "bicubic", row["image"]]
        path = {"LR": image.lr, "HR": image.hr}.get(row["picture"], image.sr)
        pixels = np.asarray(Image.open(path))
        pixels = pixels.repeat(4, 0).repeat(4, 1) if row["picture"] == "LR" else pixels
        expected = pixels[top : top + high, left : left + wide].repeat(zoom, 0).repeat(zoom, 1)
        assert zoom >= 1
        assert np.array_equal(png[y : y + zoom * high, x : x + zoom * wide], expected)
    assert {row["left"] for row in rows} == {"8", "64", "0"}
    tikz = files["figure_crops_spy.tex"].read_text(encoding="utf-8")
    assert tikz.count(r"\spy[") == len(rows)
    for name in files:
        assert name.startswith("figure_crops")
        assert not (name.endswith(".png") and "_1_" in name) or f"{{{name}}}" in tikz


def test_the_best_score_of_the_contenders_is_bold(store):
    (example,) = content(store, images=("img02",)).examples
    values = {cell.label: cell.scores["psnr_y"] for cell in example.cells if cell.kind == "sr"}
    best = {cell.label for cell in example.cells if "psnr_y" in cell.best}
    contenders = {label: value for label, value in values.items() if label not in {"bicubic", "true pairs"}}
    assert best == {max(contenders, key=lambda label: contenders[label])}


@pytest.mark.parametrize("rule", ["difference", "best", "worst", "median"])
def test_an_image_is_chosen_by_a_rule_that_the_caption_states(store, rule):
    (example,) = content(store, images=(rule,), metrics=("psnr_y",)).examples
    images = {i.name: {} for i in sr_images(read(store, "unpaired"), store)["ρ=0"]}
    for arm, kept in sr_images(read(store, "unpaired"), store).items():
        for image in (image for image in kept if image.kernel == "bd" and arm != "bicubic"):
            images[image.name][arm] = image.scores["psnr_y"]
    others = {name: [v for arm, v in values.items() if arm != "ρ=0"] for name, values in images.items()}
    gains = {name: np.mean(values) - images[name]["ρ=0"] for name, values in others.items()}
    spans = {name: max(values.values()) - min(values.values()) for name, values in images.items()}
    expected = {
        "difference": max(spans, key=spans.get), "best": max(gains, key=gains.get), "worst": min(gains, key=gains.get),
        "median": sorted(gains, key=gains.get)[2],
    }  # fmt: skip
    assert example.name == expected[rule]
    assert "chosen by" in example.rule


def test_boxes_are_placed_where_the_arms_differ(store):
    (example,) = content(store, images=("img00",), boxes=2, side=24).examples
    sr = np.stack([cell.pixels.astype(float).mean(2) for cell in example.cells if cell.kind == "sr"])
    spread = sr.var(0)
    first, second = example.boxes
    assert first.cut(spread).mean() >= second.cut(spread).mean() > spread.mean()
    assert {side % 4 for box in example.boxes for side in (box.left, box.top, box.width, box.height)} == {0}
    assert abs(first.left - second.left) >= 24 or abs(first.top - second.top) >= 24


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"images": ("img99",)}, "img99"),
        ({"arms": ("rho",)}, "rho"),
        ({"dataset": "Set7"}, "Set7"),
        ({"images": ("img01",), "boxes": {"img01": ((100, 0, 48, 48),)}}, "128 x 96"),
    ],
)
def test_what_does_not_exist_costs_the_figure_alone_and_is_named(store, fields, named):
    with pytest.raises(UsageError, match=named):
        content(store, **fields)


def test_arms_by_name_and_a_damaged_image_is_an_empty_cell(store):
    image = sr_images(read(store, "unpaired"), store)["ρ=1"][0]
    whole = image.sr.read_bytes()
    image.sr.write_bytes(whole[:60])
    try:
        with pytest.warns(match="picture"):
            (example,) = content(store, images=(image.name,), arms=("ρ=1", "ρ=0")).examples
    finally:
        image.sr.write_bytes(whole)
    assert [cell.label for cell in example.cells] == ["LR", "ρ=1", "ρ=0", "HR"]
    assert example.cells[1].pixels is None
    assert example.cells[2].pixels is not None


def test_a_store_without_whole_images_has_no_such_figure(tmp_path):
    study = rho_study(outputs=[Crops()])
    results, outputs = composed(fill(Store(tmp_path), plan_of(study), gain, images=2))
    assert next(output for output in outputs if isinstance(output, Crops)).figures(results) == [None]


def test_a_caption_states_seeds_by_arm_and_the_images_whose_boxes_are_placed(store, monkeypatch):
    output = Crops(images=("img01", "img02"), boxes={"img01": ((0, 0, 16, 16),)}, arms=("ρ=0", "ρ=1"), tikz=False)
    shown = zoom_content.content(read(store, "unpaired"), store, output)
    assert [example.seeds for example in shown.examples] == [{"ρ=0": 0, "ρ=1": 0}] * 2
    captions = []
    for seeds in ({"ρ=0": 0, "ρ=1": 0}, {"ρ=0": 0, "ρ=1": 2}):
        changed = replace(shown, examples=tuple(replace(example, seeds=seeds) for example in shown.examples))
        monkeypatch.setattr(zoom_figure, "content", lambda *_, changed=changed: changed)
        captions.append(zoom_figure.draw(read(store, "unpaired"), store, output).caption)
    assert "Seed 0 of each arm." in captions[0]
    assert "Seed 0 of ρ=0; seed 2 of ρ=1." in captions[1]
    assert "Boxes of img02 are placed" in captions[0]


@pytest.mark.parametrize("boxes", [0, -1])
def test_a_figure_has_a_box_at_least(boxes):
    with pytest.raises(UsageError, match="boxes"):
        Crops(boxes=boxes)


@pytest.mark.parametrize(
    ("fields", "named"), [({"arms": ("ρ=7",)}, "ρ=7"), ({"dataset": "Set7"}, "Set7"), ({"kernel": "bc"}, "bicubic")]
)
def test_a_plan_refuses_what_it_does_not_have(fields, named):
    with pytest.raises(UsageError, match=named):
        plan_of(rho_study(outputs=[Crops(**fields)]))


@given(
    left=st.integers(0, 60), top=st.integers(0, 40), wide=st.integers(1, 60), high=st.integers(1, 50),
    scale=st.sampled_from([2, 3, 4]),
)  # fmt: skip
def test_a_declared_box_is_covered_by_whole_lr_pixels(left, top, wide, high, scale):
    output = Crops(boxes={"img": ((left, top, wide, high),)})
    image = np.zeros((96, 132, 3), np.uint8)
    (box,) = zoom_content.boxes_of(output, "img", image, [image], scale)
    assert left - scale < box.left <= left
    assert top - scale < box.top <= top
    assert left + wide <= box.left + box.width < left + wide + scale
    assert top + high <= box.top + box.height < top + high + scale
    assert {side % scale for side in (box.left, box.top, box.width, box.height)} == {0}


def test_arms_whose_names_differ_in_no_letter_have_a_png_each(store):
    shown = content(store, images=("img01",))
    (example,) = shown.examples
    cells = tuple(
        replace(cell, label=label)
        for cell, label in zip(example.cells, ("x=-1", "x=1", "双", "损", "失"), strict=False)
    )
    files = zoom_tikz.files(replace(shown, examples=(replace(example, cells=cells),)), "crops", ["#ff0000"])
    pictures = [name for name in files if name.endswith(".png")]
    assert len(pictures) == 5
    text = files["crops_spy.tex"].decode()
    assert all(text.count(f"{{{name}}}") == 1 for name in pictures)
    for name, cell in zip(pictures, cells, strict=True):  # without HR in the order of the cells
        assert np.array_equal(
            Image.open(io.BytesIO(files[name])), cell.pixels.repeat(cell.factor, 0).repeat(cell.factor, 1)
        )


def test_two_outputs_have_files_of_their_own(store, tmp_path):
    results, _ = composed(store)
    outputs = [Crops(images=(name,), boxes={name: ((0, 0, 16, 16),)}, arms=("ρ=0",)) for name in ("img01", "img02")]
    drawn = compose.figures(results, outputs)
    with style.styled():
        names = [[path.name for path in style.save(figure, tmp_path)] for figure in drawn]
    assert not set(names[0]) & set(names[1])
    for number, (figure, files) in enumerate(zip(drawn, names, strict=True), 1):
        text = (tmp_path / f"{figure.name}_spy.tex").read_text(encoding="utf-8")
        assert f"img0{number}" in text
        assert all(f"{{{name}}}" in text for name in files if name.endswith(".png") and name != f"{figure.name}.png")
