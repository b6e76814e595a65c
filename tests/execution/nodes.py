"""A Ray cluster of several nodes on this machine."""

import contextlib
import os
import warnings
from collections.abc import Iterator

import pytest


@contextlib.contextmanager
def cluster_of(cpus: list[int], client_port: int | None = None) -> Iterator:
    """Start a head without processors and a node for each entry; end every process at the end.

    Args:
        cpus: processors of each node.
        client_port: where the head serves Ray's client, as the README says that one starts it; None: nowhere.

    """
    from drnbench.execution.ray import QUIET

    os.environ.update(QUIET)
    from ray.cluster_utils import Cluster

    head = {"num_cpus": 0, "object_store_memory": 100 * 2**20, "include_dashboard": False}
    if client_port is not None:
        head["ray_client_server_port"] = client_port
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        patch.setenv("GRPC_ENABLE_FORK_SUPPORT", "0")
        warnings.simplefilter("ignore", ResourceWarning)  # Ray leaves the client server's log files to the collector
        cluster = Cluster(initialize_head=True, head_node_args=head)
    try:
        with pytest.MonkeyPatch.context() as patch:
            # Else Ray's workers give way to all other processes: beside other tests, a unit of two seconds took a minute.
            patch.setenv("RAY_worker_niceness", "0")
            for count in cpus:
                cluster.add_node(num_cpus=count, object_store_memory=100 * 2**20)
        cluster.wait_for_nodes()
        yield cluster
    finally:
        cluster.shutdown()
