"""Play is the model's own steps; the past, other models and shown futures can be entered; nobody shares any of it."""

from __future__ import annotations

import io
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from agent_fakes import DotEnv, grid
from fakes import PerfectModel
from PIL import Image
from play_fakes import session, world
from torch import Tensor

from worldgan import envs
from worldgan.agents import PLANNERS, PlannerConfig
from worldgan.controls import controls
from worldgan.errors import WorldganError
from worldgan.play import messages, replies
from worldgan.play.real import RealEnv
from worldgan.play.session import AHEAD, KEPT, PAST, Moment, Session, World
from worldgan.types import Prediction

STAY, UP, DOWN, LEFT, RIGHT = range(5)


def place(moment: Moment) -> tuple[int, int]:
    """Where the dot is."""
    down, right = np.argwhere(moment.frame.max(-1))[0]
    return int(down), int(right)


def test_a_step_is_the_models() -> None:
    game = session()
    assert place(game.moment) == (4, 4)
    moment = [game.step(action) for action in (UP, UP, LEFT)][-1]
    assert (place(moment), moment.step, moment.reward, moment.terminated) == ((2, 3), 3, 0, 0)
    end = [game.step(action) for action in (UP, UP, LEFT, LEFT, LEFT)][-1]
    assert (place(end), end.reward, end.terminated, end.total) == ((0, 0), 1, 1, 4)


@pytest.mark.parametrize("action", [5, -1, 1.5, True, None, "1", [1], [[1], [1, 2]], {"a": 1}, 10**400, float("nan")])
def test_an_action_outside_the_space_changes_nothing(action: object) -> None:
    game = session()
    before = game.step(UP)
    with pytest.raises(WorldganError, match="expected"):
        game.step(action)
    assert game.moment is before


def test_the_past_can_be_entered() -> None:
    game = session()
    seen = [place(game.moment), *(place(game.step(action)) for action in (UP, LEFT, LEFT, DOWN))]
    assert place(game.rewind(2)) == seen[2]
    assert (game.moment.step, game.rewindable) == (2, 2)
    assert place(game.step(LEFT)) == seen[3]  # the model is there too
    assert place(game.rewind(99)) == seen[0]
    assert (game.moment.step, game.rewindable) == (0, 0)


def test_the_past_is_bounded() -> None:
    game = session()
    for _ in range(PAST + 20):
        game.step(STAY)
    assert game.rewindable == PAST
    game.rewind(7)
    assert game.rewindable == PAST - 7
    game.rewind(PAST)
    assert (game.rewindable, game.moment.step) == (0, 20)
    assert place(game.step(UP)) == (3, 4)


def test_another_model_goes_on_from_the_same_frame() -> None:
    game = session()
    before = game.step(UP)
    after = game.switch("one")
    assert np.array_equal(before.frame, after.frame)
    assert place(game.step(UP)) == (2, 4)
    assert place(game.switch("two")) == (2, 4)
    with pytest.raises(WorldganError, match="unknown model 'three'"):
        game.switch("three")


def test_a_shown_future_can_be_entered() -> None:
    game = session()
    fan = game.futures(2)
    assert fan.frames.shape[:2] == fan.probability.shape == (5, 2)
    moment = game.go(UP, 0)
    assert np.array_equal(moment.frame, fan.frames[UP, 0])
    assert (place(moment), moment.step) == ((3, 4), 1)
    with pytest.raises(WorldganError, match="look at them anew"):
        game.go(UP, 0)
    game.futures(2)
    assert place(game.go(LEFT, 1)) == (3, 4)  # the improbable outcome, in which it stays
    assert place(game.step(LEFT)) == (3, 3)  # and the model is there


@pytest.mark.parametrize("which", [(5, 0), (0, 2), (-1, 0), (0, -1)])
def test_a_future_that_was_not_shown(which: tuple[int, int]) -> None:
    game = session()
    game.futures(2)
    with pytest.raises(WorldganError, match="expected one of the 5 x 2 futures"):
        game.go(*which)


def test_sessions_share_nothing() -> None:
    one, other = session(), session()
    one.step(UP)
    one.switch("one")
    one.record(True)
    assert (place(other.moment), other.moment.step, other.world.name, other.kept) == ((4, 4), 0, "two", [])


@pytest.mark.parametrize(("name", "least"), [("shooting", AHEAD - 1), ("mcts", 1), ("actor", AHEAD - 1)])
def test_an_agent_plays_and_shows_what_it_expects(name: str, least: int) -> None:
    game = session()
    moment, plan = game.follow(name)
    assert moment.step == 1
    assert least <= len(plan.actions) <= AHEAD - 1
    for action, frame in zip(plan.actions, plan.frames, strict=True):
        assert np.array_equal(game.step(int(action.argmax())).frame, frame)


class Windy(PerfectModel):
    """The dot world, where after each step the wind blows."""

    def step(self, state: Tensor, action: Tensor, generator: torch.Generator) -> tuple[Prediction, Tensor]:
        _, places = super().step(state, action, generator)
        return super().step(places, torch.eye(5)[torch.randint(5, (len(state),), generator=generator)], generator)


