"""What a report shows of a search: how it went, its front, and that only fresh seeds are claimed."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import numpy as np
import pytest
from matplotlib.path import Path
from matplotlib.text import Text

from drnbench import Table
from drnbench.config.study import Study
from drnbench.outputs import pareto, report, search_figure, search_summary, stored_report
from drnbench.render import style
from drnbench.results.reading import read
from drnbench.search import Float, Maximise, Minimise, Search, Steps
from drnbench.search.resolve import expanded, resolve_search
from drnbench.store import Store, write_json
from tests.fake_store import base, fill, plan_of
from tests.outputs.conftest import notes_of

pytestmark = pytest.mark.usefixtures("unrendered")

SPACE = {"adapt.lam": Float(0.001, 1, log=True), "adapt.rho": Steps(0.1, 1, 0.1)}


VALIDATED = (Maximise("val_psnr_y", kernel="bd"),)


def candidate(number: int, lam: float, rho: float, mean: list[float] | None, state: str = "complete") -> dict[str, Any]:
    return {
        "number": number, "label": f"λ={lam:g}, ρ={rho:g}", "values": {"adapt.lam": lam, "adapt.rho": rho}, "state": state,
        "scores": [mean] if mean else [], "mean": mean, "note": None, "again": 0,
    }  # fmt: skip


def searching(store: Store, candidates: list[dict[str, Any]], best: list[int], **fields: Any) -> dict[str, Any]:
    """Write search.json."""
    by_number = {candidate["number"]: candidate for candidate in candidates}
    objectives = fields.pop("objectives", [Maximise("val_psnr_y", kernel="bd")])
    record = {
        "profile": "quick", "how": "Optuna TPESampler(multivariate=True)", "pruner": [], "trials": len(candidates), "seeds": [0, 1],
        "fresh_seeds": [2, 3, 4], "state": "done", "candidates": candidates, "baseline": candidates[0], "best": best,
        "objectives": [objective.model_dump(mode="json") for objective in objectives], "found": [by_number[n]["values"] for n in best],
        "space": [
            {"path": "adapt.lam", "title": "λ", "numeric": True, "log": True, "low": 0.001, "high": 1},
            {"path": "adapt.rho", "title": "ρ", "numeric": True, "log": False, "low": 0.1, "high": 1},
        ],
    } | fields  # fmt: skip
    write_json(store.study("unpaired/quick") / "search.json", {"current": "x", "searches": {"x": record}})
    return record


@pytest.mark.parametrize(
    ("objective", "oracle", "words"),
    [
        (Maximise("val_psnr_y", kernel="bd"), True, "The selection is an oracle: it looks at HR images under bd"),
        (Maximise("psnr_y", "photos/unpaired", kernel="bd"), True, "The selection is an oracle"),
        (Maximise("val_psnr_y"), False, ""),
        (Maximise("val_psnr_y", kernel="bicubic"), False, ""),
        (
            Maximise("lr_psnr", "photos/unpaired", kernel="bd"),
            False,
            "no HR image under bd, and takes that kernel as known",
        ),
    ],
)
def test_a_search_that_looks_at_hr_images_of_an_unknown_kernel_is_an_oracle(
    store: Store, objective: Any, oracle: bool, words: str
) -> None:
    both = [candidate(0, 0.1, 0.3, [25.0]), candidate(1, 0.01, 0.5, [25.3])]
    searching(store, both, [1], objectives=[objective])
    reported(store, [both[1]["values"]], (objective,))
    written = report.write(store, "unpaired")
    folder = store.study("unpaired/quick")
    table = (folder / "table_search.md").read_text(encoding="utf-8")
    for text in (written.headline, table, (folder / "report.html").read_text(encoding="utf-8")):
        assert words in text
        assert ("oracle" in text) == oracle
    # The winner of an oracle competes with nobody; the default alone is no best.
    assert ("**" in table) != oracle


def reported(store: Store, best: list[dict[str, Any]], objectives: Any = VALIDATED) -> None:
    """Scores of the arms that a search left, the winner better by 0.3 dB."""
    study = Study(
        base=base(), search=Search(space=SPACE, objectives=objectives), baseline={"adapt.lam": 0.1, "adapt.rho": 0.3},
        outputs=[Table(rows="search")],
    )  # fmt: skip
    made = resolve_search(study, "unpaired", "Which?")
    full = expanded(made, best)
    # The arms that the search left are planned as those of any other study.
    plain = Study(
        base=base(), axes=full.study.axes, baseline=full.study.baseline, seeds=3, outputs=[Table(rows="search")]
    )
    plan = plan_of(plain, "unpaired", "Which?")
    fill(store, plan, lambda arm, kernel: 0.3 if arm.name == "winner" else 0.0)


CANDIDATES = [
    candidate(0, 0.1, 0.3, [26.1]), candidate(1, 0.01, 0.5, [26.3]), candidate(2, 0.9, 1.0, [14.0]),
    candidate(3, 0.02, 0.6, None, "pruned"), candidate(5, 0.03, 0.4, [26.5]), candidate(6, 0.5, 0.1, None, "failed"),
    candidate(7, 0.04, 0.4, [26.4]), candidate(8, 0.05, 0.4, [26.45]),
]  # fmt: skip


def test_the_table_claims_what_fresh_seeds_say_and_names_how_it_was_found(store: Store) -> None:
    reported(store, [CANDIDATES[4]["values"]])
    searching(store, CANDIDATES, [5])
    written = report.write(store, "unpaired")
    assert "best λ=0.03, ρ=0.4 with 26.500 dB" in written.headline
    assert (
        "tried 8 (1 pruned, 1 failed) candidates by validation PSNR (held-out training images, bd)" in written.headline
    )
    assert "fresh seeds (2–4) on images that the search did not look at" in written.headline
    assert "winner gains" in written.headline
    caption = notes_of(store.study("unpaired/quick") / "table_search.md")
    assert "default: λ=0.1, ρ=0.3; winner: λ=0.03, ρ=0.4." in caption
    assert "TPESampler(multivariate=True)" in caption
    assert "run again with seeds 2–4, which no candidate had" in caption
    assert "took no part in the search" in caption
    assert {"figure_search.pdf", "figure_search.png"} <= {file.name for file in written.files}


def test_the_picture_of_a_search_shows_every_candidate_and_where_it_lies(store: Store) -> None:
    reported(store, [])
    searching(store, CANDIDATES, [5])
    with style.styled():
        drawn = search_figure.draw(read(store, "unpaired"))
    assert drawn is not None
    rows = list(csv.DictReader(io.StringIO(drawn.data)))
    assert [float(row["val_psnr_y"]) for row in rows if row["state"] == "complete"] == [
        candidate["mean"][0] for candidate in CANDIDATES if candidate["state"] == "complete"
    ]
    assert [int(row["candidate"]) for row in rows if row["best"] == "True"] == [5]
    line, where = drawn.figure.axes[:2]
    low, high = line.get_ylim()
    assert 25 < low < 26 < high, "a collapse does not flatten the rest"
    points = {tuple(p) for c in where.collections for p in np.asarray(c.get_offsets()).tolist()}
    assert points == {
        tuple(candidate["values"].values()) for candidate in CANDIDATES if candidate["state"] == "complete"
    }
    assert where.get_xscale() == "log"
    for words in ("×: pruned early.", "+: failed.", "Triangles: off scale.", "fresh seeds"):
        assert words in drawn.caption


def test_the_default_that_wins_is_said_to_be_the_default(store: Store) -> None:
    reported(store, [])
    searching(store, CANDIDATES[:1], [0])
    assert "which is the default itself" in report.write(store, "unpaired").headline


FRONT = [
    candidate(0, 0.1, 0.3, [26.0, 5e4]), candidate(1, 0.2, 0.3, [26.5, 2e5]), candidate(2, 0.3, 0.3, [25.0, 1e4]),
    candidate(3, 0.4, 0.3, [25.5, 9e4]), candidate(4, 0.5, 0.3, [25.9, 4e5]),
]  # fmt: skip
OBJECTIVES = [Maximise("psnr_y", "photos/unpaired", kernel="bd"), Minimise("parameters")]


def test_a_front_is_drawn_through_those_that_none_beats(store: Store) -> None:
    reported(store, [FRONT[1]["values"], FRONT[2]["values"]], OBJECTIVES)
    searching(store, FRONT, [1, 0, 2], objectives=OBJECTIVES, found=[FRONT[1]["values"], FRONT[2]["values"]])
    with style.styled():
        drawn = pareto.draw(read(store, "unpaired"))
    assert drawn is not None
    (ax,) = drawn.figure.axes
    assert ax.get_xscale() == "log"
    assert ax.get_xlabel().startswith("parameters")
    drawn_points = [sorted(zip(*map(np.asarray, line.get_data()), strict=True)) for line in ax.lines]
    assert sorted((candidate["mean"][1], candidate["mean"][0]) for candidate in FRONT[:3]) in drawn_points
    assert sorted((candidate["mean"][1], candidate["mean"][0]) for candidate in FRONT[3:]) in drawn_points
    words = {text.get_text() for text in ax.texts}
    assert words == {"1: λ=0.2, ρ=0.3", "2: λ=0.3, ρ=0.3", "default (λ=0.1, ρ=0.3)"}
    assert "Blue: the 3 on the Pareto front" in drawn.caption
    written = report.write(store, "unpaired")
    assert {"figure_pareto.pdf", "figure_pareto.png"} <= {file.name for file in written.files}
    assert "figure_search.png" not in {file.name for file in written.files}
    assert (
        "3 on the front; front 1, λ=0.2, ρ=0.3, with 26.500 dB and 200,000 parameters; front 2, λ=0.3"
        in written.headline
    )
    table = (store.study("unpaired/quick") / "table_search.md").read_text(encoding="utf-8")
    assert "cost: Params (k)" in table, "what the search looked at stands beside the scores"


def test_labels_of_a_front_cover_neither_its_line_nor_a_point(store: Store) -> None:
    reported(store, [candidate["values"] for candidate in FRONT[:3]], OBJECTIVES)
    searching(
        store,
        FRONT,
        [1, 0, 2],
        objectives=OBJECTIVES,
        found=[candidate["values"] for candidate in FRONT[:3]],
        baseline=None,
    )
    with style.styled():
        drawn = pareto.draw(read(store, "unpaired"))
        assert drawn is not None
        drawn.figure.canvas.draw()
    (ax,) = drawn.figure.axes
    boxes = [Text.get_window_extent(text) for text in ax.texts]  # without the thin line to the point
    assert len(boxes) == 3
    places = {line: ax.transData.transform(np.column_stack(line.get_data())) for line in ax.lines}
    (edge,) = [Path(path) for line, path in places.items() if line.get_linestyle() == "-"]
    assert not any(edge.intersects_bbox(box, filled=False) for box in boxes)
    assert not any(box.contains(*point) for path in places.values() for point in path for box in boxes)


def test_three_objectives_give_a_panel_for_each_pair(store: Store) -> None:
    three = [{**candidate, "mean": [*candidate["mean"], candidate["mean"][0] / 30]} for candidate in FRONT]
    reported(store, [], OBJECTIVES)
    searching(store, three, [1, 0, 2], objectives=[*OBJECTIVES, Maximise("ssim_y", "photos/unpaired")], baseline=None)
    with style.styled():
        drawn = pareto.draw(read(store, "unpaired"))
        column = pareto.draw(read(store, "unpaired"), "column")
    assert drawn is not None
    assert column is not None
    assert len(drawn.figure.axes) == 3
    (wide, low), (narrow, high) = (figure.figure.get_size_inches() for figure in (drawn, column))
    assert (wide, narrow) == (style.PAGE_IN, style.COLUMN_IN)
    assert high > 2 * low
    rows = list(csv.reader(io.StringIO(drawn.data)))
    assert rows[0] == ["candidate", "state", "adapt.lam", "adapt.rho", "psnr_y", "parameters", "ssim_y", "best"]
    assert len(rows) == 1 + len(three)


def test_a_grid_is_not_taken_for_the_search_that_it_once_was(store: Store, filled: Store) -> None:
    searching(store, CANDIDATES, [5])
    assert read(store, "unpaired").search is None
    assert "search" not in report.write(store, "unpaired").headline


def test_a_search_that_went_on_makes_a_new_report(store: Store) -> None:
    reported(store, [CANDIDATES[4]["values"]])
    searching(store, CANDIDATES, [5])
    report.write(store, "unpaired")
    assert stored_report.current(store, "unpaired/quick") is not None
    searching(store, [*CANDIDATES, candidate(9, 0.06, 0.4, [26.2])], [5])
    assert stored_report.current(store, "unpaired/quick") is None


@pytest.mark.parametrize(
    ("objective", "words"),
    [
        (Minimise("parameters"), "parameters\nlower is better"),
        (Maximise("val_psnr_y"), "validation PSNR-Y (dB)\nhigher is better"),
        (Maximise("psnr_y", "Set5", kernel="gaussian:sigma=2.0"), "PSNR-Y (dB)\ngaussian σ=2, higher is better"),
    ],
)
def test_an_axis_says_what_was_looked_at_and_which_way_is_better(objective: Any, words: str) -> None:
    assert search_summary.label(json.loads(objective.model_dump_json())) == words


def test_a_space_of_other_kinds_is_shown_without_a_map(store: Store) -> None:
    reported(store, [])
    space = [{"path": "method", "title": "method", "numeric": False, "log": False, "values": ["a", "b"]}]
    searching(store, CANDIDATES, [5], space=space)
    with style.styled():
        drawn = search_figure.draw(read(store, "unpaired"))
    assert drawn is not None
    assert len(drawn.figure.axes) == 1
