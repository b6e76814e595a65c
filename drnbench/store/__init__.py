"""Results on disk: the only source of truth.

    files         written whole or not at all
    store         the results folder, and the status of each unit: done when its status.json says so
    processes     liveness of a process
    leases        one coordinator at a time for each unit
    cache_files   one writer at a time for each part of the cache
    environment   versions, hardware, git state, the numerics signature
    code          the fingerprint of the numeric code
    plug_ins      those of plug-ins
    devices       CUDA devices

The names that other packages need most often are in this package itself.
"""

from drnbench.store.files import (
    DISK_FULL,
    atomic,
    is_disk_full,
    read_json,
    read_rows,
    safe,
    write_json,
    write_text,
)
from drnbench.store.store import HEARTBEAT_S, STALE_S, Status, Store, is_scored, sample_folder

__all__ = [
    "DISK_FULL",
    "HEARTBEAT_S",
    "STALE_S",
    "Status",
    "Store",
    "atomic",
    "is_disk_full",
    "is_scored",
    "read_json",
    "read_rows",
    "safe",
    "sample_folder",
    "write_json",
    "write_text",
]
