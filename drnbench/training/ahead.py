"""What the next steps need, made in a thread while the device computes."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

Value = TypeVar("Value")


class Ahead(Generic[Value]):
    """Values that are a function of the step, made up to `depth` steps before they are asked for.

    Args:
        make: the function; it is called in one thread, step by step.
        depth: number of values that wait.
        end: the step after the last.
    """

    def __init__(self, make: Callable[[int], Value], end: int, depth: int = 2) -> None:
        self._make, self._end, self._depth = make, end, depth
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="feed")
        self._waiting: dict[int, Future[Value]] = {}

    def get(self, step: int) -> Value:
        """Return the value of a step, and let those of the next be made; raises what `make` raises for it."""
        for future in [
            self._waiting.pop(other) for other in [*self._waiting] if not step <= other <= step + self._depth
        ]:
            future.cancel()
        for later in range(step, min(step + self._depth + 1, max(self._end, step + 1))):
            if later not in self._waiting:
                self._waiting[later] = self._thread.submit(self._make, later)
        return self._waiting.pop(step).result()

    def close(self) -> None:
        """Let go of what waits, and of the thread."""
        self._thread.shutdown(wait=True, cancel_futures=True)
        self._waiting.clear()
