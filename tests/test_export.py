"""An exported model does what torch does, says what it is, and needs no torch."""

from __future__ import annotations

import hashlib
import inspect
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import onnx
import pytest
import torch
from exporting import altered, card_in, starts, untrained
from fakes import dot_spec
from graphs import graph, holding, wrong_tensors

import worldgan
from worldgan import cli, pixels
from worldgan.actions import ActionSpec
from worldgan.agents import PLANNERS, PlannerConfig
from worldgan.errors import WorldganError
from worldgan.export import npm, product, web
from worldgan.export.check import TOLERANCE, check
from worldgan.models import FAMILIES
from worldgan.models.world import Networks, NextFrameModel
from worldgan.runtime.graph import StepGraph, write
from worldgan.runtime.model import Exported, ExportedModel
from worldgan.runtime.planning import ArrayPlanner
from worldgan.runtime.session import OUTPUTS, Card, Session
from worldgan.seeding import torch_rng
from worldgan.simulator import SimulatedVectorEnv
from worldgan.training.checkpoint import Run
from worldgan.types import EnvSpec

each = pytest.mark.parametrize("family", FAMILIES)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The GAN's file."""
    path = tmp_path_factory.mktemp("gan") / "model.onnx"
    write(untrained("gan"), path)
    return path


@pytest.fixture(scope="module")
def made(paddle_run: Run) -> product.Product:
    return product.produce(paddle_run, seconds=0.01)


def test_a_family_that_draws_otherwise_stays_and_says_so_in_one_line() -> None:
    networks = Networks(torch.nn.Identity(), untrained("mse").networks.outcome)
    with pytest.raises(WorldganError, match="family speckle cannot be exported") as caught:
        StepGraph("speckle", dot_spec(), 2, networks)
    assert "\n" not in str(caught.value)


@each
def test_every_family_leaves_torch_and_can_be_planned_and_simulated_in(family: str, tmp_path: Path) -> None:
    graph = untrained(family)
    write(graph, tmp_path / "model.onnx")
    found = check(graph, Exported(tmp_path / "model.onnx").model(), starts(graph))
    found.require()
    assert found.steps == 50
    assert found.flipped < found.levels / 1000
    model = worldgan.load(tmp_path / "model.onnx")
    assert model.spec == graph.card.spec
    own = NextFrameModel(model.spec, model.context, graph.networks)
    given, action = tuple(map(torch.from_numpy, starts(graph))), torch.eye(5)[[0, 1, 2, 3]]
    theirs, _ = model.step(model.start(*given), action, torch_rng(1))
    ours, _ = own.step(own.start(*given), action, torch_rng(1))
    torch.testing.assert_close(theirs.frame, ours.frame, atol=1.01 / 127.5, rtol=0)
    torch.testing.assert_close(theirs.reward, ours.reward, atol=0.1, rtol=0)
    planner = PLANNERS["shooting"](model, PlannerConfig(horizon=2, candidates=4))
    assert planner.act(pixels.to_array(given[0][:, -1])).shape == (4,)
    env = SimulatedVectorEnv(model, 3, starts=given)
    env.reset(seed=0)
    assert env.step(np.zeros(3, int))[0].shape == (3, 8, 8, 3)
    futures = model.outcomes(model.start(*given), action, 2, torch_rng(1))
    expected = own.outcomes(own.start(*given), action, 2, torch_rng(1))
    torch.testing.assert_close(futures.probability, expected.probability, atol=1e-4, rtol=0)
    assert futures.stated == expected.stated == (family in {"gan", "mse", "motion"})
    assert futures.rewards.shape == futures.terminated.shape == futures.frames.shape[:2]


@pytest.mark.parametrize("actions", [ActionSpec("box", (2,), (-1.0, 0.0), (1.0, 2.0)), ActionSpec("discrete", (3,))])
@pytest.mark.parametrize("shape", [(17, 12, 3), (10, 10, 7)])
def test_any_frame_and_action_space(shape: tuple[int, int, int], actions: ActionSpec, tmp_path: Path) -> None:
    graph = untrained("gan", EnvSpec("any", shape, actions))
    write(graph, tmp_path / "model.onnx")
    rng, (height, width, channels) = np.random.default_rng(0), shape
    frames = rng.integers(0, 256, (3, 2, channels, height, width), np.uint8)
    check(graph, Exported(tmp_path / "model.onnx").model(), (frames, actions.sample((3, 1), rng)), steps=3).require()


