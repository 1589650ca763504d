"""A collection on a Ray cluster that loses a node."""

from __future__ import annotations

import importlib.util
import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from worldgan import cli


@pytest.fixture
def nodes(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Two of one processor each, which commands find; the second may be killed."""
    import ray
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(Path.cwd()), str(Path(__file__).parent)]))
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    try:
        cluster.add_node(num_cpus=1)
        monkeypatch.setenv("RAY_ADDRESS", cluster.address)
        yield cluster
    finally:
        ray.shutdown()
        cluster.shutdown()


def lose_one(cluster: Any, folder: Path) -> None:
    """Kill it with its worker, as a power cut would, as soon as both nodes wait."""
    try:
        deadline = time.monotonic() + 120
        while len(list(folder.glob("waiting.*"))) < 2 and time.monotonic() < deadline:
            time.sleep(0.02)
        [other] = cluster.worker_nodes
        [worker] = folder.glob(f"waiting.{other.node_id}.*")
        cluster.remove_node(other, allow_graceful=False)
        with suppress(ProcessLookupError):  # it has noticed already
            os.kill(int(worker.suffix[1:]), signal.SIGKILL)
    finally:
        (folder / "lost").touch()


def whole(path: Path) -> dict[str, bytes]:
    return {str(file.relative_to(path)): file.read_bytes() for file in path.rglob("*") if file.is_file()}


@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="the cluster extra is not installed")
def test_nothing_is_lost_or_double_when_a_node_of_a_collection_is_lost(
    nodes: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = ["collect", "--env", "patient:Patient-v0", "--env-args", f"folder={tmp_path}", "--steps", "1500", "--out"]
    killer = Thread(target=lose_one, args=(nodes, tmp_path), daemon=True)
    killer.start()
    assert cli.main([*line, str(tmp_path / "data"), "--workers", "ray"]) == 0
    killer.join()
    played = Counter(file.name.split(".")[0] for file in tmp_path.glob("[0-9]*.*.*"))
    assert sorted(played.values())[-5:] == [1, 2, 2, 2, 2]  # what the lost worker had begun, another has played
    monkeypatch.delenv("RAY_ADDRESS")
    assert cli.main([*line, str(tmp_path / "alone")]) == 0
    assert whole(tmp_path / "data") == whole(tmp_path / "alone")
