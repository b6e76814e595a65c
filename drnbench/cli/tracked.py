"""The verbs on MLflow: sync, ui."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from drnbench.errors import UsageError, nearest
from drnbench.results.plan_record import studies
from drnbench.store import Store
from drnbench.tracking import LiveMirror, Mirror, up_to_date
from drnbench.tracking.ui import serve

if TYPE_CHECKING:
    from drnbench.session.coordinator import Listener


def _studies(store: Store) -> list[str]:
    return studies(store)


def sync_studies(names: list[str], results: Path, tracking_uri: str | None) -> int:
    """Mirror studies of the store."""
    store = Store(results)
    known = _studies(store)
    if not known:
        raise UsageError(f"{store.root} holds no study yet; `run` one first, or name another store with --results DIR")
    for name in names:
        if name not in known:
            raise UsageError(f"no study {name!r} in {store.root}: {nearest(name, known)}")
    if tracking_uri == "off":
        raise UsageError("sync --tracking-uri off: there is nothing to do with the mirror off")
    mirror = Mirror(store, tracking_uri)
    for name in names or known:
        try:
            result = mirror.sync(name)
        except Exception as error:
            told = " ".join(str(error).split())[:300]
            raise UsageError(f"{name}: MLflow at {mirror.uri} cannot be reached or written: {told}") from error
        print(f"{name}: {result.runs} runs, {result.new_runs} new, {result.points} new points")
    return 0


def mirror_quietly(store: Store, name: str, tracking_uri: str | None) -> None:
    """Bring the mirror up to date where it is not; a tracking server that is down costs a warning."""
    if up_to_date(store, name, tracking_uri):
        return
    try:
        Mirror(store, tracking_uri).sync(name)
    except Exception as error:  # noqa: BLE001 - the results are on disk; the mirror can wait
        told = " ".join(str(error).split())[:300]
        print(f"warning: the MLflow mirror is behind ({told}); `python -m drnbench sync` catches up")


def serve_ui(results: Path, host: str, port: int) -> int:
    """Serve the MLflow UI until Ctrl-C."""
    return serve(Store(results), None, host=host, port=port)


def live_mirror(store: Store, name: str, tracking_uri: str | None) -> tuple[LiveMirror | None, list[Listener]]:
    """Start mirroring a study while it runs; None where it is off. The listeners tell the mirror what is new."""
    if tracking_uri == "off":
        return None, []
    mirror = LiveMirror(store, tracking_uri, warn=lambda text: print(f"warning: {text}", flush=True))
    mirror.start(name)
    return mirror, [_Mirrored(mirror)]


class _Mirrored:
    """Tells the mirror when something new is on disk."""

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
