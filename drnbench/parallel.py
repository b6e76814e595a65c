"""The same work on many images, in this process or in several: one result an image, in order, with progress.

The pool is our own and not joblib's, whose generator keeps the order too: joblib's workers are fresh interpreters, each of
which imports PyTorch for seconds where ours are forked from a server that has it, and they finish their task after their
parent was killed, where ours end with it.
"""

from __future__ import annotations

import contextlib
import gc
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import forkserver, resource_tracker
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any, Generic, TypeVar

from rich.console import Console

from drnbench import streams
from drnbench.errors import UnitError, UsageError

T = TypeVar("T")
R = TypeVar("R")
T_contra = TypeVar("T_contra", contravariant=True)
R_co = TypeVar("R_co", covariant=True)

GROUP_SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
"""Signals that reach a whole process group."""
_servers: set[int] = set()
"""Processes that have started a fork server: this one, and not the parent of a fork."""
WORTH = 16
"""Images a process that make up for starting it, where the number of processes is not given."""


@dataclass(frozen=True)
class Failed:
    """Stands in place of the result of an image that cannot be used; the message names it, in one line."""

    message: str


class Work(Generic[T_contra, R_co]):
    """The work on each item: pickled once a process, `start` called there once, then the object with each item.

    A `UsageError` or `UnitError` of one item does not stop the others.
    """

    def start(self) -> None:
        """Build what all items need and is too large to send, such as a network."""

    def __call__(self, item: T_contra) -> R_co:
        """Return the result of one item."""
        raise NotImplementedError


def cores() -> int:
    """Return the number of processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def each(work: Work[T, R], items: Sequence[T], jobs: int | None, title: str) -> Iterator[R | Failed]:
    """Yield the result of every item, in order.

    Args:
        work: on each item.
        items: picklable.
        jobs: processes at once; None: one a core where there is enough to do, 1: all in this process.
        title: of the progress display.

    Raises:
        UnitError: a process was killed, for want of memory as a rule.

    """
    processes = min(cores(), -(-len(items) // WORTH)) if jobs is None else min(jobs, len(items))
    results = _serial(work, items) if processes <= 1 else _pool(work, items, processes)
    return watch(results, len(items), title)


def _serial(work: Work[T, R], items: Sequence[T]) -> Iterator[R | Failed]:
    work.start()
    for item in items:
        yield _apply(work, item)


def _apply(work: Callable[[T], R], item: T) -> R | Failed:
    try:
        return work(item)
    except (UsageError, UnitError) as error:
        return Failed(str(error))


def check_script() -> None:
    """Refuse a script that worker processes, which import it, could not read.

    Raises:
        UsageError: it was read from standard input.
    """
    main = sys.modules["__main__"]
    file = getattr(main, "__file__", None)
    if file is not None and main.__spec__ is None and not Path(file).exists():
        raise UsageError(
            f"worker processes import the script that starts them, and {file} is no file (a script on standard input?): save the "
            "script, put what it does under `if __name__ == '__main__':`, and run it with python FILE"
        )


def start_fork_server(*, compiler: bool = False) -> None:
    """Start the fork server of this process, if need be: one for the workers of studies and the pools of images.

    Its preload is asked for here alone: a server without it would be everybody's.

    Args:
        compiler: PyTorch's compiler is imported, too, which optimisers on a GPU ask for: a second that each worker saves.
    """
    multiprocessing.set_forkserver_preload(["drnbench.execution.preload", *(["torch._dynamo"] if compiler else [])])
    with shielded():
        resource_tracker.ensure_running()  # it lifts the shield of the signals that it ignores
    with shielded():
        forkserver.ensure_running()
    _servers.add(os.getpid())


def call_beside_torch(function: Callable[..., object], *args: object) -> bool:
    """Call a function where PyTorch is imported: in a process of the fork server, if this one runs it and lacks PyTorch.

    An import takes seconds; a process of the server takes hundredths of one.

    Args:
        function: of a module, with arguments that can be pickled; what it returns is lost, so it writes.

    Returns:
        True where it was called and ended well; otherwise the caller goes on without.
    """
    if "torch" in sys.modules or os.getpid() not in _servers:
        return False
    try:
        start_fork_server()
        process = multiprocessing.get_context("forkserver").Process(target=function, args=args, daemon=True)
        process.start()
    except (EOFError, OSError):  # the server was killed
        return False
    process.join()
    return process.exitcode == 0


@contextlib.contextmanager
def shielded() -> Iterator[None]:
    """Let processes that are started here never see a signal of the group, not while they import either.

    One that comes meanwhile reaches this process at the end.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, GROUP_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextlib.contextmanager
def importing() -> Iterator[None]:
    """Import without the garbage collector: nearly all that is made stays, and looking through it takes a quarter of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def ignore_group_signals() -> None:
    """Leave to the parent what a signal of the whole process group means: Ctrl-C, a closed terminal, `timeout`."""
    for number in GROUP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def _pool(work: Work[T, R], items: Sequence[T], jobs: int) -> Iterator[R | Failed]:
    check_script()
    # A process that has not needed torch yet does not wait for the server of those that need it.
    heavy = "torch" in sys.modules
    if heavy:
        start_fork_server()
    else:
        resource_tracker.ensure_running()
    try:
        executor = ProcessPoolExecutor(
            jobs, multiprocessing.get_context("forkserver" if heavy else "spawn"), _begin, (work,)
        )
    except (OSError, ImportError, NotImplementedError) as error:  # no semaphores: no /dev/shm, as in some containers
        streams.say(f"drnbench: warning: one process instead of {jobs}: this system has no semaphores ({error})")
        yield from _serial(work, items)
        return
    with executor as pool:
        try:
            with shielded():
                futures: list[Future[Any]] = [pool.submit(_task, item) for item in items]
            for future in futures:
                yield future.result()
        except BrokenProcessPool:
            raise UnitError(
                "a process was killed, perhaps for want of memory: run again with fewer processes (--jobs 1)"
            ) from None
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise


_work: Work[Any, Any] | None = None


def _begin(work: Work[Any, Any]) -> None:
    global _work  # noqa: PLW0603 - one a process, set by the pool's initialiser
    ignore_group_signals()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # by which the pool ends its processes
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, GROUP_SIGNALS)
    threading.Thread(target=_follow, daemon=True).start()
    # Processes share the cores, threads would fight over them.
    os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = "1"  # read by torch where it is imported later
    if "torch" in sys.modules:
        import torch

        torch.set_num_threads(1)
    work.start()
    _work = work


def _follow() -> None:
    """End with the parent, also when it is killed: the results would be lost."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def _task(item: Any) -> Any:
    assert _work is not None
    return _apply(_work, item)


PLAIN_S = 30.0
"""Seconds between plain lines about one unit."""


def watch(items: Iterable[T], total: int, title: str) -> Iterator[T]:
    """Yield every item unchanged, with a bar on standard error on a terminal, else a line there every half minute."""
    if sys.stderr is not None and sys.stderr.isatty():
        from rich.progress import track

        yield from track(items, description=title, total=total, console=Console(stderr=True), transient=True)
        return
    start = printed = time.monotonic()
    for done, item in enumerate(items, 1):
        yield item
        now = time.monotonic()
        if now - printed > PLAIN_S and done < total:
            printed = now
            left = clock((now - start) / done * (total - done))
            print(f"{title}: {done}/{total}, left about {left}", file=sys.stderr, flush=True)


def clock(seconds: float | None) -> str:
    """Return `1:02:03` or `2:03`; a question mark for None."""
    if seconds is None:
        return "?"
    minutes, s = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{s:02}" if hours else f"{minutes}:{s:02}"
