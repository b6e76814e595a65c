"""Figure: the degradation kernels of a study, as the weights of HR pixels in one LR pixel.

The weights are `Kernel.impulse`. Kernels are made with torch, whose import takes longer than all of the drawing, so the
weights of built-in kernels stay in the store's cache and a report reads them from there.
"""

from __future__ import annotations

import hashlib
import json
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from drnbench import degradations
from drnbench.degradations import canonical, parse
from drnbench.errors import UsageError
from drnbench.outputs import captions
from drnbench.outputs.dual_kernel import fit
from drnbench.render import text
from drnbench.render.style import COLUMN_IN, PAGE_IN, CaptionedFigure, new_figure
from drnbench.results import labels
from drnbench.results.plan_record import TrialRecord
from drnbench.results.scores import Condition, Scores
from drnbench.store import Store, atomic

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import FuncNorm
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

    from drnbench.degradations.kernel import Kernel

Array = NDArray[np.float64]
ROLES = ("train", "unpaired", "test")
ACROSS = 5
FAINT = 0.01
"""Where all weights are below this share of their kernel's largest, a window ends."""
SIDE_IN, GAP_IN, LEFT_IN, BAR_IN = 1.12, 0.14, 0.22, 0.62
"""The most that a panel is wide; room between panels, for the scale on the left and for the colours on the right."""
SMALL_IN, APART_IN = 0.9, 0.3
"""Panel and gap where a study has one kernel."""
WRITTEN = {"sigma": "σ={}", "sigma_x": "σx={}", "sigma_y": "σy={}", "angle": "angle={}°"}
AFTER = {"noise": "noise\N{NO-BREAK SPACE}σ={}", "jpeg": "JPEG\N{NO-BREAK SPACE}{}"}
"""Parameters that are no part of the weights."""


@dataclass(frozen=True)
class Panel:
    """One kernel at one scale.

    Attributes:
        spec: canonical, so that two spellings of a kernel are one panel.
        roles: which of "train", "unpaired", "test" the study gives it.
        weights: `Kernel.impulse(scale)`: float64 K x K in HR pixels, sum 1, the centre of the LR pixel in the middle;
            None where the kernel is not drawn.
        parameters: its parameters in words, defaults included.
        after: what follows the weights, noise and JPEG, in words; empty where nothing does.
        why: the reason why it is not drawn; empty where it is.

    """

    spec: str
    scale: int
    roles: tuple[str, ...]
    weights: Array | None
    parameters: tuple[str, ...]
    after: str
    why: str


class _Known(NamedTuple):
    """What a spec stands for; `weights` is 0 x 0 where there are none."""

    spec: str
    parameters: list[str]
    after: str
    why: str
    weights: Array


class _Told(NamedTuple):
    """Lines above and below a panel."""

    head: str
    below: str


def panels(scores: Scores, store: Store) -> list[Panel]:
    """Return the kernels that the planned trials train on, adapt to or are tested on, by scale, in the plan's order.

    Nothing needs to have run. What cannot be drawn (`real`, a kernel that does not state its weights, one that is not
    known on this machine) is in the list with the reason.
    """
    spelt: dict[tuple[int, str], set[str]] = {}
    for trial in scores.plan.trials:
        for spec, role in _named(trial):
            spelt.setdefault((trial.scale, spec), set()).add(role)
    known = {key: _known(key[1], key[0], store.cache / "impulses") for key in spelt}
    roles: dict[tuple[int, str], set[str]] = {}
    for key, mine in spelt.items():
        roles.setdefault((key[0], known[key].spec), set()).update(mine)
    found = {(key[0], one.spec): one for key, one in known.items()}
    order = list(dict.fromkeys(spec for _, spec in roles))
    return [
        Panel(
            spec, scale, tuple(role for role in ROLES if role in roles[scale, spec]),
            found[scale, spec].weights if found[scale, spec].weights.size else None,
            tuple(found[scale, spec].parameters), found[scale, spec].after, found[scale, spec].why,
        )
        for scale, spec in sorted(roles, key=lambda key: (key[0], order.index(key[1])))
    ]  # fmt: skip


