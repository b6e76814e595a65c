"""The gallery: every study that comes with drnbench is run, and its answer, main figure and report go into `docs/`.

    python docs/_build/gallery.py [STUDY ...] [--profile quick] [--results build/gallery] [--page]

What the store holds is not trained again, so an interrupted call goes on, and studies share stages. The page is written from
`docs/gallery/gallery.json`, which keeps the entries of studies that a call does not name.
"""

from __future__ import annotations

import argparse
import base64
import io
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from PIL import Image

from drnbench.config import shipped
from drnbench.config.settings import Settings
from drnbench.outputs import compose
from drnbench.outputs.base import Output, StudyResults
from drnbench.outputs.headline import sentences
from drnbench.render import text
from drnbench.results import reading
from drnbench.results.plan_record import PlanRecord
from drnbench.store import Store, read_json

DOCS = Path(__file__).resolve().parents[1]
FOLDER = DOCS / "gallery"
RECORDS = FOLDER / "gallery.json"
COMMAND = "nox -s gallery"
SIDE, QUALITY = 960, 45
"""Longest side of the pictures of a report in pixels, and their quality as WebP."""
THUMBNAIL = 840
"""Width of the figure of an entry in pixels, twice what the page shows."""
DATA_URI = re.compile(r"data:image/(?:png|webp);base64,([A-Za-z0-9+/=]+)")
NO_ANSWER = "At profile `tiny`, which shows the form of the answer and of the report:\n\n"
BUSY = " (with other work on the machine)"
LINK = re.compile(r'<a href="(?:[\w.-]+|http://127\.0\.0\.1[^"]*)">(.*?)</a>', re.DOTALL)
PROFILES = {
    "quick": "the study as its file stands",
    "tiny": "a size that shows only that it runs: networks of a few steps, whose answer says nothing about the question",
}
HEAD = """\
# Gallery

Every study that comes with drnbench, with its answer and its report as `drnbench run STUDY` writes them. All images are
photographs that installed packages ship. `{command}` makes this page again: it runs the studies, goes on where it was
interrupted, and takes hours on two cores; `drnbench run STUDY` makes one report in the time that stands beside it.

Times are processor time on one core of {processor}, all stages and scores together; two cores take about half.

{profiles}

In the reports of this page pictures are reduced to {side} pixels and compressed with loss, so error maps there differ
from those of a report of your own.
"""


def run(study: str, profile: str, results: Path) -> None:
    """Run what the store lacks of a study, one process at a time, and write its report."""
    command = ["run", study, "--profile", profile, "--results", str(results), "--jobs", "1", "--tracking-uri", "off"]
    subprocess.run([sys.executable, "-m", "drnbench", *command], check=True)


def add(study: str, profile: str, results: Path) -> dict[str, Any]:
    """Write figure and report of a study that has run into `docs/gallery`, and return its entry."""
    store, settings = Store(results), Settings.of(study, profile, {})
    made = compose.results_of(reading.read(store, settings.location), store)
    shown, _ = compose.outputs_of(made.scores.plan)
    report = store.study(settings.location)
    record = read_json(report / "report.json") or {}
    figure = next(report / name for name in record["files"] if name.endswith(".png"))
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / f"{study}.webp").write_bytes(reduced(figure.read_bytes(), THUMBNAIL))
    (FOLDER / f"{study}.html").write_text(reduced_page((report / "report.html").read_text("utf-8")), encoding="utf-8")
    costs, busy = seconds(store, made.scores.plan)
    provenance = json.loads((report / "summary.json").read_text("utf-8"))["provenance"]
    return {
        "profile": profile,
        "seconds": round(sum(costs)),
        "busy": busy,
        "answer": text.plain(answer(made, shown)),
        "date": str(provenance["date"])[:10],
        "processor": ", ".join(name.partition(" (")[0] for name in provenance["hardware"]),
    }


def answer(study: StudyResults, shown: list[Output]) -> str:
    """Return the sentence on the arms; where there are several arms, those on D and on the positive control are no answer."""
    statements, before = sentences(study, shown), set[str]()
    if study.scores.baseline is not None:
        before = {line for output in shown if output.headline == "before" for line in output.sentences(study)}
    return next((s for s in statements if s not in before and not s.startswith("The positive control")), statements[0])


