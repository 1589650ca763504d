"""Playing episodes into a store, such that the data set depends on the seed and on nothing else.

Episode i is a function of (seed, i) alone: its reset seed and its random actions come from streams of that
name. The data set is the shortest run of episodes 0, 1, 2, ... that has the wanted number of steps, whatever
the number of envs, and however often collection was killed and taken up again. An episode that ends before an
earlier one is put aside as ``.ahead`` and takes its place when all before it are there, so the store obeys
this law at every moment.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import count, islice
from pathlib import Path
from typing import Any, Protocol, final

import gymnasium
import numpy as np
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv, VectorEnv
from numpy.typing import NDArray

from worldgan.actions import ActionSpec, action_spec
from worldgan.data import codec
from worldgan.data.shards import Shard, ShardShelf
from worldgan.data.store import AHEAD, EpisodeStore, found, writing
from worldgan.errors import WorldganError
from worldgan.executor import Executor, Failed
from worldgan.files import atomic_write, move
from worldgan.progress import Report
from worldgan.seeding import derive, numpy_rng
from worldgan.types import Agent, EnvSpec, Remembers

MakeEnv = Callable[[], gymnasium.Env[Any, Any]]
Envs = VectorEnv[Any, Any, Any]

ERRAND = 8
"""Episodes that a worker plays before it hands them in: starting an env may take longer than a short episode."""


@final
class RandomPolicy:
    """An Agent that holds each uniformly random action for 1 to ``repeat`` steps, uniformly.

    Fresh noise at every step averages to standing still and never leaves the start of many games. Held
    actions get somewhere, and as holds may be short, every action is still seen to follow every other one.
    """

    def __init__(self, actions: ActionSpec, *, repeat: int = 4, seed: int = 0) -> None:
        self._actions, self._repeat, self._seed = actions, repeat, seed
        self._numbers = count()
        self._rows: list[tuple[np.random.Generator, int, NDArray[Any]]] = []

    def begin(self, row: int, number: int) -> None:
        """Let ``row`` play the random stream of episode ``number`` from its start."""
        while len(self._rows) <= row:
            self._rows.append((numpy_rng(self._seed, "unused"), 0, np.zeros(0)))
        self._rows[row] = (numpy_rng(self._seed, "episode", number), 0, np.zeros(0))

    def reset(self, rows: NDArray[np.bool_]) -> None:
        """Give the rows (bool [B]) the next streams that no row has had."""
        for row in np.flatnonzero(rows):
            self.begin(int(row), next(self._numbers))

    def act(self, observation: NDArray[np.uint8]) -> NDArray[Any]:
        """Observations [B, ...] -> raw actions [B, *ActionSpec.shape]; only B is looked at."""
        return np.stack([self._next(row) for row in range(len(observation))]).astype(self._actions.dtype)

    def _next(self, row: int) -> NDArray[Any]:
        rng, left, action = self._rows[row]
        if not left:
            left = int(rng.integers(1, self._repeat, endpoint=True))
            action = self._actions.decode(self._actions.sample((), rng))
        self._rows[row] = (rng, left - 1, action)
        return action


def collect(
    make_env: MakeEnv,
    spec: EnvSpec,
    out: Path,
    *,
    steps: int,
    policy: Agent | None = None,
    policy_name: str | None = None,
    epsilon: float = 0.0,
    repeat: int = 4,
    num_envs: int = 8,
    processes: bool = False,
    executor: Executor | None = None,
    shard: Shard | None = None,
    max_episode_steps: int = 10_000,
    seed: int = 0,
    report: Report | None = None,
) -> EpisodeStore:
    """Make ``out`` the data set of at least ``steps`` steps, continuing or extending what is there.

    policy: acts in all envs, None for RandomPolicy. Episodes are a function of the seed only if its actions
    in a row depend on that row's episode alone.    policy_name: recorded; another one is refused later.
    epsilon: chance per step of RandomPolicy's action instead of the policy's.    repeat: of RandomPolicy.
    processes: one process per env, worth it for slow ones.    max_episode_steps: longer ones are truncated.
    executor: its workers play, each in one env and at random; ``make_env`` must then be picklable. This process alone
    writes, so they share no disk with it, and a worker that dies leaves nothing half done.
    shard: play, at random, only its episodes, beside others who play theirs; without it, what all shards have played is
    then put in place, and what is missing played.
    report: gets the steps played so far, at most ``steps`` until they are stored. Nothing is ever deleted.
    Raises WorldganError if the env is not as ``spec`` says, or ``out`` holds another data set or has another writer.
    """
    if min(steps, num_envs, repeat, max_episode_steps) < 1 or not 0 <= epsilon <= 1:
        raise WorldganError("expected steps, num_envs, repeat and max_episode_steps >= 1, epsilon within 0..1")
    if policy is not None and (executor or shard):
        raise WorldganError("expected random play by several workers or shards, got a policy: collect with one worker")
    name = policy_name or ("random" if policy is None else type(policy).__name__)
    description = f"{name}, epsilon {epsilon}, repeat {repeat}, at most {max_episode_steps} steps"
    with _envs(make_env, spec, num_envs if executor is None else 1, processes) as envs:
        with writing(out, spec, seed=seed, policy=description, shared=shard is not None) as store:
            shelf: _Shelf | ShardShelf = ShardShelf(store, steps, shard) if shard else _Shelf(store, steps)
            if executor is not None:
                _send_out(executor, _Errand(make_env, spec, seed, repeat, max_episode_steps), shelf, report)
            elif not shelf.complete:
                actor = _Actor(spec.actions, policy, seed=seed, epsilon=epsilon, repeat=repeat)
                _play(envs, actor, shelf, max_episode_steps, partial(_tell, report, shelf))
            if isinstance(shelf, _Shelf):
                shelf.clear()
        if report is not None:
            report(shelf.steps, f"{shelf.count} episodes")
    return store


@final
class _Shelf:
    """Which episodes there are, which is to be played next, and whether there are enough."""

    def __init__(self, store: EpisodeStore, steps: int) -> None:
        self.store, self.spec, self._wanted = store, store.spec, steps
        self._ahead = {i: codec.read_header(self._file(i), store.spec).length for i in found(store.path, AHEAD)}
        self._claims = count()
        self.count, self.steps = 0, 0  # episodes in place, which are 0..count - 1, and their steps
        self._advance()

    @property
    def complete(self) -> bool:
        """Whether the data set has the wanted steps."""
        return self.steps >= self._wanted

    def claim(self) -> int:
        """The lowest index that nobody has played or is playing."""
        return next(i for i in self._claims if i not in self.store and i not in self._ahead)

    def progress(self, playing: int) -> int:
        """Steps there are, with ``playing`` more in unfinished episodes; at most as many as wanted."""
        return max(self.steps, min(self._wanted, self.steps + sum(self._ahead.values()) + playing))

    def put(self, index: int, length: int, data: Callable[[], bytes]) -> None:
        """Keep a finished episode, unless those before it that are finished already suffice."""
        before = self.steps + sum(n for i, n in self._ahead.items() if i < index)
        if before >= self._wanted:
            return
        if index == self.count:
            self.store.add_encoded(index, data())
        else:
            atomic_write(self._file(index), data())
            self._ahead[index] = length
        self._advance()

    def clear(self) -> None:
        """Delete what was played beyond the last episode needed."""
        for index in found(self.store.path, AHEAD):
            self._file(index).unlink()

    def _advance(self) -> None:
        """Put episodes in place for as long as they follow without a gap and are needed."""
        while not self.complete:
            if self.count not in self.store:
                if self._ahead.pop(self.count, None) is None:
                    return
                move(self._file(self.count), self.store.file(self.count))
                self.store.adopt(self.count)
            self.steps += self.store.length(self.count)
            self.count += 1

    def _file(self, index: int) -> Path:
        return self.store.file(index).with_suffix(AHEAD)


@dataclass(frozen=True)
class _Played:
    """Episode ``index``.    length: L.    data: its file."""

    index: int
    length: int
    data: bytes


@final
class _Bag:
    """Certain episodes to be played, and those that have been."""

    def __init__(self, spec: EnvSpec, numbers: list[int]) -> None:
        self.spec, self._left, self._count = spec, iter(numbers), len(numbers)
        self.played: list[_Played] = []

    @property
    def complete(self) -> bool:
        """Whether all have been."""
        return len(self.played) == self._count

    def claim(self) -> int:
        """The next of them."""
        return next(self._left)

    def put(self, index: int, length: int, data: Callable[[], bytes]) -> None:
        """Keep a finished one."""
        self.played.append(_Played(index, length, data()))


@dataclass(frozen=True)
class _Errand:
    """What a worker is sent out to do with the numbers of episodes: the rest that they depend on."""

    make_env: MakeEnv
    spec: EnvSpec
    seed: int
    repeat: int
    limit: int

    def __call__(self, numbers: list[int]) -> list[_Played]:
        """Play them, one after the other."""
        bag = _Bag(self.spec, numbers)
        with _envs(self.make_env, self.spec, 1, processes=False) as envs:
            actor = _Actor(self.spec.actions, None, seed=self.seed, epsilon=0.0, repeat=self.repeat)
            _play(envs, actor, bag, self.limit)
        return bag.played


def _send_out(executor: Executor, errand: _Errand, shelf: _Shelf | ShardShelf, report: Report | None) -> None:
    """Have workers play until the shelf is complete. Raises WorldganError if episodes cannot be played."""
    if shelf.complete:
        return
    claims = iter(shelf.claim, None)
    with closing(executor.stream(errand, iter(lambda: list(islice(claims, ERRAND)), None))) as errands:
        for _, played in errands:
            if isinstance(played, Failed):
                raise WorldganError(
                    f"episodes could not be played ({played.reason}): those before are kept, and the same command goes "
                    "on from there"
                )
            for episode in played:
                shelf.put(episode.index, episode.length, partial(bytes, episode.data))
            _tell(report, shelf, 0)
            if shelf.complete:
                return


def _tell(report: Report | None, shelf: _Shelf | ShardShelf, playing: int) -> None:
    """playing: steps of unfinished episodes."""
    if report is not None:
        report(shelf.progress(playing), f"{shelf.count} episodes")


@final
class _Actor:
    """The policy with its share of random actions, every draw from the stream of the row's episode."""

    def __init__(self, actions: ActionSpec, policy: Agent | None, *, seed: int, epsilon: float, repeat: int) -> None:
        self._policy, self._epsilon, self.seed = policy, epsilon, seed
        self._random = RandomPolicy(actions, repeat=repeat, seed=seed)
        self._coins: dict[int, np.random.Generator] = {}

    def begin(self, numbers: dict[int, int], rows: int) -> None:
        """Rows -> numbers of the episodes that they begin, out of ``rows`` rows."""
        for row, number in numbers.items():
            self._random.begin(row, number)
            self._coins[row] = numpy_rng(self.seed, "episode", number, "epsilon")
        if self._policy is not None:
            self._policy.reset(np.isin(np.arange(rows), list(numbers)))

    def act(self, observation: NDArray[np.uint8]) -> NDArray[Any]:
        """Observations [N, H, W, C] -> raw actions [N, *ActionSpec.shape]."""
        if self._policy is None:
            return self._random.act(observation)
        actions = self._policy.act(observation)
        if not self._epsilon:
            return actions
        random = self._random.act(observation)
        coins = np.asarray([self._coins[row].random() for row in range(len(actions))]) < self._epsilon
        played = np.where(coins.reshape(-1, *[1] * (actions.ndim - 1)), random, actions)
        if isinstance(self._policy, Remembers):
            self._policy.took(played)
        return played


