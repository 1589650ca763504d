"""The house stands: a file imports from the floors below it and from its own room, and nothing goes in circles."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import worldgan

PACKAGE = Path(worldgan.__file__).parent

FLOORS: list[set[str]] = [
    {
        "types", "pixels", "seeding", "config", "errors", "actions", "files", "progress", "machine", "pictures",
        "rollout", "configs", "version", "arrays", "inverse", "controls", "parallel", "executor", "tensorfiles",
        "device", "sizes", "background",
    },
    {"data", "envs"},
    {"models"},
    {"training", "runtime"},
    {"simulator"},
    {"agents"},
    {"evaluation"},
    {
        "__init__", "__main__", "cli", "demo", "compare", "dream", "learn", "benchmark", "play", "export", "imagine",
        "card", "hub", "saved", "evaluate",
    },
]  # fmt: skip
"""Folders and files of the package by floor. A folder is a room; the files of the first and last floor are one."""

HIDDEN = {"agents": {"models", "training"}}
"""Rooms -> rooms below that they must not know: agents see a model through the protocol alone."""


def parts(module: str) -> tuple[str, ...]:
    return tuple(module.split("."))[1:] or ("__init__",)


def floor(module: str) -> int:
    [found] = [number for number, names in enumerate(FLOORS) if parts(module)[0] in names]
    return found


def room(module: str) -> str:
    return f"floor {floor(module)}" if floor(module) in {0, len(FLOORS) - 1} else parts(module)[0]


def modules() -> dict[str, Path]:
    """Dotted name -> file of every module, those behind the symbolic links too."""
    folders = [PACKAGE, *(path for path in PACKAGE.iterdir() if path.is_dir())]
    files = {file for folder in folders for file in folder.rglob("*.py")}
    names = {".".join(("worldgan", *f.relative_to(PACKAGE).with_suffix("").parts)): f for f in files}
    return {name.removesuffix(".__init__"): file for name, file in names.items()}


def imports(file: Path, known: dict[str, Path]) -> set[str]:
    """Modules of the package that a file imports anywhere in it, also inside functions and for types alone."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file} has a relative import"
            for alias in node.names:
                inside = f"{node.module}.{alias.name}"
                found.add(inside if inside in known else str(node.module))
    return {name for name in found if name.split(".")[0] == "worldgan"}


MODULES = modules()
GRAPH = {name: imports(file, MODULES) for name, file in MODULES.items()}


def test_the_graph_is_seen() -> None:
    assert "worldgan.training.checkpoint" in GRAPH["worldgan"]  # lazily
    assert "worldgan.envs" in GRAPH["worldgan.cli.datasets"]  # from worldgan import envs
    assert "worldgan.actions" in GRAPH["worldgan.agents.cem"]  # behind a symbolic link
    assert all(target in MODULES for targets in GRAPH.values() for target in targets)


def test_every_module_has_its_floor() -> None:
    homeless = [name for name in MODULES if sum(parts(name)[0] in names for names in FLOORS) != 1]
    assert not homeless, f"place these in FLOORS: {homeless}"


@pytest.mark.parametrize("name", sorted(MODULES))
def test_imports_point_down(name: str) -> None:
    allowed = {t for t in MODULES if floor(t) < floor(name) or room(t) == room(name)}
    hidden = {t for t in MODULES if parts(t)[0] in HIDDEN.get(parts(name)[0], set())}
    assert GRAPH[name] - (allowed - hidden) == set()


METRICS = {
    f"worldgan.evaluation.{name}"
    for name in (
        "frames", "distribution", "rollouts", "spectrum", "frechet", "judge", "sensitivity", "drift", "statistics",
    )
}  # fmt: skip


@pytest.mark.parametrize("metrics", sorted(METRICS))
def test_metrics_import_the_ground_floor_and_each_other_alone(metrics: str) -> None:
    assert all(floor(target) == 0 or target in METRICS for target in GRAPH[metrics])


def test_no_cycles() -> None:
    try:
        list(TopologicalSorter(GRAPH).static_order())
    except CycleError as error:
        pytest.fail(f"import cycle: {' -> '.join(error.args[1])}")


SCRIPT = """
import json, sys, time, worldgan
print(json.dumps({"seconds": time.process_time(), "modules": sorted(sys.modules)}))
"""
EXTRAS = {
    "ale_py", "minatar", "minigrid", "crafter", "stable_baselines3", "pygame", "matplotlib", "onnx", "onnxruntime",
    "minari", "huggingface_hub", "starlette", "uvicorn", "websockets", "ray",
}  # fmt: skip
HEAVY = {"torch", "PIL"}  # most of the two seconds that importing may take, and envs need neither


def test_importing_is_quick_and_needs_no_extra() -> None:
    out = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True).stdout
    found = json.loads(out)
    assert not (EXTRAS | HEAVY) & set(found["modules"])
    assert found["seconds"] < 2  # of the processor; about 0.5 when nothing heavy is imported
