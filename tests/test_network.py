"""The main job asks no other machine for anything, and no test can."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import network
import pytest
from command_lines import PADDLE, plan_line, train_line

import worldgan

ELSEWHERE = ("192.0.2.1", 9)  # of no machine (RFC 5737)


def test_other_machines_are_out_of_reach() -> None:
    with socket.socket() as one, socket.socket(type=socket.SOCK_DGRAM) as other:
        for ask in (one.connect, one.connect_ex, lambda address: other.sendto(b"", address)):
            with pytest.raises(network.Refused, match=r"192\.0\.2\.1"):
                ask(ELSEWHERE)
    with pytest.raises(network.Refused, match=r"worldgan\.example"):
        socket.getaddrinfo("worldgan.example", 80)


def test_this_machine_is_within_reach() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        for host in ("127.0.0.1", "localhost"):
            socket.create_connection((host, server.getsockname()[1]), timeout=9).close()


MAIN = "import json, sys; from worldgan.cli import main; sys.exit(any(map(main, json.loads(sys.argv[1]))))"


def test_the_main_job_uses_no_network(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import network\nnetwork.refuse()\n")  # in all that it starts, too
    paths = [tmp_path, Path(network.__file__).parent, Path(worldgan.__file__).parents[1]]
    measuring = ["--horizon", 2, "--windows", 2, "--samples", 1]
    lines = [
        ["collect", "--env", PADDLE, "--steps", 300, "--out", "data", "--num-envs", 4],
        train_line(Path("data"), "run", "training.steps=2"),
        ["evaluate", "--runs", "run", "--data", "data", "--out", "report", *measuring],
        plan_line("run", PADDLE, "--horizon", "2", "--candidates", "4", "--episodes", "1", "--max-steps", "2"),
    ]
    done = subprocess.run(
        [sys.executable, "-c", MAIN, json.dumps([[str(word) for word in line] for line in lines])],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(map(str, paths))},
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "plan" / "returns.json").exists()
