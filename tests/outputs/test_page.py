"""The data and the pictures of report.html, before a browser draws them."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest
from PIL import Image

from drnbench.config.study import Axis
from drnbench.errors import DamageWarning
from drnbench.outputs import page, page_pictures, report
from drnbench.render import assets, html
from drnbench.store import Store, image_folder
from tests.fake_store import fill, plan_of
from tests.outputs.conftest import composed, gain, rho_study

pytestmark = pytest.mark.usefixtures("unrendered")


def pixels(source: str, folder: Path) -> np.ndarray:
    """The pixels of a source of a page that lies in a folder."""
    head, _, content = source.partition(",")
    if not content:
        return np.asarray(Image.open(folder / unquote(source)))
    assert head == "data:image/webp;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(content))))


@pytest.mark.parametrize("budget", [0, 10_000_000])
def test_pictures_in_the_page_and_beside_it_have_the_pixels_of_the_store(tmp_path: Path, budget: int) -> None:
    store = Store(tmp_path / "a store %20 #1")
    plan = plan_of(rho_study(axes=[Axis("adapt.rho", [0.0, 0.5], label="ρ")], seeds=1))
    fill(store, plan, gain, samples=True)
    folder = store.study("unpaired/quick")
    drawn = page_pictures.pictures(composed(store)[0], folder, budget)
    assert drawn is not None
    assert all(source.startswith("data:") == bool(budget) for source in drawn["sources"])
    trial = next(trial for trial in plan.trials if trial.arm.name == "ρ=0.5")
    arms = [arm.name for arm in composed(store)[0].scores.arms]
    (image,) = (image for image in drawn["sets"][0]["images"] if image["name"] == "img01")
    assert (image["width"], image["height"], drawn["sets"][0]["crops"]) == (96, 96, True)
    stored = np.asarray(Image.open(store.trial(trial.unit.key) / "samples" / "photos-test" / "bd" / "img01_sr.png"))
    shown = pixels(drawn["sources"][image["sr"][arms.index("ρ=0.5")]], folder)
    assert np.array_equal(shown, stored)


def test_whole_images_are_preferred_and_a_broken_one_is_left_out(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    plan = plan_of(rho_study(axes=[Axis("adapt.rho", [0.0, 0.5], label="ρ")], seeds=1))
    fill(store, plan, gain, samples=True)
    for trial in plan.trials:
        place = store.trial(trial.unit.key) / image_folder(trial.unit.wanted[0])
        place.mkdir(parents=True)
        for kind, size in (("sr", 40), ("hr", 40), ("lr", 10)):
            Image.new("RGB", (size, size), (trial.trial.seed, 90, 30)).save(place / f"img00_{kind}.png")
    broken = store.trial(plan.trials[-1].unit.key) / image_folder(plan.trials[-1].unit.wanted[0]) / "img00_sr.png"
    broken.write_bytes(b"no picture")
    study = composed(store)[0]
    with pytest.warns(DamageWarning, match="img00_sr.png is not a whole picture"):
        drawn = page_pictures.pictures(study, store.study("unpaired/quick"), 10_000_000)
    assert drawn is not None
    first, second = drawn["sets"]
    assert [image["name"] for image in first["images"]] == ["img00"]
    assert (first["crops"], second["crops"]) == (False, True)
    (image,) = first["images"]
    assert image["sr"].count(None) == 1
    assert image["width"] == 40
    assert None not in (image["hr"], image["lr"])
    assert all(isinstance(value, float) for value in image["scores"])


def test_data_of_infinite_and_missing_scores_is_json(store: Store) -> None:
    def change(trial, rows):
        rows.loc[(rows["image"] == "img00") & (trial.arm.name == "ρ=0.1"), "value"] = np.inf
        rows.loc[(rows["image"] == "img01") & (trial.arm.name == "ρ=0.3"), "value"] = np.nan
        return rows

    fill(store, plan_of(rho_study()), gain, change=change, done=lambda trial: trial.arm.name != "ρ=1", history=True)
    data = json.loads(json.dumps(page.data(composed(store)[0]), allow_nan=False))
    arms, scores = data["arms"], data["conditions"][0]["scores"]["psnr_y"]
    assert scores[arms.index("ρ=0.1")][0] == "inf"
    assert scores[arms.index("ρ=0.3")][1] is None
    assert scores[arms.index("ρ=1")] is None
    assert len(scores[arms.index("ρ=0")]) == len(data["conditions"][0]["images"]) == 5
    curves = data["curves"]
    assert {line["arm"] for line in curves["series"]} <= {-1, *range(len(arms))}
    assert all(len(line["mean"]) == len(curves["steps"][line["steps"]]) for line in curves["series"])
    own = data["configurations"]["own"]
    assert own[arms.index("ρ=0.1")]["adapt.rho"] == "0.1"


def test_figures_that_would_make_a_page_too_large_lie_beside_it(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(store, plan_of(rho_study()), gain)
    monkeypatch.setattr(html, "BYTES", 0)
    report.write(store, "unpaired")
    text = (store.study("unpaired/quick") / "report.html").read_text(encoding="utf-8")
    assert "data:image/png" not in text
    assert '<img src="figure_psnr_y_rho.png"' in text


@pytest.mark.parametrize("name", ["</script><script>alert(1)</script>", "<!--", "\u2028", "]]>", "&lt;"])
def test_no_text_ends_a_block_of_data(name: str) -> None:
    block = str(assets.block({name: [name]}))
    assert json.loads(block) == {name: [name]}
    assert not {"<", ">", "&", "\u2028"} & set(block)
