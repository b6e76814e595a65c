"""Imports of the fork server, so that no worker pays for them: torch, all numeric code, the plug-ins.

Workers that are forked later run what was imported here, also where files have been edited since. An import that fails
here, for want of memory as a rule, is left to the workers: each records it as the failure of its unit.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import sys
import threading
import warnings
from collections.abc import Iterator
from types import TracebackType

from drnbench.errors import PlugInWarning
from drnbench.parallel import ignore_group_signals, importing

ignore_group_signals()  # first of all; workers inherit it

HEAVY = (
    "pandas",
    "PIL.ImageOps",
    "psutil",
    "pyarrow.pandas_compat",
    "pyarrow.parquet",
    "torch.utils.serialization.config",
    "drnbench.execution.compute",
)


def _load() -> None:
    for module in (*HEAVY, "drnbench.execution.worker"):
        importlib.import_module(module)
    # Code and Pillow's formats are loaded when they are first asked for: before the fork, too.
    importlib.import_module("drnbench.training.origin").load()
    code = importlib.import_module("drnbench.store.code")
    for kind in code.PARTS:
        code.code_fingerprint(kind)
    importlib.import_module("PIL.Image").preinit()
    # Workers share these objects: a collector that looks through them would copy their memory, page by page.
    gc.freeze()


@contextlib.contextmanager
def _leaving_with_parent() -> Iterator[None]:
    """End at once with the process that started this one: seconds of imports would keep its terminal or pipe."""
    parent, end = os.getppid(), threading.Event()

    def watch() -> None:
        while not end.wait(0.1):
            if os.getppid() != parent:
                os._exit(0)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        end.set()
        watcher.join()  # no thread is left when workers are forked


def _print_line(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    del kind, trace
    print(f"drnbench: a worker cannot be started: {' '.join(str(error).split())}", file=sys.stderr, flush=True)


# Of the server itself, where it cannot fork; its coordinator sees the end of the connection.
sys.excepthook = _print_line
with contextlib.suppress(Exception), _leaving_with_parent(), importing():
    # The coordinator has reported a broken plug-in; its workers do not repeat it.
    warnings.simplefilter("ignore", PlugInWarning)
    _load()
