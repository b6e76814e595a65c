"""`drnbench.run`, `drnbench.plan` and `drnbench.load`: what the command line does, as calls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from drnbench.config.study import Study
from drnbench.errors import UsageError
from drnbench.planning import Plan
from drnbench.results.locations import matching, planned
from drnbench.results.plan_record import find_plan
from drnbench.session.declared import declare
from drnbench.session.request import Request
from drnbench.session.results import Results
from drnbench.session.running import run_study
from drnbench.store import Store


def run(
    study: Study | Path | str, *, profile: str = "quick", overrides: Mapping[str, Any] | None = None,
    results: Path | str = "results", name: str | None = None, jobs: int | None = None, executor: str = "local",
    device: str = "auto", gpus: str | None = None, per_gpu: int = 1, time_limit: float | None = None,
    address: str | None = None, partition: str | None = None, slurm: Sequence[str] = (), rerun: str | None = None,
    fail_fast: bool = False, tracking_uri: str | None = None, log_models: bool = False,
    report: bool = True,
) -> Results:  # fmt: skip
    """Run what is missing of a study, mirror it into MLflow, write its report; prints progress.

    Args:
        study: a study file, or a `Study`, which then needs a `name`.
        profile: size of the study: tiny, quick, or one that it declares.
        overrides: fields of every trial by path, such as {"adapt.steps": 500}.
        results: the store.
        name: what a `Study` without a file is called.
        jobs: units at once; None: one a core, or one a GPU.
        executor: where units run: local, ray, slurm, or one of another package.
        device: auto, cpu or cuda.
        gpus: numbers of the GPUs to use, as in "0,1"; None: all.
        per_gpu: units that share a GPU.
        time_limit: seconds that a unit may take.
        address: of the Ray cluster.
        partition: of SLURM.
        slurm: further parameters of submitit, as KEY=VALUE.
        rerun: failed, stale or all: what is run again.
        fail_fast: stop at the first failure.
        tracking_uri: MLflow server or store; None: mlflow.db of the results; "off": no mirror.
        log_models: log the trained networks, too, as MLflow's models with their signature.
        report: write tables, figures and page at the end; False: leave them to `drnbench report`, or to a later run.

    Returns:
        The results; `failed` names units that failed, and parts of the report.

    Raises:
        UsageError: what cannot be run, and why.
        KeyboardInterrupt: Ctrl-C; the same call goes on.

    """
    store = Store(Path(results).expanduser())
    declared = declare(study, profile, overrides, name)
    request = Request(
        device, jobs, gpus, per_gpu, address, partition, slurm,
        executor=executor, time_limit=time_limit, rerun=rerun, fail_fast=fail_fast, tracking_uri=tracking_uri,
        log_models=log_models, report=report,
    )  # fmt: skip
    ended = run_study(declared, store, request)
    if ended.interrupted:
        raise KeyboardInterrupt
    return Results(store, declared.settings.location, failed=tuple(ended.failures))


def plan(
    study: Study | Path | str, *, profile: str = "quick", overrides: Mapping[str, Any] | None = None,
    results: Path | str = "results", name: str | None = None,
) -> Plan:  # fmt: skip
    """Return what `run` would do: trials, stages, their states; runs nothing.

    Standard sets that are not here are planned by their sizes in the catalogue; `Plan.absent` and a warning name them.

    Args:
        study: a study file, or a `Study`, which then needs a `name`.
        profile: size of the study: tiny, quick, or one that it declares.
        overrides: fields of every trial by path.
        results: the store that it is held against.
        name: what a `Study` without a file is called.

    Raises:
        UsageError: what cannot be run, and why.

    """
    store = Store(Path(results).expanduser())
    return declare(study, profile, overrides, name).catalogued(store).plan(store)


def load(path: Path | str = "results", name: str | None = None) -> Results:
    """Return the results of a study from its store alone; also while it runs.

    Args:
        path: the folder of a report, results/<study>/<profile>; that of a study with one report, results/<study>; or the
            store with a `name`.
        name: the study, or `<study>/<profile>` where it has several reports; None: `path` is a folder of it, or the
            store has one report.

    Raises:
        UsageError: there is no such study, or it has several reports.

    """
    folder = Path(path).expanduser()
    if name is None:
        store, name = _report_at(folder)
    else:
        store = Store(folder)
    return Results(store, name)


def _report_at(folder: Path) -> tuple[Store, str]:
    """Return the store and the name of a study, of its report under some settings, or of the one study of a store."""
    whole = folder.absolute()
    for root in (whole.parent, whole.parent.parent):
        store, name = Store(root), whole.relative_to(root).as_posix()
        plan = next((find_plan(store, location) for location in matching(store, name)), None)
        # The folder of a report is also a study's folder of a store that would be its parent.
        if plan is not None and ((root / "trials").is_dir() or plan.study == name.partition("/")[0]):
            return store, name
    stored = planned(Store(folder))
    if len(stored) != 1:
        raise UsageError(
            f"{folder} holds {len(stored)} reports ({', '.join(stored) or 'none'}): name the folder of one of them"
        )
    return Store(folder), stored[0]