class _Todo(Protocol):
    """Which episode is to be played next, and where it goes; ``_Shelf``, ``ShardShelf`` and ``_Bag`` are such."""

    spec: EnvSpec

    @property
    def complete(self) -> bool:
        """Whether no more are wanted."""

    def claim(self) -> int:
        """The number of one that nobody plays."""

    def put(self, index: int, length: int, data: Callable[[], bytes]) -> None:
        """It is finished."""


def _play(
    envs: Envs, actor: _Actor, todo: _Todo, limit: int, tell: Callable[[int], None] = lambda playing: None
) -> None:
    """Play until no more is to do; an env whose episode ended takes the next one.

    tell: gets the steps of unfinished episodes, now and then.

    All envs play to the end, also for episodes that turn out not to be needed: that is known only when those
    before them are over.
    """
    numbers: dict[int, int] = {}
    encoders: dict[int, codec.Encoder] = {}
    done, observation = np.ones(envs.num_envs, np.bool_), np.zeros(0, np.uint8)
    for turn in count():
        if done.any():
            if todo.complete:
                return
            fresh = {int(row): todo.claim() for row in np.flatnonzero(done)}
            actor.begin(fresh, envs.num_envs)
            numbers |= fresh
            observation = _reset(envs, fresh, actor.seed)
            encoders |= {row: codec.Encoder(todo.spec, observation[row]) for row in fresh}
        actions = actor.act(observation)
        observation, rewards, terminated, truncated, _ = envs.step(actions)
        for row, encoder in encoders.items():
            encoder.step(actions[row], float(rewards[row]), observation[row])
        truncated |= ~terminated & np.asarray([len(encoders[row]) >= limit for row in range(envs.num_envs)])
        done = terminated | truncated
        for row in np.flatnonzero(done).tolist():
            finish = partial(encoders[row].finish, terminated=bool(terminated[row]), truncated=bool(truncated[row]))
            todo.put(numbers[row], len(encoders[row]), finish)
        if turn % 32 == 0:
            tell(sum(len(encoders[row]) for row in np.flatnonzero(~done).tolist()))


