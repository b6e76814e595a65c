"""macros.tex: a LaTeX command for every number, so that a paper's text never holds a copied digit."""

from __future__ import annotations

import re

from drnbench.outputs import gap_values
from drnbench.render import text
from drnbench.render.latex import GREEK, escape
from drnbench.results.costs import Costs
from drnbench.results.scores import Condition, Scores
from drnbench.results.summary import Result, Results

DIGITS = ("Zero", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine")
MISSING = r"\textbf{??}"


def letters(words: str) -> str:
    """Return a name of letters alone, as TeX wants it: `ρ=0.3` -> `RhoZeroPointThree`."""
    for name, both in GREEK.items():
        for letter in both:
            words = words.replace(letter, f" {name} ")
    words = re.sub(r"(?<=\d)\.(?=\d)", " point ", words).replace("+", " plus ").replace("%", " percent ")
    words = re.sub(r"-(?=\d)", " minus ", words) if re.search(r"(^|[=\s])-\d", words) else words
    words = re.sub(r"\d", lambda m: f" {DIGITS[int(m[0])]} ", words)
    return "".join(part[0].upper() + part[1:] for part in re.split(r"[^A-Za-z]+", words) if part)


def _name(scores: Scores, condition: Condition, arm: str, metric: str) -> str:
    several = len({p.dataset for p in scores.conditions}) > 1
    return letters(arm) + (letters(condition.dataset) if several else "") + letters(condition.kernel) + letters(metric)


def _value(value: float | None, decimals: int, *, sign: bool = False) -> str:
    if value is None:
        return MISSING
    written = (text.signed if sign else text.number)(value, decimals).replace("−", "-")
    return f"\\ensuremath{{{written}}}"


def _numbers(result: Result, has_baseline: bool) -> list[tuple[str, str]]:
    s, d = text.style(result.metric), result.difference
    found = [("Mean", _value(result.mean, s.decimals)), ("HalfWidth", _value(result.half_width, s.decimals))]
    if has_baseline:
        n = s.delta_decimals
        found += [
            ("Delta", _value(d.mean if d else None, n, sign=True)),
            ("DeltaLow", _value(d.low if d else None, n, sign=True)),
            ("DeltaHigh", _value(d.high if d else None, n, sign=True)),
            ("Won", f"{100 * d.won:.0f}\\,\\%" if d else MISSING),
        ]
    return found


class _Names:
    """Names that no number has yet: those that differ in punctuation alone are told apart by a letter, A for the second."""

    def __init__(self) -> None:
        self._used: dict[str, int] = {}

    def unique(self, name: str) -> str:
        """Return the name, with `AltA` for its second use, `AltB` for its third."""
        self._used[name] = self._used.get(name, 0) + 1
        return name + ("" if self._used[name] == 1 else f"Alt{chr(ord('A') + self._used[name] - 2)}")


def _command(name: str, value: str) -> str:
    return f"\\newcommand{{\\drn{name}}}{{{value}}}"


def _costs(scores: Scores, costs: Costs) -> list[str]:
    lines, names = [], _Names()
    for arm in scores.arms:
        name, cost = names.unique(letters(arm.name)), costs[arm.name]
        lines.append(f"% {escape(arm.name)}, costs")
        lines += [
            _command(f"Parameters{name}", MISSING if cost.parameters is None else f"\\ensuremath{{{cost.parameters}}}"),
            _command(f"Macs{name}", MISSING if cost.macs is None else f"\\ensuremath{{{cost.macs}}}"),
        ]
        if not arm.seedless:
            lines.append(_command(f"StepMacs{name}", _value(cost.step_macs, 0)))
            lines.append(_command(f"Seconds{name}", _value(cost.seconds, 1)))
    return lines


def _gaps(scores: Scores) -> list[str]:
    lines, names = [], _Names()
    for out in gap_values.wanted(scores):
        found, n = gap_values.gaps(scores, out), text.style(out["metric"]).delta_decimals
        for one in found.values():
            name = names.unique(_name(scores, one.test, one.arm, one.metric))
            lines.append(f"% {escape(one.arm)}, {one.train.dataset} minus {one.test.label}, {one.metric}")
            lines += [
                _command(f"Gap{name}", _value(one.value, n, sign=True)),
                _command(f"GapHalfWidth{name}", _value(one.half, n)),
            ]
            arm = scores.arm(one.arm)
            if not arm.seedless and scores.baseline_of(arm, one.test) is not None:
                lines += [
                    _command(f"GapDelta{name}", _value(one.delta, n, sign=True)),
                    _command(f"GapDeltaLow{name}", _value(one.low, n, sign=True)),
                    _command(f"GapDeltaHigh{name}", _value(one.high, n, sign=True)),
                ]
    return lines


def render(scores: Scores, results: Results, costs: Costs) -> str:
    """Return macros.tex. Names are unique; a number that is not there yet is a bold ?? and not an error."""
    base = scores.baseline
    lines = [
        f"% Numbers of the study {escape(scores.plan.study)}, profile {escape(scores.plan.profile)}.",
        "% \\input{macros} in the preamble or the body.",
        "% \\drn<Quantity><Arm><Kernel><Metric>, digits and Greek letters spelt out; Arm and Metric as in summary.csv.",
        "% (The data set stands before the kernel where a study has several.) Quantities:",
        "%   Mean, HalfWidth         mean over images and seeds; 95 % half-width over the seeds' test-set means",
        "%   Delta, DeltaLow, DeltaHigh  mean paired difference to the baseline and its 95 % interval (crossed t)",
        "%   Won                     share of images on which the arm is better than the baseline",
        "%   Parameters, Macs, StepMacs, Seconds  of an arm: as in costs.csv",
        "%   Gap, GapHalfWidth, GapDelta, GapDeltaLow, GapDeltaHigh  training minus test images, and that to the baseline's",
        "% Units: dB for PSNR, none for SSIM and LPIPS. ?? is a number that is not there (yet).",
        "% For two studies in one paper, \\input each inside a group: {\\input{a/macros} ... }",
        f"\\newcommand{{\\drnStudy}}{{{escape(scores.plan.study)}}}",
        f"\\newcommand{{\\drnProfile}}{{{escape(scores.plan.profile)}}}",
        f"\\newcommand{{\\drnBaseline}}{{{escape(base.name) if base else 'none'}}}",
        f"\\newcommand{{\\drnTrialsDone}}{{{scores.counts[0]}}}",
        f"\\newcommand{{\\drnTrialsPlanned}}{{{scores.counts[1]}}}",
    ]
    names = _Names()
    for result in results.values():
        arm = scores.arm(result.arm)
        name = names.unique(_name(scores, result.condition, result.arm, result.metric))
        sizes = f"{text.count(result.n_seeds, 'seed')}, {text.count(result.n_images, 'image')}"
        lines.append(f"% {escape(result.arm)}, {result.condition.label}, {result.metric}; {sizes}")
        lines += [
            _command(f"{quantity}{name}", value)
            for quantity, value in _numbers(result, scores.baseline_of(arm, result.condition) is not None)
        ]
    return "\n".join([*lines, *_costs(scores, costs), *_gaps(scores), ""])
