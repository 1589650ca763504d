"""Laws of the adapters: uint8 frames in, same seed same bytes, and errors that say what to do."""

from __future__ import annotations

import inspect
import subprocess
import sys

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces

from worldgan import envs
from worldgan.envs.factory import ADAPTERS
from worldgan.errors import WorldganError

# id, options, extra's module, shape of a frame, random steps to compare
CASES = [
    ("ALE/Pong-v5", {}, "ale_py", (64, 64, 3), 40),
    ("ALE/Breakout-v5", {"size": 84, "skip": 1, "noop_max": 20}, "ale_py", (84, 84, 3), 40),
    *[
        (f"MinAtar/{game}-v1", {}, "minatar", (10, 10, channels), 200)
        for game, channels in [
            ("Asterix", 4),
            ("Breakout", 4),
            ("Freeway", 7),
            ("Seaquest", 10),
            ("SpaceInvaders", 6),
        ]
    ],
    ("MinAtar/Breakout-v0", {"size": 20}, "minatar", (20, 20, 4), 50),
    ("MiniGrid-DoorKey-5x5-v0", {}, "minigrid", (64, 64, 3), 20),
    ("MiniGrid-Empty-8x8-v0", {"view": "agent", "size": 56}, "minigrid", (56, 56, 3), 20),
    ("CartPole-v1", {}, "pygame", (64, 64, 3), 12),
    ("Pendulum-v1", {"size": 32}, "pygame", (32, 32, 3), 12),
    ("CrafterReward-v1", {}, "crafter", (64, 64, 3), 60),
]


def play(env, steps, seed=0):
    env.action_space.seed(seed)
    frames, rewards = [env.reset(seed=seed)[0]], []
    for _ in range(steps):
        frame, reward, terminated, truncated, _ = env.step(env.action_space.sample())
        assert type(reward) is float
        assert type(terminated) is bool
        assert type(truncated) is bool
        frames.append(frame)
        rewards.append(reward)
        if terminated or truncated:
            frames.append(env.reset()[0])
    return np.stack(frames), rewards


@pytest.mark.parametrize(("env_id", "options", "module", "shape", "steps"), CASES, ids=lambda v: str(v)[:24])
def test_frames_are_uint8_of_the_stated_shape_and_follow_from_the_seed(env_id, options, module, shape, steps):
    pytest.importorskip(module, reason=f"{env_id} needs an extra")
    env = envs.make(env_id, **options)
    spec = envs.env_spec(env, env_id, options)
    assert spec == envs.spec(env_id, options)
    assert spec.frame == shape
    frames, rewards = play(env, steps)
    assert frames.dtype == np.uint8
    assert frames.shape[1:] == shape
    assert frames.max() > 0
    again, same = play(envs.make(env_id, **options), steps)
    assert frames.tobytes() == again.tobytes()
    assert rewards == same
    assert play(env, steps)[0].tobytes() == frames.tobytes()  # whatever was played in between


def test_frames_change_with_the_seed():
    pytest.importorskip("minatar", reason="needs an extra")
    env = envs.make("MinAtar/Asterix-v1")
    assert play(env, 100, seed=0)[0].tobytes() != play(env, 100, seed=1)[0].tobytes()


def test_minatar_frames_are_black_or_white():
    pytest.importorskip("minatar", reason="needs an extra")
    frames, _ = play(envs.make("MinAtar/Seaquest-v1"), 50)
    assert set(np.unique(frames)) == {0, 255}