def _reset(envs: Envs, numbers: dict[int, int], seed: int) -> NDArray[np.uint8]:
    """Reset the rows that begin the given episodes -> the observations of all rows."""
    mask = np.isin(np.arange(envs.num_envs), list(numbers))
    seeds: list[int | None] = [None] * envs.num_envs
    for row, number in numbers.items():
        seeds[row] = derive(seed, "episode", number, "env") % 2**31  # several emulators take 32 bits or fewer
    observation, _ = envs.reset(seed=seeds, options={"reset_mask": mask})  # type: ignore[arg-type]
    return np.asarray(observation)


@contextmanager
def _envs(make_env: MakeEnv, spec: EnvSpec, number: int, processes: bool) -> Iterator[Envs]:
    kind = AsyncVectorEnv if processes else SyncVectorEnv
    envs = kind([make_env] * number, autoreset_mode=AutoresetMode.DISABLED)
    try:
        space = envs.single_observation_space
        found = (space.shape, space.dtype, action_spec(envs.single_action_space))
        if found != (spec.frame, np.dtype(np.uint8), spec.actions):
            raise WorldganError(
                f"expected an env with uint8 {spec.frame} frames and {spec.actions} actions, "
                f"got {found[1]} {found[0]} and {found[2]}"
            )
        yield envs
    except BaseException:
        # Interrupted workers answer no more; waiting for a step of theirs would hang.
        envs.close(terminate=True)
        raise
    envs.close()
