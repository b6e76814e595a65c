"""macros.tex: a LaTeX command for every number, so that a paper's text never holds a copied digit."""

from __future__ import annotations

import itertools
import math
import string
from collections.abc import Collection, Iterable, Iterator, Mapping

from drnbench.outputs import failed_seeds
from drnbench.outputs.base import Macros, StudyResults
from drnbench.render import latex_text, text
from drnbench.render.latex_text import escape
from drnbench.render.spelling import letters, mark
from drnbench.results.costs import Cost
from drnbench.results.scores import Arm, Condition, Scores
from drnbench.results.summary import Result

MISSING = r"\textbf{??}"
SEPARATOR = "\x1f"
"""Between the parts of a thing's name, each of which is spelt alone."""
QUANTITIES = (
    "Mean, HalfWidth         mean over images and seeds; {confidence} half-width over the seeds' test-set means",
    "Delta, DeltaLow, DeltaHigh  mean paired difference to the baseline and its {confidence} interval (widest of three t)",
    "Won                     share of images on which the arm is better than the baseline; equal ones count half",
    "Parameters, Macs, StepMacs, Seconds  of an arm: as in costs.csv",
)
"""Lines of the head that explain the quantities of every study; `{confidence}` is the level of its intervals."""


def render(study: StudyResults, more: Iterable[Macros], quantities: Iterable[str]) -> str:
    """Return macros.tex. Names are unique; a number that is not there yet is a bold ?? and not an error.

    A name that two things would share is given to neither: both get letters of their own (`Alt...`), which depend on their
    own names alone, so that a paper's command never stands for another arm's number after a study has grown.

    Args:
        study: for the numbers that every study has: results and costs.
        more: macros of the study's outputs.
        quantities: lines that explain their quantities.

    """
    everything = [*_study_macros(study), *more]
    names = [_name(macros) for macros in everything]
    claims: dict[str, set[str]] = {}
    for macros, name in zip(everything, names, strict=True):
        for quantity in macros.bodies:
            claims.setdefault(f"{quantity}{name}", set()).add(macros.name)
    constants = _constants(study.scores)
    used = set(constants)
    lines = [*_header(study.scores, quantities), *(_command(name, body) for name, body in constants.items())]
    for macros, name in zip(everything, names, strict=True):
        rivals = {rival for quantity in macros.bodies for rival in claims[f"{quantity}{name}"]} - {macros.name}
        commands = _unique(f"{name}{_suffix(macros.name, rivals)}", macros.bodies, used)
        used |= commands.keys()
        lines += [
            latex_text.comment(" ".join(macros.comment.split())),
            *(_command(command, body) for command, body in commands.items()),
        ]
    return "\n".join([*lines, ""])


def cell_name(scores: Scores, condition: Condition, arm: str, metric: str) -> str:
    """Return the name of a cell of a table for `Macros`: arm, data set where there are several, kernel, metric."""
    several = len({c.dataset for c in scores.conditions}) > 1
    return SEPARATOR.join([arm, *([condition.dataset] if several else []), condition.kernel, metric])


def number(value: float | None, decimals: int, *, sign: bool = False) -> str:
    """Return a number in LaTeX, in text and in formulas alike; None is a bold ??."""
    if value is None:
        return MISSING
    if math.isinf(value):
        return f"\\ensuremath{{{'-' if value < 0 else ''}\\infty}}"
    digits = (text.signed if sign else text.number)(value, decimals).replace("−", "-")
    return f"\\ensuremath{{{digits}}}"


def _constants(scores: Scores) -> dict[str, str]:
    done, planned = scores.counts
    return {
        "Study": escape(scores.plan.study),
        "Profile": escape(scores.plan.profile),
        "Overrides": escape(", ".join(scores.plan.settings.assignments)) or "none",
        "Baseline": escape(scores.baseline.name) if scores.baseline else "none",
        "TrialsDone": str(done),
        "TrialsPlanned": str(planned),
    }


