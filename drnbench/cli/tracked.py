"""The verbs on MLflow: sync, ui."""

from __future__ import annotations

from pathlib import Path

from drnbench.errors import UsageError, nearest
from drnbench.store import Store


def _studies(store: Store) -> list[str]:
    return sorted(path.parent.name for path in store.root.glob("*/plan.json"))


def sync_studies(names: list[str], results: Path, tracking_uri: str | None) -> int:
    """Mirror studies of the store."""
    from drnbench.tracking import Mirror

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
    from drnbench.tracking import Mirror, up_to_date

    if up_to_date(store, name, tracking_uri):
        return
    try:
        Mirror(store, tracking_uri).sync(name)
    except Exception as error:  # noqa: BLE001 - the results are on disk; the mirror can wait
        told = " ".join(str(error).split())[:300]
        print(f"warning: the MLflow mirror is behind ({told}); `python -m drnbench sync` catches up")


def serve_ui(results: Path, host: str, port: int) -> int:
    """Serve the MLflow UI until Ctrl-C."""
    from drnbench.tracking.ui import serve

    return serve(Store(results), None, host=host, port=port)
