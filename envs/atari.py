"""Atari games through the Arcade Learning Environment: full colour, frame skip, 64x64."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from worldgan.envs.frames import About, PixelEnv, frame_space, resized
from worldgan.envs.generic import require_known
from worldgan.errors import WorldganError, extra
from worldgan.pixels import LARGEST, Frames, check_size, fit

MOST_FRAMES = 108_000  # half an hour of play, as in gymnasium's v5 ids


def make(
    env_id: str,
    *,
    size: int = LARGEST,
    skip: int = 4,
    sticky: float = 0.25,
    life_loss: bool = False,
    full_actions: bool = False,
    noop_max: int = 0,
) -> PixelEnv:
    """An Atari game by its ``ALE/...`` id, uint8 [size, size, 3].

    size: side of the square frame in pixels.    skip: emulated frames per step, the last two max-pooled.
    sticky: probability that the emulator repeats the last action, per emulated frame (Machado et al., 2018).
    life_loss: a lost life terminates. A reset without a seed goes on with the same game; one with a seed, as all in
    ``collect`` and ``plan``, begins a new one.
    full_actions: all 18 actions.    noop_max: at most so many steps of doing nothing, drawn at each new game.
    Raises WorldganError for an unknown id or option or without the ``atari`` extra.
    """
    check_size(size)
    if not 0 <= sticky <= 1:
        raise WorldganError(f"expected sticky to be a probability, got {sticky}")
    if skip < 1 or noop_max < 0:
        raise WorldganError(f"expected skip of at least 1 and noop_max of at least 0, got {skip} and {noop_max}")
    with extra("atari"):
        import ale_py  # noqa: F401  # registers the ids
    require_known(env_id)
    return Atari(
        gym.registry[env_id].kwargs["game"],
        size=size,
        skip=skip,
        sticky=sticky,
        life_loss=life_loss,
        full_actions=full_actions,
        noop_max=noop_max,
    )


class Snapshot(NamedTuple):
    """A moment of a game. emulator: its state.    held: the action that sticky ones repeat.    continues: see
    ``Atari.reset``.
    """

    emulator: Any
    held: Any
    lives: int
    continues: bool


class Atari(gym.Env[Frames, Any]):
    """One game on its own emulator. info holds ``lives``.

    Sticky actions are drawn here, as the emulator draws them: it does not keep which action it holds in its state, so
    a copy of a moment would go on from another.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 15}

    def __init__(
        self,
        game: str,
        *,
        size: int,
        skip: int,
        sticky: float,
        life_loss: bool,
        full_actions: bool,
        noop_max: int,
    ) -> None:
        self.render_mode = "rgb_array"
        self._options: dict[str, Any] = {
            "game": game, "size": size, "skip": skip, "sticky": sticky, "life_loss": life_loss,
            "full_actions": full_actions, "noop_max": noop_max,
        }  # fmt: skip
        self._size, self._skip, self._life_loss, self._noop_max = size, skip, life_loss, noop_max
        self._ale, self._rom = _emulator(game)
        self._sticky, self._held = sticky, None
        self._actions = self._ale.getLegalActionSet() if full_actions else self._ale.getMinimalActionSet()
        self._screens = np.zeros((2, *self._ale.getScreenDims(), 3), np.uint8)  # the last two emulated
        self._frame = fit(self._screens[0], size)
        self._lives, self._seeded, self._continues = 0, False, False
        self.observation_space = frame_space(self._frame.shape)
        self.action_space = spaces.Discrete(len(self._actions))
        shape = self._screens.shape[1:]
        self.about = About(
            f"uint8 {list(shape)}",
            f"{skip} emulated frames a step, the last two max-pooled, {resized(shape, self._frame.shape)}",
            f"each emulated frame repeats the last action with probability {sticky:g} (sticky), "
            f"{'a lost life' if life_loss else 'the end of the game'} terminates (life_loss)",
        )

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Frames, dict[str, Any]]:
        """A new game, or the same one after a lost life if ``life_loss`` is on and no seed is given."""
        super().reset(seed=seed, options=options)
        if self._continues and seed is None:
            self._continues = False
            return self._frame, {"lives": self._lives}
        if seed is not None or not self._seeded:
            self._seed_emulator()
        self._new_game()
        return self._frame, {"lives": self._lives}

    def step(self, action: Any) -> tuple[Frames, float, bool, bool, dict[str, Any]]:
        """As in gymnasium."""
        reward = self._play(self._actions[int(action)])
        before, self._lives = self._lives, self._ale.lives()
        over = self._ale.game_over(with_truncation=False)
        truncated = self._ale.game_truncated()
        lost = self._life_loss and self._lives < before and not over
        self._continues = lost and not truncated
        return self._frame, reward, over or lost, truncated, {"lives": self._lives}

    def clone_state(self) -> Snapshot:
        """All that the future depends on, save luck: ``np_random`` is not part of it."""
        return Snapshot(self._ale.cloneState(), self._held, self._lives, self._continues)

    def restore_state(self, state: Snapshot) -> None:
        """Go on from a state of the same game, perhaps of another emulator; it shows with the next step."""
        self._ale.restoreState(state.emulator)
        self._held, self._lives, self._continues = state.held, state.lives, state.continues

    def twin(self, seed: int) -> Atari:
        """The same game on another emulator, with its own luck."""
        other = Atari(**self._options)
        other.reset(seed=seed)
        return other

    def render(self) -> Any:
        """The emulator's screen, uint8 [210, 160, 3]."""
        return self._ale.getScreenRGB()

    def get_action_meanings(self) -> list[str]:
        """What each action presses, in words such as "up right fire"; the name is that of gymnasium's Atari envs."""
        words = (re.findall("NOOP|UP|DOWN|RIGHT|LEFT|FIRE", action.name) for action in self._actions)
        return [" ".join(each) for each in words]

    def _seed_emulator(self) -> None:
        self._ale.setInt("random_seed", int(self.np_random.integers(2**31)))
        self._ale.loadROM(self._rom)  # the emulator reads its seed only when it loads
        self._seeded = True

    def _new_game(self) -> None:
        self._ale.reset_game()
        self._held = self._actions[0]
        self._ale.getScreenRGB(self._screens[0])
        self._frame, self._continues = fit(self._screens[0], self._size), False
        for _ in range(int(self.np_random.integers(self._noop_max + 1))):
            self._play(self._actions[0])
            if self._ale.game_over():
                self._ale.reset_game()
        self._lives = self._ale.lives()

    def _play(self, action: Any) -> float:
        """Emulate ``skip`` frames; the brightest of the last two is shown, since sprites may flicker."""
        reward, first = 0, self._skip - 2
        for index, chance in enumerate(self.np_random.random(self._skip)):
            if chance >= self._sticky:
                self._held = action
            reward += self._ale.act(self._held)
            if index >= first:
                self._ale.getScreenRGB(self._screens[index - first])
        shown = np.maximum(*self._screens) if self._skip > 1 else self._screens[1]
        self._frame = fit(shown, self._size)
        return float(reward)


def _emulator(game: str) -> tuple[Any, Path]:
    """(a fresh emulator with the game loaded, the path of its ROM)."""
    from ale_py import ALEInterface, LoggerMode, roms

    ALEInterface.setLoggerMode(LoggerMode.Error)  # before it is built, or it prints a banner
    ale, rom = ALEInterface(), roms.get_rom_path(game)
    assert rom is not None, f"registered without a ROM: {game}"
    ale.setFloat("repeat_action_probability", 0.0)
    ale.setInt("max_num_frames_per_episode", MOST_FRAMES)
    ale.loadROM(rom)
    return ale, rom
