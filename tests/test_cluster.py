"""A Ray cluster that loses a node."""

from __future__ import annotations

import importlib.util
import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from chores import patient

from worldgan.executor import Executor


@pytest.fixture
def nodes() -> Iterator[Any]:
    """Two of one processor each; the second may be killed."""
    import ray
    from ray.cluster_utils import Cluster

    paths = os.pathsep.join([str(Path.cwd()), str(Path(__file__).parent)])
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    try:
        cluster.add_node(num_cpus=1)
        environment = {"env_vars": {"PYTHONPATH": paths}}
        ray.init(address=cluster.address, log_to_driver=False, runtime_env=environment)
        yield cluster
    finally:
        ray.shutdown()
        cluster.shutdown()


def lose_one(cluster: Any, folder: Path) -> None:
    """Kill it with its worker, as a power cut would, as soon as both jobs run."""
    while len(list(folder.iterdir())) < 2:
        time.sleep(0.02)
    try:
        [other] = cluster.worker_nodes
        [worker] = folder.glob(f"*.{other.node_id}.*")
        cluster.remove_node(other, allow_graceful=False)
        with suppress(ProcessLookupError):  # it has noticed already
            os.kill(int(worker.suffix[1:]), signal.SIGKILL)
    finally:
        (folder / "lost").touch()


@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="the cluster extra is not installed")
def test_the_job_of_a_lost_node_is_run_by_another(nodes: Any, tmp_path: Path) -> None:
    killer = Thread(target=lose_one, args=(nodes, tmp_path), daemon=True)
    killer.start()
    assert Executor("ray").map(patient, [(tmp_path, number) for number in range(2)]) == [0, 1]
    killer.join()
    done = sorted(file.name.split(".")[0] for file in tmp_path.iterdir())
    assert done in (["0", "0", "1", "lost"], ["0", "1", "1", "lost"])
