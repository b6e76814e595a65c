"""report.html in Chromium: its parts by mouse and keyboard, with names of any kind, in every size and light."""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from drnbench import Table, Tradeoff
from drnbench.config.study import Axis
from drnbench.config.trial import Evaluate
from drnbench.outputs import report
from drnbench.render import assets, html
from drnbench.store import Status, Store
from tests.fake_store import base, fill, plan_of
from tests.helpers import PIXEL
from tests.outputs.conftest import gain, rho_study

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
NAMES = [r"a_b%&#{}<script>alert(1)</script>", r"$\frac{a$", "中文方法", "x" * 200]
Opener = Callable[..., "Page"]


def hostile(trial: Any, rows: Any) -> Any:
    """One image equal to HR in one arm, and no SSIM of another."""
    perfect = (rows["image"] == "img00") & (rows["metric"] == "psnr_y") & (trial.arm.name == "ρ=0.5")
    rows.loc[perfect, "value"] = np.inf
    return rows[rows["metric"] != "ssim_y"] if trial.arm.name == NAMES[1] else rows


@pytest.fixture(scope="module")
def unrendered() -> Iterator[None]:
    """Figures are drawn and saved as one pixel: fonts take longer than all else that a report does."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Figure, "savefig", lambda self, path, **options: Path(path).write_bytes(PIXEL))
        yield


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory, unrendered: None) -> Path:
    """The page of a study with every kind of name, a failed seed, an infinite PSNR and a metric that an arm lacks."""
    store = Store(tmp_path_factory.mktemp("store"))
    study = rho_study(
        base=base(evaluate=[Evaluate("photos/test", kernel="bd", metrics=("psnr_y", "ssim_y"))]),
        axes=[Axis("adapt.rho", [0.0, 0.3, 0.5], label="ρ")], seeds=2, baseline={"adapt.rho": 0.0}, control=NAMES[0],
        arms={name: {"adapt.scheme": "paired", "adapt.data.kernel": "bd", "adapt.lr": 1e-4 * n} for n, name in enumerate(NAMES, 1)},
        outputs=[Table(rows="adapt.rho"), Tradeoff(x="parameters")],
    )  # fmt: skip
    plan = plan_of(study, question="Does <b>it</b> & co. help?")
    failed = next(trial for trial in plan.trials if trial.arm.name == "ρ=0.3" and trial.trial.seed == 1)
    fill(
        store,
        plan,
        gain,
        done=lambda trial: trial is not failed,
        change=hostile,
        samples=True,
        history=True,
        costs=True,
    )
    store.write_status(store.stage(failed.stages[-1]), Status("failed", kind="diverged", message="the loss is <nan>"))
    assert report.write(store, "unpaired").failed == []
    return store.study("unpaired/quick") / "report.html"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine")
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def opened(browser: Browser) -> Iterator[Opener]:
    """Open a page; whatever its console or the network says fails the test."""
    messages: list[str] = []
    contexts = []

    def open_page(file: Path, width: int = 1400, **options: Any) -> Page:
        context = browser.new_context(viewport={"width": width, "height": 900}, reduced_motion="reduce", **options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(10_000)
        page.on("console", lambda message: messages.append(message.text))
        page.on("pageerror", lambda error: messages.append(str(error)))
        page.on("dialog", lambda dialog: messages.append(dialog.message))
        page.on(
            "request",
            lambda request: None if request.url.startswith(("file:", "data:")) else messages.append(request.url),
        )
        page.goto(file.as_uri())
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert messages == []


def column(page: Page, number: int, table: str = "#tables table >> nth=0") -> list[str]:
    """Texts of a column of a table from top to bottom, as far as its rows are shown."""
    return page.locator(table).locator(f"tbody tr:visible > :nth-child({number})").all_inner_texts()


def scripted(page: Page, section: str) -> Any:
    """A section that the script draws, once it is there."""
    page.locator(f"#{section}").scroll_into_view_if_needed()
    page.locator(f"#{section} select").first.wait_for()
    return page.locator(f"#{section}")


@pytest.mark.real
def test_the_first_screen_has_answer_table_figure_and_failures_with_their_reason(
    opened: Opener, page_file: Path
) -> None:
    page = opened(page_file)
    assert page.locator("h1").inner_text() == "Does <b>it</b> & co. help?"
    assert "diverged: the loss is <nan>" in page.locator(".failures").inner_text()
    for part in (".answer", "figure.main img", ".failures", "#tables table >> nth=0"):
        box = page.locator(part).first.bounding_box()
        assert box is not None
        assert box["y"] < 900, part
    shown = page.locator("#tables").inner_text()
    for name in NAMES[:3]:
        assert name in shown
    assert page.locator("script").count() == 3


@pytest.mark.real
def test_tables_sort_filter_and_hide_columns(opened: Opener, page_file: Path) -> None:
    page = opened(page_file)
    table = page.locator("#comparisons table")
    heads = table.locator("thead th")
    delta = [text.strip() for text in heads.all_inner_texts()].index("Δ") + 1
    before = column(page, delta, "#comparisons table")
    assert len(before) > 5
    heads.nth(delta - 1).locator("button").click()
    values = [float(text.replace("−", "-")) for text in column(page, delta, "#comparisons table")]
    assert values == sorted(values)
    assert heads.nth(delta - 1).get_attribute("aria-sort") == "ascending"
    heads.nth(delta - 1).locator("button").press("Enter")
    assert [float(text.replace("−", "-")) for text in column(page, delta, "#comparisons table")] == values[::-1]
    page.keyboard.press("Enter")
    assert column(page, delta, "#comparisons table") == before
    page.locator("#comparisons input[type=search]").fill("ssim 中文方法")
    assert column(page, 1, "#comparisons table") == ["中文方法"]
    page.locator("#comparisons .columns summary").click()
    page.locator("#comparisons .columns").get_by_label("on", exact=True).uncheck()
    assert not heads.nth(1).is_visible()
    assert not table.locator("tbody tr:visible > :nth-child(2)").is_visible()


@pytest.mark.real
def test_images_are_compared_by_mouse_and_keyboard(opened: Opener, page_file: Path) -> None:
    page = opened(page_file)
    images = scripted(page, "images")
    stage, handle, zoom = images.locator(".stage").first, images.locator(".handle"), images.locator(".zoom output")
    split = images.locator("input[type=range]").first
    box, start = stage.bounding_box(), handle.bounding_box()
    assert box is not None
    assert start is not None
    page.mouse.move(start["x"] + 14, start["y"] + 200)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.25 * box["width"], start["y"] + 200)
    page.mouse.up()
    assert 24 <= float(split.input_value()) <= 26
    split.press("ArrowRight")
    assert 25 <= float(split.input_value()) <= 27
    stage.dblclick(position={"x": 300, "y": 200})
    assert zoom.inner_text() == "200 %"
    stage.press("+")
    assert zoom.inner_text() == "300 %"
    page.mouse.wheel(0, 100)
    assert zoom.inner_text() == "240 %"
    images.get_by_label("side by side").check()
    transforms = "[...document.querySelectorAll('#images .picture')].map((picture) => picture.style.transform)"
    before = page.evaluate(transforms)
    stage.press("ArrowRight")
    after = page.evaluate(transforms)
    assert before != after
    assert after[0] == after[2], "A and B move together"
    images.get_by_label("error map", exact=True).check()
    assert "error-map" in images.locator(".both").get_attribute("style")
    images.get_by_label("blink").check()
    caption = images.locator("figcaption").first
    shown = caption.inner_text()
    stage.press(" ")
    assert caption.inner_text() != shown
    stage.press("0")
    assert zoom.inner_text() == "100 %"
    options = images.locator("select[name=image]").locator("option").all_inner_texts()
    differences = [abs(float(text.split("Δ ")[1].split(" ")[0].replace("−", "-"))) for text in options if "Δ" in text]
    assert differences == sorted(differences, reverse=True)


@pytest.mark.real
def test_a_score_opens_its_image_and_curves_and_costs_are_read(opened: Opener, page_file: Path) -> None:
    page = opened(page_file)
    scores = scripted(page, "scores")
    assert "∞" in scores.locator("table").inner_text()
    scores.get_by_role("button", name="img02").click()
    assert page.locator("#images").locator("select[name=image]").input_value() == "img02"
    scores.scroll_into_view_if_needed()
    scores.get_by_role("button", name="img04").click()
    assert "no picture of img04" in scores.locator("output").all_inner_texts()[1]
    scores.locator(".chart").press("ArrowRight")
    assert "→" in scores.locator("output").first.inner_text()
    scores.locator("select[name=vertical]").select_option("both")
    assert scores.locator("path.diagonal").count() == 1
    curves = scripted(page, "curves")
    lines = curves.locator("path.line")
    many = lines.count()
    assert many > 1
    curves.locator(".arms input").first.press("Space")
    assert lines.count() == many - 1
    curves.get_by_role("button", name="none").click()
    assert lines.count() == 0
    tradeoff = scripted(page, "tradeoff")
    tradeoff.locator(".point circle").last.hover()
    assert "PSNR-Y" in tradeoff.locator("output").inner_text()


@pytest.mark.real
def test_an_arm_without_scores_or_configuration_is_not_selected(
    opened: Opener, page_file: Path, tmp_path: Path
) -> None:
    text = page_file.read_text(encoding="utf-8")
    head, _, rest = text.partition('id="data">')
    block, _, tail = rest.partition("</script>")
    data = json.loads(block)
    without, unscored = 0, data["arms"].index(NAMES[1])
    data["configurations"]["own"][without] = None
    data["pair"] = [without, unscored]
    file = tmp_path / "report.html"
    file.write_text(f'{head}id="data">{assets.block(data)}</script>{tail}', encoding="utf-8")
    page = opened(file)
    arms = scripted(page, "scores").locator("select[name='arm B']")
    assert arms.input_value() == str(unscored)
    page.locator("#scores select[name=metric]").select_option("ssim_y")
    assert arms.locator("option:checked").count() == 1
    assert arms.input_value() != str(unscored)
    page.locator("#configuration-table").scroll_into_view_if_needed()
    page.locator("#configuration-table select").first.wait_for()
    chosen = page.locator("#configuration-table option:checked").all_inner_texts()
    caption = page.locator("#configuration-table table caption").inner_text()
    assert len(chosen) == 2
    assert all(name in caption for name in chosen)
    assert data["arms"][without] not in chosen


@pytest.mark.real
@pytest.mark.parametrize(("width", "light"), [(1400, "light"), (1400, "dark"), (390, "light"), (390, "dark")])
def test_no_serious_fault_of_accessibility_and_nothing_wider_than_the_screen(
    opened: Opener, page_file: Path, width: int, light: str
) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed")
    page = opened(page_file, width, color_scheme=light, bypass_csp=True)
    for section in ("images", "scores", "curves", "tradeoff"):
        scripted(page, section)
    page.locator("#configuration-table").scroll_into_view_if_needed()
    page.locator("#configuration-table select").first.wait_for()
    page.evaluate("document.querySelectorAll('details').forEach((node) => { node.open = true; })")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    faults = axe.Axe().run(page).response["violations"]
    serious = [fault for fault in faults if fault["impact"] in {"serious", "critical"}]
    assert [(fault["id"], [node["html"][:200] for node in fault["nodes"]][:3]) for fault in serious] == []


@pytest.mark.real
@pytest.mark.parametrize("width", [1400, 390])
def test_the_index_of_a_store_names_studies_of_any_name(opened: Opener, tmp_path: Path, width: int) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed")
    empty = dict.fromkeys(("question", "date", "page", "failure"), "")
    rows = [
        {
            **empty,
            "study": name,
            "settings": name,
            "states": [("failed", 2), ("done", n)],
            "answer": name,
            "failure": name,
        }
        for n, name in enumerate(NAMES)
    ]
    (tmp_path / "index.html").write_text(html.render_index(NAMES[0], rows), encoding="utf-8")
    page = opened(tmp_path / "index.html", width, bypass_csp=True)
    for name in NAMES:
        assert page.get_by_text(name, exact=True).first.is_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    faults = axe.Axe().run(page).response["violations"]
    assert [fault["id"] for fault in faults if fault["impact"] in {"serious", "critical"}] == []


@pytest.mark.real
def test_a_phone_keeps_the_first_column_and_enlarges_a_figure(opened: Opener, page_file: Path) -> None:
    page = opened(page_file, 390, has_touch=True, is_mobile=True)
    scroll = page.locator("#tables .scroll").first
    scroll.evaluate("(node) => { node.scrollLeft = 200; }")
    head = scroll.locator("tbody th").first.bounding_box()
    assert head is not None
    assert head["x"] < 20
    page.locator("button.zoomable").first.tap()
    assert page.locator("dialog.zoomed").is_visible()
    page.keyboard.press("Escape")
    assert not page.locator("dialog.zoomed").is_visible()


@pytest.mark.real
def test_one_arm_one_seed_one_image_without_pictures(opened: Opener, tmp_path: Path, unrendered: None) -> None:
    store = Store(tmp_path)
    study = rho_study(axes=[Axis("adapt.rho", [0.5])], arms={}, seeds=1, baseline={}, control=None, outputs=[])
    fill(store, plan_of(study), gain, images=1)
    report.write(store, "unpaired")
    page = opened(store.study("unpaired/quick") / "report.html")
    assert page.locator("#images").count() == 0
    scores = scripted(page, "scores")
    scores.get_by_role("button", name="img00").click()
    assert "no picture of img00" in scores.locator("output").all_inner_texts()[1]


@pytest.mark.real
def test_a_page_of_40_arms_100_images_and_3_sets_opens(
    opened: Opener, page_file: Path, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """Its time is recorded, and not asserted; under two seconds by hand."""
    text = page_file.read_text(encoding="utf-8")
    head, _, rest = text.partition('id="data">')
    block, _, tail = rest.partition("</script>")
    data = json.loads(block)
    arms, images = [f"arm {n}" for n in range(40)], [f"img{n:03d}" for n in range(100)]
    values = np.random.default_rng(0).normal(28, 2, (2, 40, 100)).round(4).tolist()
    condition = {
        "images": images,
        "scores": {"psnr_y": values[0], "ssim_y": values[1]},
        "means": {metric: [[28.0 + n / 100, 0.1] for n in range(40)] for metric in ("psnr_y", "ssim_y")},
    }
    data |= {
        "arms": arms, "conditions": [{"label": f"set {n}", **condition} for n in range(3)], "styles": [*range(40)],
        "costs": {"parameters": {"label": "Params (M)", "values": [1 + n / 10 for n in range(40)]}},
        "configurations": {"common": {}, "own": [{"train.lam": str(n)} for n in range(40)]}, "baselines": [0], "pair": [0, 1],
    }  # fmt: skip
    file = tmp_path / "report.html"
    file.write_text(f'{head}id="data">{assets.block(data)}</script>{tail}', encoding="utf-8")
    begin = time.perf_counter()
    page = opened(file)
    scripted(page, "scores").locator("table tbody tr").nth(99).wait_for(state="attached")
    seconds = time.perf_counter() - begin
    record_property("seconds_to_open_and_draw", seconds)
    print(f"opened, and the scores drawn, in {seconds:.2f} s")
    assert page.locator("#scores tbody tr").count() == 100
    assert page.locator("#scores thead th").count() == 42


def test_every_file_of_the_page_is_used() -> None:
    used = {f"{name}.js" for name in assets.SCRIPTS}
    assert {file.name for file in assets.FOLDER.glob("*.js")} == used
    assert not re.search(r"(?<![\w.])(\w+) [=!]== \1(?![\w.(\[])", assets.script()), "a value compared with itself"
    assert not any(word in assets.script() for word in ("eval(", "innerHTML", "document.write", "</script"))