@pytest.mark.parametrize("name", ["shooting", "cem", "icem", "mcts", "actor"])
def test_watching_changes_nothing_of_what_happens(name: str) -> None:
    watched, played = session(), session()
    for game in (watched, played):
        game.worlds = {"windy": world("windy", Windy(2))}
        game.switch("windy")
    for _ in range(6):
        moment, _ = watched.follow(name)
        assert np.array_equal(played.step(int(moment.action.argmax())).frame, moment.frame)


def test_who_can_be_watched() -> None:
    discrete, box = session(), on_a_grid()
    assert discrete.agents == ["shooting", "cem", "icem", "mcts", "actor"]
    assert box.agents == ["shooting", "cem", "icem", "mppi"]
    for game, name, message in (
        (discrete, "chess", "unknown planner 'chess'"),
        (discrete, "actr", "did you mean 'actor'"),
        (discrete, "mppi", "expected Box actions for mppi"),
        (box, "mcts", "expected Discrete actions for mcts"),
    ):
        before = game.moment
        with pytest.raises(WorldganError, match=message):
            game.follow(name)
        assert game.moment is before


def test_an_agent_that_knows_of_nothing_further_shows_nothing() -> None:
    game = session()
    game._agents["two", "mcts"] = PLANNERS["mcts"](game.world.model, PlannerConfig(horizon=1, simulations=5))
    _, plan = game.follow("mcts")
    assert (list(plan.actions), list(plan.frames)) == ([], [])
    header, payload = unpacked(replies.answer(game, messages.Agent("mcts")))
    assert (header["plan"], len(payload)) == ([], game.moment.frame.nbytes)


def test_the_step_that_a_planner_takes_is_not_counted_as_planning(monkeypatch: pytest.MonkeyPatch) -> None:
    game = session()
    monkeypatch.setattr("worldgan.play.session.perf_counter", iter([5.0, 6.0, 16.0, 116.0]).__next__)
    assert game.follow("shooting")[1].seconds == 101


def test_the_real_env_begins_alike_and_takes_the_same_actions() -> None:
    game = session(DotEnv())
    for action in (UP, LEFT, DOWN):
        moment = game.step(action)
        assert moment.real is not None
        assert np.array_equal(moment.frame, moment.real.frame)
    game.futures(1)
    moment = game.go(LEFT, 0)
    assert moment.real is not None
    assert np.array_equal(moment.frame, moment.real.frame)


def test_a_real_env_that_cannot_go_back_goes_on() -> None:
    game = session(DotEnv())
    game.step(UP)
    latest = game.step(UP).real
    back = game.rewind(2)
    assert back.real is latest
    assert latest is not None
    assert game.step(DOWN).real.frame.argmax() != latest.frame.argmax()  # type: ignore[union-attr]


def test_a_built_in_env_goes_back() -> None:
    env = envs.make("worldgan/Paddle-v0")
    real = RealEnv(env)
    start = real.reset(3)
    view, seen = start, [start.frame]
    for _ in range(5):
        view = real.step(view, 0)
        seen.append(view.frame)
    real.back_to(start)
    again = real.step(start, 0)
    paddle = again.frame[29:31]
    assert np.array_equal(paddle, seen[1][29:31])
    while not view.over:
        view = real.step(view, 0)
    assert real.step(view, 0).over
    real.close()


def test_no_start_from_a_real_env_that_is_not_there() -> None:
    with pytest.raises(WorldganError, match="start from the data"):
        session().reset("real")


def test_a_recording_is_bounded_and_becomes_a_video() -> None:
    game = session(DotEnv())
    with pytest.raises(WorldganError, match="press record first"):
        replies.video(game.kept, "gif")
    game.record(True)
    for _ in range(KEPT + 5):
        game.step(STAY)
    assert (len(game.kept), game.recording) == (KEPT, False)
    header, payload = unpacked(replies.video(game.kept[:4], "gif"))
    assert header["frames"] == 4
    with Image.open(io.BytesIO(payload)) as image:
        assert image.format == "GIF"
    assert unpacked(replies.video(game.kept[:4], "webm"))[1][:4] == b"\x1a\x45\xdf\xa3"  # the mark of Matroska


def test_numbers_that_json_has_not_are_left_out() -> None:
    game = session()
    game._past[-1] = replace(game.moment, reward=float("nan"), realism=float("inf"))
    header, payload = unpacked(replies.present(game))
    assert (header["reward"], header["realism"], header["real"]) == (None, None, None)
    assert payload == game.moment.frame.tobytes()


def on_a_grid() -> Session:
    """In its middle, with box actions."""
    model = grid("box")
    frames = torch.zeros(1, 1, 1, 5, 5, dtype=torch.uint8)
    frames[..., 2, 2] = 255
    still = World("grid", "grid", model, {"beginning": (frames, torch.zeros(1, 0, 2))})
    return Session({"grid": still}, controls(model.spec.actions, ()), None, 0)


def test_box_actions_are_plain_numbers() -> None:
    game = on_a_grid()
    assert place(game.step([2, 0])) == (3, 1)  # the highest of one and the lowest of the other: one cell each
    for wrong in (1, [1], [1, 2, 3], [1, float("nan")]):
        with pytest.raises(WorldganError, match="expected"):
            game.step(wrong)


def unpacked(reply: bytes) -> tuple[dict[str, object], bytes]:
    """The header of a reply and what follows it."""
    length = int.from_bytes(reply[:4], "little")
    return json.loads(reply[4 : 4 + length]), reply[4 + length :]
