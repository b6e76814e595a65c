"""A Ray cluster of several nodes on this machine."""

import contextlib
import os
from collections.abc import Iterator


@contextlib.contextmanager
def cluster_of(cpus: list[int]) -> Iterator:
    """Start a head without processors and a node for each entry; end every process at the end."""
    from drnbench.execution.ray import QUIET

    os.environ.update(QUIET)
    from ray.cluster_utils import Cluster

    small = {"object_store_memory": 100 * 2**20, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, **small})
    try:
        for count in cpus:
            cluster.add_node(num_cpus=count, object_store_memory=100 * 2**20)
        cluster.wait_for_nodes()
        yield cluster
    finally:
        cluster.shutdown()