def _header(scores: Scores, quantities: Iterable[str]) -> list[str]:
    return [
        f"% Numbers of the study {escape(scores.plan.study)}, {escape(scores.plan.settings.text)}.",
        "% \\input{macros} in the preamble or the body.",
        "% \\drn<Quantity><Arm><Kernel><Metric>, digits and Greek letters spelt out; Arm and Metric as in summary.csv.",
        "% Other scripts: by the names of their letters or by code points. Names that would be equal end in Alt and letters.",
        "% (The data set stands before the kernel where a study has several.) Quantities:",
        *(f"%   {line.format(confidence=scores.confidence)}" for line in QUANTITIES),
        *(latex_text.comment(f"  {line}") for line in quantities),
        "% Units: dB for PSNR, none for SSIM and LPIPS. ?? is a number that is not there (yet).",
        "% For two studies in one paper, \\input each inside a group: {\\input{a/macros} ... }",
    ]


def _study_macros(study: StudyResults) -> Iterator[Macros]:
    scores = study.scores
    yield from (_result_macros(scores, result) for result in study.results.values())
    yield from (_cost_macros(arm, study.costs[arm.name]) for arm in scores.arms)


def _result_macros(scores: Scores, result: Result) -> Macros:
    style, difference = text.style(result.metric), result.difference
    bodies = {"Mean": number(result.mean, style.decimals), "HalfWidth": number(result.half_width, style.decimals)}
    if scores.baseline_of(scores.arm(result.arm), result.condition) is not None:
        decimals = style.delta_decimals
        bodies |= {
            "Delta": number(difference.mean if difference else None, decimals, sign=True),
            "DeltaLow": number(difference.low if difference else None, decimals, sign=True),
            "DeltaHigh": number(difference.high if difference else None, decimals, sign=True),
            "Won": f"{100 * difference.won:.0f}\\,\\%" if difference else MISSING,
        }
    sizes = text.sample([result.n_seeds], [result.n_images])
    if difference and not scores.arm(result.arm).seedless:
        common = text.sample([difference.seeds], [difference.images])
        sizes += f"; Delta on {common}" if common != sizes else ""
    failures = failed_seeds.count([scores.arm(result.arm)])
    comment = f"{result.arm}, {result.condition.label}, {result.metric}; {sizes}{f', {failures}' if failures else ''}"
    return Macros(cell_name(scores, result.condition, result.arm, result.metric), bodies, comment)


def _cost_macros(arm: Arm, cost: Cost) -> Macros:
    bodies = {"Parameters": number(cost.parameters, 0), "Macs": number(cost.macs, 0)}
    if not arm.seedless:
        bodies |= {"StepMacs": number(cost.step_macs, 0), "Seconds": number(cost.seconds, 1)}
    # Where they are recorded: earlier versions had none.
    later = (("Activations", cost.activations, 0), ("Latency", cost.latency, 1), ("Memory", cost.memory, 1))
    bodies |= {name: number(value, decimals) for name, value, decimals in later if value is not None}
    conditions = f"; latency (ms) and memory (MiB): {cost.conditions}" if cost.latency is not None else ""
    return Macros(arm.name, bodies, f"{arm.name}, costs{conditions}")


def _suffix(name: str, rivals: Collection[str]) -> str:
    """Return what keeps a name apart from those that would be spelt alike: a mark of its arm, where arms differ."""
    arm = name.split(SEPARATOR, maxsplit=1)[0]
    differ = all(rival.split(SEPARATOR)[0] != arm for rival in rivals)
    return f"Alt{mark(arm if differ else name)}" if rivals else ""


def _name(macros: Macros) -> str:
    return "".join(letters(part) for part in macros.name.split(SEPARATOR))


def _unique(name: str, bodies: Mapping[str, str], used: Collection[str]) -> dict[str, str]:
    """Return the commands by name; where one is used already, all get a suffix: AltA, AltB, ..."""
    for suffix in itertools.chain([""], (f"Alt{''.join(word)}" for word in _words())):
        commands = {f"{quantity}{name}{suffix}": body for quantity, body in bodies.items()}
        if not any(command in used for command in commands):
            break
    return commands


def _words() -> Iterator[tuple[str, ...]]:
    """Yield A, B, ..., Z, AA, AB, ..."""
    for length in itertools.count(1):
        yield from itertools.product(string.ascii_uppercase, repeat=length)


def _command(name: str, body: str) -> str:
    return f"\\newcommand{{\\drn{name}}}{{{body}}}"
