"""Results on disk: the only source of truth.

    files         written whole or not at all, synced
    integrity     checksums in and beside files; reports and names of what is not whole
    store         the results folder, and the status of each unit: done when its status.json says so and its files are whole
    unit_files    the files of a unit's result
    processes     liveness of a process
    leases        one coordinator at a time for each unit
    cache_files   one writer at a time for each part of the cache
    environment   versions, hardware, git state, the numerics signature
    code          the fingerprint of the numeric code
    plug_ins      those of plug-ins
    devices       CUDA devices

The names that other packages need most often are in this package itself.
"""

from drnbench.store import unit_files
from drnbench.store.files import (
    DISK_FULL,
    atomic,
    is_disk_full,
    read_arrays,
    read_json,
    read_rows,
    renew_json,
    safe,
    stored_rows,
    write_json,
    write_rows,
    write_text,
)
from drnbench.store.integrity import Damaged, Fault
from drnbench.store.store import HEARTBEAT_S, STALE_S, Status, Store, image_folder, is_scored, sample_folder

__all__ = [
    "DISK_FULL",
    "HEARTBEAT_S",
    "STALE_S",
    "Damaged",
    "Fault",
    "Status",
    "Store",
    "atomic",
    "image_folder",
    "is_disk_full",
    "is_scored",
    "read_arrays",
    "read_json",
    "read_rows",
    "renew_json",
    "safe",
    "sample_folder",
    "stored_rows",
    "unit_files",
    "write_json",
    "write_rows",
    "write_text",
]
