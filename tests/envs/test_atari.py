"""Atari as the literature plays it: skipped and pooled frames, sticky actions, lives."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from gymnasium import spaces

from worldgan import envs

ale_py = pytest.importorskip("ale_py", reason="needs the atari extra")


@pytest.mark.parametrize("skip", [1, 2, 4])
def test_a_step_is_some_emulated_frames_of_which_the_last_two_are_pooled(skip):
    emulator = ale_py.ALEInterface()
    emulator.setFloat("repeat_action_probability", 0.0)
    emulator.loadROM(ale_py.roms.get_rom_path("pong"))
    env = envs.make("ALE/Pong-v5", sticky=0, skip=skip)
    env.reset(seed=0)
    flickers = 0
    for step in range(120):
        action, screens, earned = step // 7 % 6, [], 0
        for _ in range(skip):
            earned += emulator.act(emulator.getMinimalActionSet()[action])
            screens.append(emulator.getScreenRGB())
        frame, reward, *_ = env.step(action)
        pooled = np.maximum.reduce(screens[-2:])
        assert np.array_equal(frame, cv2.resize(pooled, (64, 64), interpolation=cv2.INTER_AREA))
        assert reward == earned
        flickers += not np.array_equal(pooled, screens[-1])
    assert flickers > 20 or skip == 1


def test_without_sticky_actions_is_deterministic_and_with_them_is_not():

    def frames(sticky, seed):
        env = envs.make("ALE/Breakout-v5", sticky=sticky)
        env.reset(seed=seed)
        return np.stack([env.step(step % env.action_space.n)[0] for step in range(60)]).tobytes()

    assert frames(0.0, 1) == frames(0.0, 2)
    assert frames(0.9, 1) != frames(0.9, 2)


def test_life_loss_splits_the_same_game():
    """With and without life_loss the same actions meet the same frames; only the ends differ."""

    def one_game(life_loss):
        env = envs.make("ALE/Breakout-v5", life_loss=life_loss)
        rng, frames, ends = np.random.default_rng(0), [env.reset(seed=0)[0]], []
        while True:
            frame, _, terminated, _, info = env.step(int(rng.integers(env.action_space.n)))
            frames.append(frame)
            if terminated:
                ends.append(info["lives"])
                if info["lives"] == 0:
                    return np.stack(frames), ends, env
                start, carried = env.reset()
                assert (start == frame).all()
                assert carried["lives"] == info["lives"]

    whole, ends, _ = one_game(False)
    split, lives, env = one_game(True)
    assert ends == [0]
    assert lives == [4, 3, 2, 1, 0]
    assert whole.tobytes() == split.tobytes()
    assert env.reset()[1]["lives"] == 5


def test_seeded_reset_starts_over_even_after_a_lost_life():
    env = envs.make("ALE/Breakout-v5", life_loss=True)
    first = env.reset(seed=0)[0]
    while not env.step(1)[2]:
        pass
    again, info = env.reset(seed=0)
    assert info["lives"] == 5
    assert (again == first).all()


def test_full_actions():
    assert envs.make("ALE/Pong-v5", full_actions=True).action_space == spaces.Discrete(18)
