"""macros.tex: a LaTeX command for every number, so that a paper's text never holds a copied digit."""

from __future__ import annotations

import re

from drnbench.report import text
from drnbench.report.frame import Place, Scores
from drnbench.report.latex import GREEK, escape
from drnbench.report.summary import Result, Results

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


def _name(scores: Scores, place: Place, arm: str, metric: str) -> str:
    several = len({p.dataset for p in scores.places}) > 1
    return letters(arm) + (letters(place.dataset) if several else "") + letters(place.kernel) + letters(metric)


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


def render(scores: Scores, results: Results) -> str:
    """Return macros.tex. Names are unique; a number that is not there yet is a bold ?? and not an error."""
    base = scores.baseline
    lines = [
        f"% Numbers of the study {escape(scores.plan['study'])}, profile {escape(scores.plan['profile'])}.",
        "% \\input{macros} in the preamble or the body.",
        "% \\drn<Quantity><Arm><Kernel><Metric>, digits and Greek letters spelt out; Arm and Metric as in summary.csv.",
        "% (The data set stands before the kernel where a study has several.) Quantities:",
        "%   Mean, HalfWidth         mean over images and seeds; 95 % half-width over the seeds' test-set means",
        "%   Delta, DeltaLow, DeltaHigh  mean paired difference to the baseline and its 95 % interval (crossed t)",
        "%   Won                     share of images on which the arm is better than the baseline",
        "% Units: dB for PSNR, none for SSIM and LPIPS. ?? is a number that is not there (yet).",
        "% For two studies in one paper, \\input each inside a group: {\\input{a/macros} ... }",
        f"\\newcommand{{\\drnStudy}}{{{escape(scores.plan['study'])}}}",
        f"\\newcommand{{\\drnProfile}}{{{escape(scores.plan['profile'])}}}",
        f"\\newcommand{{\\drnBaseline}}{{{escape(base.name) if base else 'none'}}}",
        f"\\newcommand{{\\drnTrialsDone}}{{{scores.counts[0]}}}",
        f"\\newcommand{{\\drnTrialsPlanned}}{{{scores.counts[1]}}}",
    ]
    used: dict[str, int] = {}
    for result in results.values():
        arm = scores.arm(result.arm)
        name = _name(scores, result.place, result.arm, result.metric)
        used[name] = used.get(name, 0) + 1
        # Names that differ in punctuation alone are told apart by a letter: A for the second, B for the third.
        name += "" if used[name] == 1 else f"Alt{chr(ord('A') + used[name] - 2)}"
        sizes = f"{text.count(result.n_seeds, 'seed')}, {text.count(result.n_images, 'image')}"
        lines.append(f"% {escape(result.arm)}, {result.place.label}, {result.metric}; {sizes}")
        lines += [
            f"\\newcommand{{\\drn{quantity}{name}}}{{{value}}}"
            for quantity, value in _numbers(result, scores.baseline_of(arm) is not None)
        ]
    return "\n".join([*lines, ""])