def test_a_row_does_not_depend_on_its_batch(written: Path) -> None:
    session, rng = Exported(written).model().session, np.random.default_rng(0)
    frames = rng.integers(0, 256, (5, 2, 3, 8, 8), np.uint8)
    actions = dot_spec().actions.sample((5, 2), rng)
    noise = rng.random((5, session.card.chances), np.float32)
    together = session.step(frames, actions, noise)
    for row in range(5):
        alone = session.step(frames[row : row + 1], actions[row : row + 1], noise[row : row + 1])
        assert np.abs(alone.frame[0].astype(int) - together.frame[row]).max() <= 1
        assert alone.terminated[0] == pytest.approx(together.terminated[row], abs=1e-3)


def test_all_chance_is_in_the_noise(written: Path) -> None:
    session = Exported(written).model().session
    frames, actions = np.zeros((64, 2, 3, 8, 8), np.uint8), np.zeros((64, 2, 5), np.float32)
    noise = np.random.default_rng(0).random((64, 3), np.float32)
    one, again = session.step(frames, actions, noise), session.step(frames, actions, noise)
    assert np.array_equal(one.frame, again.frame)
    assert len({frame.tobytes() for frame in one.frame}) > 1
    assert len({frame.tobytes() for frame in session.step(frames, actions, noise[[3] * 64]).frame}) == 1


@pytest.mark.parametrize("part", ["predictor", "outcome"])
def test_a_file_that_differs_from_torch_is_refused(written: Path, part: str) -> None:
    graph = untrained("gan")
    last = list(getattr(graph.networks, part).parameters())[-1 if part == "outcome" else 0]
    last.add_(0.05)
    found = check(graph, Exported(written).model(), starts(graph), steps=3)
    assert max(found.frame, found.reward, found.terminated) > TOLERANCE
    with pytest.raises(WorldganError, match=r"within 0\.0001") as caught:
        found.require()
    assert "\n" not in str(caught.value)


def test_nan_is_no_agreement(written: Path) -> None:
    graph = untrained("gan")
    for parameter in graph.networks.outcome.parameters():
        parameter.fill_(torch.nan)
    with pytest.raises(WorldganError):
        check(graph, Exported(written).model(), starts(graph), steps=1).require()


@pytest.mark.parametrize(
    ("change", "expected"),
    [(None, "format"), ({"format": 99}, "format"), ({"context": 3}, "damaged"), ({"chances": 9}, "damaged"),
     ({"listed": 0}, "damaged"),
     ({"family": 3}, "family"), ({"surplus": 1}, "surplus")],
)  # fmt: skip
def test_a_card_that_does_not_fit_the_graph_is_refused(
    written: Path, tmp_path: Path, change: dict[str, Any] | None, expected: str
) -> None:
    card = card_in(written)
    path = altered(written, tmp_path / "model.onnx", None if change is None else card | change)
    with pytest.raises(WorldganError, match=expected) as caught:
        worldgan.load(path)
    assert "\n" not in str(caught.value)


def test_what_is_no_model_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    for content in (None, b"", b"nothing", bytes(1000)):
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(WorldganError, match=r"model\.onnx") as caught:
            worldgan.load(path)
        assert "\n" not in str(caught.value)


CARD = Card("gan", dot_spec(), 2, 3, "0.1.0")
CODED = replace(CARD, listed=2)