class Toy(gym.Env):
    """Shows a vector, a picture or a rendering, as told."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 1}

    def __init__(self, space=None, render_mode=None, level=0.5):
        self.observation_space = space or spaces.Box(-1, 1, (3,))
        self.action_space = spaces.Discrete(2)
        self.render_mode, self._level = render_mode, level

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return np.full(self.observation_space.shape, self._level, self.observation_space.dtype), {}

    def step(self, action):
        return self.reset()[0], 1, np.False_, False, {}

    def render(self):
        return np.full((100, 120, 3), 9, np.uint8)


class Blind(Toy):
    metadata = {"render_modes": [], "render_fps": 1}


@pytest.fixture
def register():
    names = []

    def add(env_id, entry_point, **options):
        gym.register(env_id, entry_point, kwargs=options)
        names.append(env_id)
        return env_id

    yield add
    for name in names:
        del gym.registry[name]


@pytest.mark.parametrize(
    ("space", "level", "shape", "value"),
    [
        (spaces.Box(0, 1, (20, 20), np.float32), 0.5, (20, 20, 1), 128),
        (spaces.Box(0, 1, (20, 24, 3), np.float64), 1.0, (20, 24, 3), 255),
        (spaces.Box(0, 255, (3, 20, 24), np.uint8), 7, (20, 24, 3), 7),
        (spaces.Box(0, 255, (8, 20, 24), np.uint8), 7, (20, 24, 8), 7),
        (spaces.Box(0, 1, (10, 10, 6), bool), True, (10, 10, 6), 255),
        (spaces.Box(0, 255, (210, 160, 3), np.uint8), 33, (64, 64, 3), 33),
        (spaces.Box(-1, 1, (3,), np.float32), 0.0, (64, 64, 3), 9),
        (spaces.Box(0, 10, (7, 7, 3), np.uint8), 1, (64, 64, 3), 9),
    ],
)
def test_any_picture_becomes_uint8_and_anything_else_is_rendered(register, space, level, shape, value):
    env = envs.make(register("Toy-v0", Toy, space=space), level=level)
    frame, reward, terminated, _, _ = (env.reset(seed=0), env.step(0))[1]
    assert frame.shape == shape == env.observation_space.shape
    assert (frame == value).all()
    assert env.observation_space.contains(frame)
    assert (type(reward), type(terminated)) == (float, bool)


def drawn(render_mode=None):
    return Toy(render_mode=render_mode)


class Wrapped(gym.Wrapper):
    def __init__(self, render_mode=None):
        super().__init__(Toy(render_mode=render_mode))


@pytest.mark.parametrize("entry_point", [drawn, Wrapped])
def test_what_makes_an_env_need_not_be_its_class(register, entry_point):
    frame, _ = envs.make(register("Toy-v4", entry_point)).reset()
    assert (frame == 9).all()


class Broken(Toy):
    def reset(self, *, seed=None, options=None):
        raise RuntimeError("two\nlines")


def needs_an_argument(level):
    return Toy(level=level)


@pytest.mark.parametrize(
    ("entry_point", "message"), [(Broken, "RuntimeError: two lines"), (needs_an_argument, "TypeError: .*level")]
)
def test_whatever_an_env_raises_is_one_line(register, entry_point, message):
    with pytest.raises(WorldganError, match=f"^cannot make 'Toy-v5': {message}") as caught:
        envs.make(register("Toy-v5", entry_point))
    assert "\n" not in str(caught.value)


def test_an_env_without_pictures_is_refused(register):
    with pytest.raises(WorldganError, match=r"image observations or an rgb_array render"):
        envs.make(register("Blind-v0", Blind))


def test_a_module_is_imported_for_its_id(tmp_path, monkeypatch):
    (tmp_path / "toy_games.py").write_text(
        "import gymnasium as gym\n"
        "gym.register('ToyGames-v0', 'worldgan.envs.paddle:Paddle')\n"
    )  # fmt: skip
    (tmp_path / "broken_games.py").write_text("import no_such_thing\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert envs.make("toy_games:ToyGames-v0").reset(seed=0)[0].shape == (32, 32, 3)
    del gym.registry["ToyGames-v0"]
    with pytest.raises(WorldganError, match=r"cannot import 'broken_games'.*no_such_thing") as caught:
        envs.make("broken_games:X-v0")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("worldgan/Padle-v0", "worldgan/Paddle-v0"),
        ("worldgan/Turners-v1", "worldgan/Turners-v0"),
        ("CartPole", "CartPole-v1"),
        ("cartpole-v1", "CartPole-v1"),
        ("MinAtar/Breakot-v1", "MinAtar/Breakout-v1"),
        ("ale/pong-v5", "ALE/Pong-v5"),
        ("CrafterRewards-v1", "CrafterReward-v1"),
    ],
)
def test_an_unknown_id_names_the_nearest(wrong, right):
    with pytest.raises(WorldganError, match=f"did you mean '{right}'"):
        envs.make(wrong)


def test_an_unknown_atari_game_names_the_nearest():
    pytest.importorskip("ale_py", reason="needs an extra")
    with pytest.raises(WorldganError, match="did you mean 'ALE/Pong-v5'"):
        envs.make("ALE/Pnog-v5")


def test_an_id_like_no_other_gets_examples():
    with pytest.raises(WorldganError, match="for example"):
        envs.make("%%%%")


@pytest.mark.parametrize(
    ("env_id", "module", "extra"),
    [
        ("ALE/Pong-v5", "ale_py", "atari"),
        ("MinAtar/Breakout-v1", "minatar", "minatar"),
        ("MiniGrid-Empty-5x5-v0", "minigrid", "minigrid"),
        ("CrafterReward-v1", "crafter", "crafter"),
        ("CartPole-v1", "pygame", "control"),
    ],
)
def test_a_missing_extra_is_named_with_its_command(monkeypatch, env_id, module, extra):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(WorldganError) as caught:
        envs.make(env_id)
    assert f"pip install -e '.[{extra}]'" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("env_id", "options", "message"),
    [
        ("ALE/Pong-v5", {"stiky": 0.1}, "did you mean 'options.sticky'"),
        ("ALE/Pong-v5", {"sticky": "often"}, "expected float for options.sticky"),
        ("ALE/Pong-v5", {"sticky": 2.0}, "expected sticky to be a probability"),
        ("worldgan/Turners-v0", {"cuont": 2}, "did you mean 'options.count'"),
        ("worldgan/Paddle-v0", {"size": 2}, "at least 8"),
        ("MiniGrid-Empty-5x5-v0", {"view": "agnet"}, "did you mean 'agent'"),
        ("CartPole-v1", {"sise": 64}, "did you mean 'options.size'"),
    ],
)
def test_a_wrong_option_is_named(env_id, options, message):
    with pytest.raises(WorldganError, match=message):
        envs.make(env_id, **options)


def test_a_wrong_option_of_a_users_env_is_named(register):
    env_id = register("Toy-v1", Toy)
    assert envs.make(env_id, level=1.0).reset()[0].shape == (64, 64, 3)
    for wrong, right in [("levle", "level"), ("sizee", "size")]:
        with pytest.raises(WorldganError, match=f"did you mean '{right}'"):
            envs.make(env_id, **{wrong: 1})


def test_every_adapter_takes_a_size():
    assert all("size" in inspect.signature(adapter).parameters for adapter in ADAPTERS.values())


def test_importing_imports_no_extra():
    extras = {module for _, _, module, _, _ in CASES}
    code = f"import sys, worldgan.envs; assert not {extras} & set(sys.modules), {extras} & set(sys.modules)"
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


def test_the_doctor_says_what_it_saw():
    diagnosis = envs.diagnose("worldgan/Paddle-v0", {"size": 64}, seconds=0.1)
    assert diagnosis.enumerable
    assert diagnosis.play.terminated > 0
    assert diagnosis.play.rewards[0] == -1.0
    assert min(diagnosis.play.lengths) == 13  # no ball falls faster
    text = envs.describe(diagnosis)
    assert "size=64" in text
    assert "32x32 resized to 64x64" in text
    assert "one-hot vector of 3" in text


def test_the_doctor_names_the_rules_that_options_decide():
    pytest.importorskip("minatar", reason="needs an extra")
    text = envs.describe(envs.diagnose("MinAtar/Breakout-v1", {"sticky": 0.3}, seconds=0.01))
    assert "Rules: each step repeats the last action with probability 0.3 (sticky)" in text


def test_the_doctor_admits_what_it_did_not_see(register):
    diagnosis = envs.diagnose(register("Toy-v2", Toy), seconds=0.05)
    text = envs.describe(diagnosis)
    assert not diagnosis.enumerable
    assert "none ended" in text
    assert "always 1 so far" in text
