"""The verb `run`."""

from __future__ import annotations

import sys
from typing import Annotated

from typer import Option

from drnbench.cli import options
from drnbench.cli.study_output import print_report
from drnbench.session.declared import declare, read_overrides
from drnbench.session.request import Request
from drnbench.session.running import run_study
from drnbench.store import Store


def command(
    study: options.StudyArg,
    profile: options.ProfileOpt = "quick",
    sets: options.SetOpt = None,
    seeds: options.SeedsOpt = None,
    half_width: options.HalfWidthOpt = None,
    jobs: Annotated[int | None, Option(min=1, help="processes at once; none: one a core, or one a GPU")] = None,
    executor: Annotated[str, Option(help="where units run: local, ray or slurm")] = "local",
    device: options.DeviceOpt = "auto",
    results: options.ResultsOpt = options.RESULTS,
    tracking_uri: options.TrackOpt = None,
    log_models: options.LogModelsOpt = False,
    rerun: Annotated[str | None, Option(help="run again: failed, stale or all")] = None,
    fail_fast: Annotated[bool, Option("--fail-fast", help="stop at the first failure")] = False,
    gpus: Annotated[str | None, Option(metavar="0,1", help="GPUs to use; none: all")] = None,
    per_gpu: Annotated[int, Option(min=1, help="units that share a GPU")] = 1,
    time_limit: Annotated[
        float | None,
        Option(min=1, metavar="SECONDS", help="time a stage or a scoring may take; then it saves and ends"),
    ] = None,
    address: Annotated[
        str | None, Option(metavar="auto|ray://HOST:PORT|local", help="Ray cluster of --executor ray; none: auto")
    ] = None,
    partition: Annotated[str | None, Option(help="of --executor slurm; none: the cluster's own default")] = None,
    slurm: Annotated[
        list[str] | None,
        Option(
            metavar="KEY=VALUE",
            help="more of --executor slurm, in submitit's words: timeout_min=600, mem_gb=16, account=x; repeatable",
        ),
    ] = None,
    no_report: Annotated[
        bool, Option("--no-report", help="write no tables and figures; drnbench report writes them later")
    ] = False,
    data_root: options.DataRootOpt = None,
) -> int:
    """Run what is missing of a study, then report."""
    options.use_data_roots(data_root)
    request = Request(
        jobs=jobs, executor=executor, device=device, gpus=gpus, per_gpu=per_gpu, time_limit=time_limit, address=address,
        partition=partition, slurm=slurm or (), rerun=rerun, fail_fast=fail_fast, tracking_uri=tracking_uri,
        log_models=log_models, report=not no_report,
    )  # fmt: skip
    store = Store(results)
    ended = run_study(declare(study, profile, read_overrides(sets or [], seeds, half_width)), store, request)
    if ended.interrupted:
        return 130
    if ended.report is not None:
        print_report(ended.report, store, mirrored=tracking_uri is None)
    for line in ended.failures:
        print(f"failed: {line}", file=sys.stderr)
    if ended.failed_before:
        print(f"{len(ended.failed_before)} trials failed before; --rerun failed tries them again", file=sys.stderr)
    return 1 if ended.failures else 0