def draw(scores: Scores, store: Store) -> CaptionedFigure | None:
    """Return a row for each scale, or several where it has many kernels; None where no kernel can be drawn."""
    every = panels(scores, store)
    shown = [p for p in every if p.weights is not None]
    if not shown:
        return None
    one = len({p.spec for p in shown}) == 1
    rows = _rows(shown, one=one)
    windows = _windows(rows, apart=one)
    across = max(len(row) for row in rows)
    left, gap = (0.0, APART_IN) if one else (LEFT_IN, GAP_IN)
    side = min(SMALL_IN if one else SIDE_IN, (PAGE_IN - left - BAR_IN) / across - gap)
    # Letters of 7 pt and 6 pt are about 0.055 and 0.047 in wide.
    wide = side + gap
    told = {
        id(p): _Told(
            textwrap.fill(labels.kernel(p.spec) + (f" ×{p.scale}" if one else ""), int(wide / 0.055)),
            _below(p, int(wide / 0.047)),
        )
        for p in shown
    }
    above, under = (
        [room + each * max(told[id(p)][which].count("\n") + 1 for p in row if p is not None) for row in rows]
        for which, room, each in ((0, 0.06, 0.125), (1, 0.08, 0.105))
    )
    content = min(PAGE_IN, left + across * wide + BAR_IN)
    figure = new_figure(max(COLUMN_IN, content), sum(above) + len(rows) * side + sum(under))
    figure.set_layout_engine("none")
    width, height = figure.get_size_inches()
    # One pair of axes in inches for all panels: many would take most of the time.
    ax = figure.add_axes((0, 0, 1, 1))
    ax.set_axis_off()
    norm, picture = _norm(), None
    start = (width - content) / 2 + left + gap / 2
    for r, row in enumerate(rows):
        top = height - sum(above[: r + 1]) - r * side - sum(under[:r])
        for c, panel in enumerate(row):
            if panel is None:
                continue
            x = start + c * wide
            picture = _cell(ax, panel, windows[id(panel)], norm, (x, top - side, side))
            ax.text(x + side / 2, top + 0.04, told[id(panel)].head, fontsize=7, ha="center", va="bottom")
            words = told[id(panel)].below
            ax.text(x + side / 2, top - side - 0.05, words, fontsize=6, ha="center", va="top", linespacing=1.2)
        if not one:
            scale = next(p.scale for p in row if p is not None)
            ax.text(start - 0.06, top - side / 2, f"×{scale}", fontsize=8, ha="right", va="center")
    ax.set(xlim=(0, width), ylim=(0, height), aspect="equal")
    at = start + across * wide - gap + GAP_IN, height - above[0] - side
    _bar(figure, picture, (at[0] / width, at[1] / height, 0.07 / width, side / height))
    return CaptionedFigure("figure_kernels", _caption(every, windows), figure)


def window(some: list[Panel]) -> int:
    """Return the side in HR pixels, even at even scales as the kernels are, that panels of one scale can share.

    A kernel's middle square with all weights of at least `FAINT` times its largest fits, and the LR pixel's cell does.
    """
    scale = some[0].scale
    reach = 0.0
    for weights in (p.weights for p in some if p.weights is not None):
        strong = np.argwhere(np.abs(weights) >= FAINT * np.abs(weights).max())
        reach = max(reach, float(np.abs(strong - (len(weights) - 1) / 2).max()))
    # A pixel of white on each side shows where a kernel ends.
    return max(int(2 * reach) + 3, scale + 2)


def _named(trial: TrialRecord) -> Iterator[tuple[str, str]]:
    """Every kernel of a planned trial with its role; plans of earlier versions tell what is scored alone."""
    config = trial.config or {}
    for stage in config.get("stages", ()):
        yield stage["data"]["kernel"], "train"
        if stage.get("unpaired"):
            yield stage["unpaired"]["kernel"], "unpaired"
    for kernel in [scored["kernel"] for scored in config.get("evaluate", ())] or [e.kernel for e in trial.wanted]:
        yield kernel, "test"


def _known(spec: str, scale: int, cache: Path) -> _Known:
    """Return what a spec stands for, from the cache or computed."""
    path = cache / f"{_key(spec, scale)}.npz"
    if path.exists():
        with np.load(path) as stored:
            return _Known(**json.loads(str(stored["about"])), weights=stored["weights"])
    known, lasting = _computed(spec, scale)
    if lasting:
        about = {name: value for name, value in known._asdict().items() if name != "weights"}
        with atomic(path) as temporary, temporary.open("wb") as file:
            np.savez(file, about=np.array(json.dumps(about)), weights=known.weights)
    return known


