"""The MLflow mirror of a run: kept up to date while it goes on, brought up to date after it, made again by `sync`."""

from __future__ import annotations

from typing import Any

from drnbench.errors import DrnbenchError, UsageError, disk_full, explain_environment, nearest, redacted
from drnbench.results.locations import matching, planned
from drnbench.session.listener import Listener
from drnbench.session.request import check_tracking
from drnbench.store import Store, is_disk_full
from drnbench.tracking import LiveMirror, Mirror, record, up_to_date
from drnbench.tracking.mirror import SyncResult


def live_mirror(store: Store, name: str, uri: str | None) -> tuple[LiveMirror | None, list[Listener]]:
    """Start mirroring a study while it runs; None where it is off. The listeners notify it of what is new."""
    if uri == "off":
        return None, []
    mirror = LiveMirror(store, uri, warn=lambda text: print(f"warning: {text}", flush=True))
    mirror.start(name)
    return mirror, [_Notifier(mirror)]


def update_mirror(store: Store, name: str, uri: str | None, *, log_models: bool, mirror: Mirror | None = None) -> None:
    """Bring the mirror of a study up to date where it is not; a tracking server that is down costs a warning.

    Networks are logged here, after the run: written while it goes on they would hold up what its mirror shows.

    Args:
        store, name: the study.
        uri: tracking URI; None: the store's own.
        log_models: with the networks of its trials.
        mirror: the one that followed the run, which is connected; None: a new one.

    """
    if not log_models and up_to_date(store, name, uri):
        return
    try:
        mirror = mirror or Mirror(store, uri)
        mirror.log_models = log_models
        mirror.sync(name, unless_shown=not log_models)
    except Exception as error:  # noqa: BLE001 - the results are on disk; the mirror can wait
        reason = redacted(" ".join(str(error).split()))[:300]
        command = record.sync_command(store, uri or record.default_uri(store))
        print(f"warning: the MLflow mirror is behind ({reason}); `{command}{' --log-models' * log_models}` catches up")


def check_sync(store: Store, names: list[str], uri: str | None) -> list[str]:
    """Return the locations of the reports to mirror: all of the studies that are named, or every one in the store.

    Raises:
        UsageError: the store holds none, or none of a name, or the mirror is off.

    """
    check_tracking(uri)
    stored = planned(store)
    studies = dict.fromkeys(location.partition("/")[0] for location in stored)
    if not stored:
        raise UsageError(f"{store.root} holds no study yet; `run` one first, or name another store with --results DIR")
    chosen = {name: matching(store, name) for name in names}
    for name, locations in chosen.items():
        if not locations:
            raise UsageError(f"no study {name!r} in {store.root}: {nearest(name, stored if '/' in name else studies)}")
    if uri == "off":
        raise UsageError("sync --tracking-uri off: there is nothing to do with the mirror off")
    return list(dict.fromkeys(location for locations in chosen.values() for location in locations)) or stored


def sync(store: Store, name: str, uri: str | None, *, log_models: bool = False) -> SyncResult:
    """Mirror one study; `log_models`: with the networks of its trials.

    Raises:
        UsageError: MLflow cannot be reached or written.

    """
    mirror = Mirror(store, uri, log_models=log_models)
    try:
        return mirror.sync(name)
    except DrnbenchError:  # a checkpoint or a plug-in of the store, and not the mirror
        raise
    except Exception as error:
        if is_disk_full(error, store.root):
            raise disk_full(store.root) from error
        reason = explain_environment(error) or " ".join(str(error).split())
        reason = redacted(reason)[:300]  # before it is cut: half a URI is not recognised
        raise UsageError(
            f"{name}: MLflow at {record.public(mirror.uri)} cannot be reached or written: {reason}"
        ) from error


class _Notifier:
    """Notifies the mirror when something new is on disk."""

    def __init__(self, mirror: LiveMirror) -> None:
        self._mirror = mirror

    def started(self, unit: Any, label: str) -> None:
        del unit, label

    def message(self, unit: Any, label: str, payload: dict[str, Any]) -> None:
        del unit, label
        if "saved" in payload:
            self._mirror.notify()

    def ended(self, unit: Any, label: str, status: Any, tail: Any = ()) -> None:
        del unit, label, status, tail
        self._mirror.notify()