OPENING = """
import resource, sys
from worldgan.errors import WorldganError
from worldgan.runtime.session import Session

def most():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024

for path in sys.argv[1:]:
    before, said = most(), "opened"
    try:
        Session(path, threads=1)
    except WorldganError as error:
        said = str(error)
    print(most() - before, said)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="counts memory in KB, as Linux does")
def test_opening_a_file_computes_nothing_of_it(tmp_path: Path) -> None:
    """Constants of 800 MB, which onnxruntime would compute at once, in a file with a card and in one without."""
    sound, huge, strange = graph(CARD), graph(CARD, zeros=200_000_000), graph(CARD, zeros=200_000_000)
    del strange.metadata_props[:]
    paths = [tmp_path / f"{number}.onnx" for number in range(3)]
    for path, model in zip(paths, (sound, huge, strange), strict=True):
        onnx.save(model, path)
        assert path.stat().st_size < 2000
    command = [sys.executable, "-W", "error", "-c", OPENING, *map(str, paths)]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    (_, first), (grown, second), (more, third) = (line.split(" ", 1) for line in lines)
    assert (first, second) == ("opened", "opened")
    assert third.startswith("expected a model of `worldgan export`")
    assert max(int(grown), int(more)) < 64, "MB"


def test_a_small_graph_does_what_it_says(tmp_path: Path) -> None:
    onnx.save(graph(CARD, zeros=9), tmp_path / "model.onnx")
    session = Session(tmp_path / "model.onnx")
    frames = np.random.default_rng(0).integers(0, 256, (4, 2, 3, 8, 8), np.uint8)
    step = session.step(frames, np.ones((4, 2, 5), np.float32), np.zeros((4, 3), np.float32))
    assert np.array_equal(step.frame, frames[:, -1])
    assert step.reward.tolist() == [1.0] * 4


@pytest.mark.parametrize("name", wrong_tensors(1))
def test_a_tensor_that_is_not_in_the_file_is_refused(name: str, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(holding(CARD, wrong_tensors(2**40)[name]))
    with pytest.raises(
        WorldganError, match=r"expected (all tensors in .*model\.onnx itself|tensors as they are stored)"
    ):
        Session(path)
    if name == "stored":
        path.write_bytes(holding(CARD, wrong_tensors(1)[name]))
        Session(path)


@pytest.mark.parametrize("card", [CARD, CODED])
def test_a_name_that_is_no_text_is_refused_in_one_line(
    card: Card, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(graph(card).SerializeToString().replace(b"terminated", b"terminate\xff"))
    with pytest.raises(WorldganError, match=r"model\.onnx"):
        Session(path)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("change", [{"chances": 10**13}, {"chances": -1}, {"context": 10**13}, {"context": 0}])
def test_a_card_declares_what_there_can_be(change: dict[str, Any]) -> None:
    with pytest.raises(WorldganError, match="expected a context of 1 or more and chances"):
        replace(CARD, **change)


@pytest.mark.parametrize("change", [{"listed": -1}, {"listed": 10**13}, {"listed": 2, "chances": 0}])
def test_a_card_declares_codes_that_there_can_be(change: dict[str, Any]) -> None:
    with pytest.raises(WorldganError, match="expected a list of codes"):
        replace(CARD, **change)


def played(path: str, model: ExportedModel) -> str:
    """The hash of all that nine steps showed which a planner chose in the simulator, and of what could follow then."""
    envs = gym.make_vec("worldgan/Simulator-v0", num_envs=3, model=path, horizon=4)
    agent = ArrayPlanner(model, horizon=3, candidates=6, elites=2)
    seen, ended, digest = envs.reset(seed=0)[0], np.zeros(3, np.bool_), hashlib.sha256()
    for _ in range(9):
        actions = agent.act(seen)
        seen, reward, terminated, truncated, _ = envs.step(actions)
        agent.reset(ended)  # the step after an end shows the next start
        ended = terminated | truncated
        for part in (actions, seen, reward, terminated, truncated):
            digest.update(part.tobytes())
    assert seen.any()
    past = model.start(np.moveaxis(seen, -1, 1)[:, None].repeat(model.context, 1), np.zeros((3, model.context - 1, 3)))
    for part in model.outcomes(past, np.eye(3, dtype=np.float32), 4, model.generator(0))[:4]:
        digest.update(part.tobytes())
    return digest.hexdigest()


WITHOUT_TORCH = f"""
from __future__ import annotations
import hashlib, sys
sys.modules["torch"] = None  # importing it raises
import gymnasium as gym, numpy as np, worldgan
from worldgan.runtime.model import ExportedModel
from worldgan.runtime.planning import ArrayPlanner
{inspect.getsource(played)}
print(played(sys.argv[1], worldgan.load(sys.argv[1], device="cpu")))
"""


def test_loading_planning_and_simulating_need_no_torch(made: product.Product, tmp_path: Path) -> None:
    path = str(product.save(made, tmp_path))
    command = [sys.executable, "-W", "error", "-c", WITHOUT_TORCH, path]
    alone = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    assert played(path, Exported(path).model()) == alone


def test_an_exported_model_is_planned_in_as_it_steps(tmp_path: Path) -> None:
    write(untrained("mse"), tmp_path / "model.onnx")  # which draws nothing, so that the best action is known
    model, rng = Exported(tmp_path / "model.onnx").model(), np.random.default_rng(0)
    frames = rng.integers(0, 256, (6, 3, 8, 8), np.uint8)
    past = model.start(np.repeat(frames[:, None], 2, axis=1), np.zeros((6, 1, 5), np.float32))
    one_hot = np.eye(5, dtype=np.float32)[:, None].repeat(6, axis=1)
    rewards = np.stack([model.step(past, action, model.generator(0))[0].reward for action in one_hot])
    actions = ArrayPlanner(model, horizon=1, candidates=64).act(np.moveaxis(frames, 1, -1))
    assert np.ptp(rewards, axis=0).min() > 1e-4
    assert actions.tolist() == rewards.argmax(0).tolist()


def test_without_its_starts_a_file_says_what_is_missing(made: product.Product, tmp_path: Path) -> None:
    path = product.save(made, tmp_path)
    kept = Exported(path).starts(beginnings=True)
    (tmp_path / "starts.safetensors").write_bytes(b"nothing")
    with pytest.raises(WorldganError, match="damaged"):
        SimulatedVectorEnv(path)
    (tmp_path / "starts.safetensors").unlink()
    with pytest.raises(WorldganError, match="start states"):
        SimulatedVectorEnv(path)
    assert SimulatedVectorEnv(path, starts=kept).reset(seed=0)[0].shape == (1, 32, 32, 3)


def test_the_command_writes_both_folders(paddle_run: Run, tmp_path: Path, monkeypatch: Any, capsys: Any) -> None:
    monkeypatch.setattr(web, "runtime", lambda: {"ort.js": b"js", "LICENSE": b"MIT"})
    assert cli.main(["export", str(paddle_run.path), "--onnx", "--web", "--out", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "50 steps" in out
    assert "frames/s at batch 16" in out
    onnx_files = {"model.onnx", "starts.safetensors", "export.json"}
    assert {file.name for file in (tmp_path / "onnx").iterdir()} == onnx_files
    facts = json.loads((tmp_path / "onnx" / "export.json").read_text())
    assert facts["check"]["frame"] <= TOLERANCE
    assert facts["card"]["spec"]["id"] == "worldgan/Paddle-v0"
    site = tmp_path / "web"
    names = {"index.html", "app.js", "style.css", "theme.css", "model.onnx", "starts.bin", "game.json", "ort"}
    assert {file.name for file in site.iterdir()} == names
    assert (site / "ort" / "LICENSE").read_bytes() == b"MIT"
    whole, page = (Exported(tmp_path / kind / "model.onnx").model().session for kind in ("onnx", "web"))
    assert (whole.card.listed, page.card.listed) == (32, 0)
    assert tuple(value.name for value in onnx.load(page.path).graph.output) == OUTPUTS  # the page would compute more
    game = json.loads((site / "game.json").read_text())
    height, width, channels = game["frame"]
    assert (site / "starts.bin").stat().st_size == game["starts"] * game["context"] * height * width * channels
    assert game["title"] == "Paddle"
    assert game["palette"] == [[255, 0, 0], [0, 255, 0], [0, 0, 255]]
    assert [choice["vector"] for choice in game["choices"]] == np.eye(3).tolist()


def test_the_command_says_what_it_wants(paddle_run: Run, capsys: Any) -> None:
    assert cli.main(["export", str(paddle_run.path)]) == 2
    assert "--onnx, --web or both" in capsys.readouterr().err


@pytest.mark.parametrize(
    "actions", [ActionSpec("multidiscrete", (3, 2)), ActionSpec("box", (2,), (-1.0, 0.0), (1.0, 4.0))]
)
def test_every_space_has_choices(made: product.Product, actions: ActionSpec) -> None:
    game = web.game(replace(made.card, spec=EnvSpec("any", (8, 8, 4), actions)), 1)
    vectors = [tuple(choice["vector"]) for choice in game["choices"]]
    assert len({*vectors}) == len(vectors)
    idle = game["idle"]  # every combination of discrete actions does something, the middle of a box nothing
    assert idle is None if actions.kind == "multidiscrete" else game["choices"][idle]["press"] == ()
    assert len(game["palette"]) == 4


@pytest.mark.parametrize(
    ("id", "title"),
    [
        ("ALE/Breakout-v5", "Breakout"),
        ("mine:River-v0", "River"),
        ("MiniGrid-Empty-5x5-v0", "MiniGrid Empty 5x5"),
        ("a", "a"),
    ],
)
def test_titles_are_what_people_say(id: str, title: str) -> None:
    assert web.title(id) == title


def test_a_package_of_another_hash_is_not_used(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    npm.cache().parent.mkdir()
    npm.cache().write_bytes(b"cut short")
    source = tmp_path / "registry" / "onnxruntime-web" / "-"
    monkeypatch.setenv("npm_config_registry", (tmp_path / "registry").as_uri())
    with pytest.raises(WorldganError, match="put that file at"):
        npm.runtime()
    source.mkdir(parents=True)
    (source / npm.NAME).write_bytes(b"another")
    with pytest.raises(WorldganError, match="SHA-512"):
        npm.runtime()
    assert npm.cache().read_bytes() == b"cut short"