def _key(spec: str, scale: int) -> str:
    """Cover the spec, the code that makes and describes it, and, by size and time, a file that it names."""
    values = [part.partition("=")[2].strip() for part in spec.partition(":")[2].split(",")]
    files = [Path(value).expanduser() for value in values if value]
    stats = [(path.stat().st_size, path.stat().st_mtime_ns) for path in files if path.is_file()]
    code = [*sorted(Path(degradations.__file__).parent.glob("*.py")), Path(__file__)]
    total = hashlib.sha256(repr((spec, scale, stats)).encode())
    for path in code:
        total.update(path.read_bytes())
    return total.hexdigest()


def _computed(spec: str, scale: int) -> tuple[_Known, bool]:
    """Return what a spec stands for, and whether that lasts as long as the code of this package."""
    nothing = np.zeros((0, 0))
    try:
        kernel = parse(spec)
    except UsageError as error:
        return _Known(spec, [], "", str(error), nothing), False
    known = _Known(canonical(spec), *_parameters(kernel), "", nothing)
    if kernel.real:
        return known._replace(why="the images are LR already"), True
    try:
        weights = kernel.impulse(scale).numpy()
    except UsageError as error:
        return known._replace(why=str(error)), False
    except Exception as error:  # noqa: BLE001 - a plug-in's weights, for which nothing may have asked before
        return known._replace(why=f"its weights fail with {type(error).__name__}: {error}"), False
    if not np.isfinite(weights).all() or not weights.any():
        return known._replace(why="its weights are not finite, or all zero"), False
    # The code of a plug-in may change at any time, and nothing here would notice.
    return known._replace(weights=weights), type(kernel).__module__.startswith("drnbench.")


def _parameters(kernel: Kernel) -> tuple[list[str], str]:
    """Write every parameter that is set, defaults included (of a file the title has the name), and what comes after."""
    values = {k: v for k, v in kernel.model_dump().items() if v is not None and k != "path"}
    shown = {k: f"{v:g}" if isinstance(v, float) else str(v) for k, v in values.items()}
    first = [WRITTEN.get(k, k + "={}").format(v) for k, v in shown.items() if k not in AFTER]
    then = [words.format(shown[k]) for k, words in AFTER.items() if k in shown]
    return first, f"then {' and '.join(then)}" if then else ""


def _rows(shown: list[Panel], *, one: bool) -> list[list[Panel | None]]:
    """Lay panels out: a kernel has one column at all scales where there are few, and an only kernel one row."""
    specs = list(dict.fromkeys(p.spec for p in shown))
    lines: list[list[Panel | None]] = [list(shown)] if one else []
    for scale in () if one else dict.fromkeys(p.scale for p in shown):
        mine = {p.spec: p for p in shown if p.scale == scale}
        lines.append([mine.get(spec) for spec in (specs if len(specs) <= ACROSS else mine)])
    return [line[n : n + ACROSS] for line in lines for n in range(0, len(line), ACROSS)]


def _windows(rows: list[list[Panel | None]], *, apart: bool) -> dict[int, int]:
    """Return the side of each panel's window, by `id`: that of its row, where it has one scale."""
    found: dict[int, int] = {}
    for row in rows:
        mine = [p for p in row if p is not None]
        found |= {id(p): window([p] if apart else mine) for p in mine}
    return found


def _below(panel: Panel, letters: int) -> str:
    """Return parameters, size and largest weight, and roles, broken to a panel's width."""
    assert panel.weights is not None
    rows, columns = (int(np.ptp(at)) + 1 for at in np.nonzero(panel.weights))
    size = f"{rows}\N{NO-BREAK SPACE}×\N{NO-BREAK SPACE}{columns}, largest\N{NO-BREAK SPACE}{_top(panel):.2g}"
    parts = [", ".join(panel.parameters), panel.after, size, ", ".join(panel.roles)]
    return "\n".join(textwrap.fill(part, letters) for part in parts if part)