def seconds(store: Store, plan: PlanRecord) -> tuple[list[float], bool]:
    """Return the processor time of each unit of a study, and whether some have only the time that passed."""
    records = [read_json(store.stage(key) / "stage.json") or {} for key in plan.stages]
    records += [read_json(store.trial(key) / "scores.json") or {} for key in {trial.key for trial in plan.trials}]
    passed = [record.get("seconds") or (record.get("costs") or {}).get("seconds") or 0.0 for record in records]
    times = [record.get("cpu_seconds") or time for record, time in zip(records, passed, strict=True)]
    return times, any("cpu_seconds" not in record for record in records)


def reduced(image: bytes, side: int) -> bytes:
    """Return an image as WebP of at most so many pixels a side."""
    picture = Image.open(io.BytesIO(image)).convert("RGB")
    picture.thumbnail((side, side), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    picture.save(buffer, "WEBP", quality=QUALITY, method=6)
    return buffer.getvalue()


def reduced_page(page: str) -> str:
    """Return a report with smaller pictures, and without links to the files beside it and to the MLflow of its machine."""

    def reduce(uri: re.Match[str]) -> str:
        picture = reduced(base64.b64decode(uri[1]), SIDE)
        return f"data:image/webp;base64,{base64.b64encode(picture).decode('ascii')}"

    return LINK.sub(r"\1", DATA_URI.sub(reduce, page))


def duration(length: float) -> str:
    """Return seconds as a reader says them: 40 s, 7 min, 1.4 h."""
    if length < 90:
        return f"{length:.0f} s"
    return f"{length / 60:.0f} min" if length < 90 * 60 else f"{length / 3600:.1f} h"


def page(records: dict[str, dict[str, Any]]) -> str:
    """Return the text of `docs/gallery.md`: an entry for each shipped study, those of `quick` first."""
    profiles = [name for name in PROFILES if any(record["profile"] == name for record in records.values())]
    parts = [
        HEAD.format(
            command=COMMAND, side=SIDE, profiles="\n".join(f"- Profile `{name}` is {PROFILES[name]}." for name in profiles),
            processor=", ".join(sorted({record["processor"] for record in records.values()})),
        )
    ]  # fmt: skip
    studies = shipped.shipped()
    for study in sorted(studies, key=lambda name: profiles.index(records[name]["profile"])):
        record, question = records[study], shipped.question(studies[study])
        option = "" if record["profile"] == "quick" else f" --profile {record['profile']}"
        parts.append(
            f"## {study}\n\n{question}\n\n"
            f'[<img src="gallery/{study}.webp" width="{THUMBNAIL // 2}" alt="Main figure of {study}">](gallery/{study}.html)\n\n'
            f"{'' if record['profile'] == 'quick' else NO_ANSWER}> {record['answer']}\n\n"
            f"`drnbench run {study}{option}`: {duration(record['seconds'])}{BUSY if record['busy'] else ''}, {record['date']}. "
            f"[Report](gallery/{study}.html)\n"
        )
    return "\n".join(parts)


def main(arguments: list[str] | None = None) -> None:
    """Run studies, and write the page with their entries; with `--page` write it from the entries there are."""
    studies = shipped.shipped()
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("studies", nargs="*", metavar="STUDY", help=f"all where none is named: {', '.join(studies)}")
    parser.add_argument("--profile", default="quick", choices=PROFILES)
    parser.add_argument("--results", type=Path, default=DOCS.parent / "build" / "gallery")
    parser.add_argument("--page", action="store_true", help="run nothing")
    given = parser.parse_args(arguments)
    records = json.loads(RECORDS.read_text("utf-8")) if RECORDS.exists() else {}
    for study in [] if given.page else given.studies or studies:
        run(study, given.profile, given.results)
        records[study] = add(study, given.profile, given.results)
        RECORDS.write_text(json.dumps(records, indent=1, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")
    if studies.keys() <= records.keys():
        (DOCS / "gallery.md").write_text(page(records), encoding="utf-8")


if __name__ == "__main__":
    main()
