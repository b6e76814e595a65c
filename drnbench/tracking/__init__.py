"""The MLflow mirror: one way, from the store; importing this does not import MLflow.

reading -> runs -> mirror -> live
"""

from __future__ import annotations

from drnbench.tracking.live import LiveMirror
from drnbench.tracking.mirror import Mirror, SyncResult
from drnbench.tracking.record import up_to_date

__all__ = ["LiveMirror", "Mirror", "SyncResult", "up_to_date"]