def _top(panel: Panel) -> float:
    return float(np.abs(panel.weights).max()) if panel.weights is not None else 0.0


def _norm() -> FuncNorm:
    """Square roots with their sign: the lobes of bicubic are 7 % of its largest weight and white on a linear scale."""
    from matplotlib.colors import FuncNorm

    def there(x: Array) -> Array:
        return np.asarray(np.sign(x) * np.sqrt(np.abs(x)))

    def back(x: Array) -> Array:
        return np.asarray(np.sign(x) * np.square(x))

    return FuncNorm((there, back), vmin=-1, vmax=1)


def _cell(ax: Axes, panel: Panel, side: int, norm: FuncNorm, spot: tuple[float, float, float]) -> AxesImage:
    """Draw a window of so many HR pixels into a square of inches (left, bottom, side)."""
    from matplotlib.patches import Rectangle

    assert panel.weights is not None
    x, y, inches = spot
    picture = ax.imshow(
        fit(panel.weights, (side, side)) / _top(panel), cmap="RdBu_r", norm=norm, interpolation="nearest",
        extent=(x, x + inches, y, y + inches),
    )  # fmt: skip
    ax.add_patch(Rectangle((x, y), inches, inches, fill=False, edgecolor="0.7", linewidth=0.4))
    cell = inches * panel.scale / side
    corner = x + (inches - cell) / 2, y + (inches - cell) / 2
    # A light rim under the line, which would drown in the darkest red.
    for colour, line in (("white", 1.4), ("0.15", 0.6)):
        ax.add_patch(Rectangle(corner, cell, cell, fill=False, edgecolor=colour, linewidth=line))
    return picture


def _bar(figure: Figure, picture: AxesImage | None, spot: tuple[float, float, float, float]) -> None:
    assert picture is not None
    bar = figure.colorbar(picture, cax=figure.add_axes(spot))
    bar.outline.set_visible(False)
    ticks = [-1, -0.25, 0, 0.25, 1]
    bar.set_ticks(ticks, labels=[text.minus(f"{t:g}") for t in ticks])
    bar.ax.tick_params(labelsize=6, length=2, pad=1)
    bar.set_label("weight / largest", fontsize=6, labelpad=3)


def _caption(every: list[Panel], windows: dict[int, int]) -> str:
    shown = [p for p in every if p.weights is not None]
    sides = {scale: sorted({windows[id(p)] for p in shown if p.scale == scale}) for scale in {p.scale for p in shown}}
    sizes = [f"{' and '.join(f'{n} × {n}' for n in sides[scale])} at ×{scale}" for scale in sorted(sides)]
    outside = max(_outside(p, windows[id(p)]) for p in shown)
    parts = ["Degradation kernels of the study: the weights of HR pixels in one LR pixel, whose cell is the square."]
    parts.append("Red is positive, blue negative, white zero.")
    if len(shown) > 1:
        parts.append("Each panel has its own scale, which ends at the largest weight (below it).")
    parts.append("Colours go with the square root of the weight, so faint ones look stronger than they are.")
    parts.append(f"Windows in HR pixels: {', '.join(sizes)}.")
    if outside > 0:
        parts.append(
            f"What is cut off is below {100 * FAINT:g} % of a kernel's largest weight, and at most "
            f"{max(100 * outside, 0.1):.1f} % of its absolute weight."
        )
    if any(p.after for p in shown):
        parts.append("Noise (σ in gray levels) and JPEG (quality) follow the kernel and are told in words alone.")
    missing = {p.spec: p for p in every if p.weights is None}
    if missing:
        told = [f"{labels.kernel(spec)} ({', '.join(p.roles)}: {p.why.rstrip('.')})" for spec, p in missing.items()]
        parts.append(f"Without a picture: {'; '.join(told)}.")
    return " ".join([*parts, *captions.specs(Condition("", p.spec, p.scale) for p in every)])


def _outside(panel: Panel, side: int) -> float:
    """Return the share of a kernel's absolute weight that its window leaves out."""
    assert panel.weights is not None
    whole = np.abs(panel.weights).sum()
    left = whole - np.abs(fit(panel.weights, (side, side))).sum()
    return float(left / whole) if left > 1e-12 * whole else 0.0
