"""Every choice is an action of the space and can be told from the others by what is pressed."""

from __future__ import annotations

import re
from itertools import chain
from pathlib import Path

import numpy as np
import pytest

import worldgan
from worldgan import envs
from worldgan.actions import ActionSpec
from worldgan.controls import MOST, SPARE, Controls, controls

STATIC = Path(worldgan.__file__).parent / "play" / "static"
ATARI = ("noop", "fire", "up", "right", "left", "down", "up right", "up left", "up right fire")
SPACES = {
    "atari": (ActionSpec("discrete", (9,)), ATARI),
    "nameless": (ActionSpec("discrete", (5,)), ()),
    "many": (ActionSpec("discrete", (500,)), ("stay",)),
    "small combinations": (ActionSpec("multidiscrete", (3, 3)), ()),
    "large combinations": (ActionSpec("multidiscrete", (9, 9, 9)), ()),
    "box": (ActionSpec("box", (3,), (-2.0, 0.0, 0.0), (2.0, 1.0, 8.0)), ()),
}


def keys_of_the_page() -> set[str]:
    """Letters that work the page, and those that stand for arrows, as its scripts have them."""
    app, keys = ((STATIC / name).read_text() for name in ("app.js", "keys.js"))
    found = re.search(r"^const commands = {\n(.*?)^};", app, re.DOTALL | re.MULTILINE)
    assert found
    return {*re.findall(r"^  (\w): ", found[1], re.MULTILINE), *map(str.lower, re.findall(r"\bKey([A-Z]):", keys))}


@pytest.fixture(params=SPACES)
def case(request: pytest.FixtureRequest) -> tuple[ActionSpec, Controls]:
    space, names = SPACES[request.param]
    return space, controls(space, names)


def test_choices_are_actions(case: tuple[ActionSpec, Controls]) -> None:
    space, made = case
    assert 0 < len(made.choices) <= MOST
    vectors = space.encode(np.asarray([choice.action for choice in made.choices], space.dtype))
    assert len(np.unique(vectors, axis=0)) == len(made.choices)


def test_keys_tell_choices_apart(case: tuple[ActionSpec, Controls]) -> None:
    presses = [choice.press for choice in case[1].choices]
    assert len({frozenset(press) for press in presses}) == len(presses)
    assert not keys_of_the_page() & set(chain(*presses))


def test_no_spare_key_works_the_page() -> None:
    assert keys_of_the_page() > set("pnwasd")  # that they were found
    assert not keys_of_the_page() & set(SPARE)


def test_words_become_buttons() -> None:
    made = controls(*SPACES["atari"])
    found = {choice.label: choice.press for choice in made.choices}
    assert found["do nothing"] == ()
    assert set(found["up right fire"]) == {"up", "right", "fire"}
    assert made.idle == 0


def test_an_env_in_which_every_action_does_something_has_no_idle_choice() -> None:
    names = envs.action_names("CartPole-v1")
    made = controls(ActionSpec("discrete", (2,)), names)
    assert (made.idle, [choice.press for choice in made.choices]) == (None, [("left",), ("right",)])


def test_a_box_rests_in_its_middle() -> None:
    made = controls(*SPACES["box"])
    assert made.idle == 0
    assert made.choices[0].action == [0, 0.5, 4]
    assert [2.0, 0.5, 4] in [choice.action for choice in made.choices]


@pytest.mark.parametrize(
    "env_id", ["ALE/Breakout-v5", "MinAtar/Breakout-v1", "worldgan/Paddle-v0", "worldgan/Glider-v0"]
)
def test_names_of_envs(env_id: str) -> None:
    with envs.make(env_id) as env:
        names = envs.action_names(env_id, env)
        assert len(names) == env.action_space.n  # type: ignore[attr-defined]
    assert {"left", "right"} <= set(names)
    assert controls(ActionSpec("discrete", (len(names),)), names).idle is not None
