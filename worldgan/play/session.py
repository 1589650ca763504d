"""One person at play: where they are in a model's imagination, and all that they can do about it. No web in here."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from time import perf_counter
from typing import Any, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from worldgan.agents import Actor, ActorCritic, Foresees, PlannerConfig, planner_named, planners_for
from worldgan.controls import Controls
from worldgan.errors import WorldganError, unknown
from worldgan.pixels import Frames, to_array, to_tensor, to_uint8
from worldgan.play.messages import Start
from worldgan.play.real import RealEnv, View
from worldgan.seeding import derive, torch_rng
from worldgan.types import Outcomes, WorldModel

PAST = 600
"""Steps that can be taken back; frames of 64x64 pixels take 7 MB."""
KEPT = 600
"""Frames of a recording, 40 seconds at 15 a second."""
AHEAD = 8
"""Steps that an agent looks ahead."""
QUICK = PlannerConfig(horizon=AHEAD, candidates=16, samples=1, simulations=16, outcomes=2)
"""Little for a planner to imagine, so that watching it is not waiting for it."""


@dataclass(frozen=True)
class World:
    """A model to play in. starts: (frames, actions), as ``WorldModel.start`` wants them, where episodes began
    ("beginning") and anywhere in them ("anywhere").
    """

    name: str
    family: str
    model: WorldModel[Any]
    starts: Mapping[str, tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class Moment:
    """One frame of the play and how it came about.

    step: since the start.    frame: uint8 [H, W, C].    action: encoded [A], that led here; zeros at the start.
    reward: expected.    terminated: probability.    realism: the discriminator's logit, or None without one.
    total: sum of rewards.    real: what the real env shows, None without one.
    """

    step: int
    frame: Frames
    action: NDArray[np.float32]
    reward: float = 0.0
    terminated: float = 0.0
    realism: float | None = None
    total: float = 0.0
    real: View | None = None


@dataclass(frozen=True)
class Fan:
    """What could happen next: N next frames for each of n choices, most probable first.

    frames: uint8 [n, N, H, W, C].    probability, reward, terminated: [n, N]; probability 0 where there are fewer.
    """

    frames: Frames
    probability: NDArray[np.float32]
    reward: NDArray[np.float32]
    terminated: NDArray[np.float32]


@dataclass(frozen=True)
class Plan:
    """What an agent means to do from here, and expects to see. actions: encoded [A], at most ``AHEAD`` - 1.

    frames: what follows each, uint8 [H, W, C].
    seconds: that the choice and these frames took; the step taken is not in them.
    """

    actions: Sequence[NDArray[np.float32]]
    frames: Sequence[Frames]
    seconds: float


@final
class Session:
    """Plays in one of several models of the same env, with the real env beside it where there is one.

    Whatever is entered - a start, the past, another model, a chosen future - is entered by its last K frames and
    the actions between them, as the models themselves define a start. So all models can continue from all of it.
    """

    def __init__(
        self,
        worlds: Mapping[str, World],
        controls: Controls,
        real: RealEnv | None,
        seed: int,
        actors: Mapping[str, ActorCritic] | None = None,
    ) -> None:
        """worlds: by name, the first is played first.    seed: of all chance.

        actors: agents of this env, by names that no planner has, which can be watched as planners can.
        """
        self.worlds, self.controls, self.real = worlds, controls, real
        self.world = next(iter(worlds.values()))
        self.recording, self.kept = False, list[Moment]()
        self._seed, self._generator, self._episodes = seed, torch_rng(seed, "play"), 0
        self._actors, self._ahead = actors or {}, torch_rng(seed, "ahead")
        self._longest = max(world.model.context for world in worlds.values())
        self._past: deque[Moment] = deque(maxlen=PAST + self._longest)
        self._agents: dict[tuple[str, str], Foresees] = {}
        self._following: Foresees | None = None
        self._fan: Fan | None = None
        self._state: Any = None
        self.reset("real" if real else "beginning")

    @property
    def moment(self) -> Moment:
        """The present."""
        return self._past[-1]

    @property
    def agents(self) -> list[str]:
        """Names of those that can be watched."""
        return [*planners_for(self._model.spec), *self._actors]

    @property
    def rewindable(self) -> int:
        """Steps that can be taken back; the first frames remembered are the context of what follows."""
        oldest = self._past[0].step
        return self.moment.step - (oldest + self._longest - 1 if oldest > 0 else 0)

    def reset(self, start: Start) -> Moment:
        """Begin anew. Raises WorldganError for a start from a real env that is not there."""
        if start == "real" and self.real is None:
            raise WorldganError("expected the real env for a start of it, but it is not here: start from the data")
        self._episodes += 1
        view = self.real.reset(derive(self._seed, "real", self._episodes)) if self.real else None
        self._past.clear()
        if start == "real":
            assert view is not None
            self._past.append(Moment(0, view.frame, self._nothing(), real=view))
        else:
            self._past.extend(self._drawn(start))
            self._past[-1] = replace(self.moment, real=view)
        return self._enter()

    def step(self, action: Any) -> Moment:
        """Take a raw action, given as plain numbers. Raises WorldganError for one outside the space."""
        raw = self._raw(action)
        vector = self._model.spec.actions.encode(raw)
        prediction, self._state = self._model.step(self._state, torch.from_numpy(vector)[None], self._generator)
        realism = None if prediction.realism is None else float(prediction.realism[0])
        told = (float(prediction.reward[0]), float(prediction.terminated[0]), realism)
        return self._append(to_array(to_uint8(prediction.frame))[0], vector, raw, *told)

    def rewind(self, steps: int) -> Moment:
        """Go back, at most as far as is remembered. The real env comes along if it can."""
        latest = self.moment.real
        for _ in range(min(steps, self.rewindable)):
            self._past.pop()
        if self.real is not None and latest is not None:
            if self.real.rewinds and self.moment.real is not None:
                self.real.back_to(self.moment.real)
            else:
                self._past[-1] = replace(self.moment, real=latest)
        return self._enter()

    def switch(self, name: str) -> Moment:
        """Go on in another model from the same frames. Raises WorldganError for a name that is not among them."""
        if name not in self.worlds:
            raise unknown("model", name[:80], self.worlds)
        self.world = self.worlds[name]
        return self._enter()

    def futures(self, count: int) -> Fan:
        """At most ``count`` next frames for every choice."""
        raw = np.asarray([choice.action for choice in self.controls.choices], self._model.spec.actions.dtype)
        vectors = self._model.spec.actions.encode(raw)
        state = self._model.index(self._state, torch.zeros(len(raw), dtype=torch.long))
        found = self._model.outcomes(state, torch.from_numpy(vectors), count, self._generator)
        self._fan = _fan(found)
        return self._fan

    def go(self, choice: int, outcome: int) -> Moment:
        """Take one of the futures shown last. Raises WorldganError if none are shown for the present, or not it."""
        fan = self._fan
        if fan is None:
            raise WorldganError("expected a future of the present, but the shown ones are past: look at them anew")
        rows, columns = fan.probability.shape
        if not (0 <= choice < rows and 0 <= outcome < columns) or not fan.probability[choice, outcome]:
            raise WorldganError(f"expected one of the {rows} x {columns} futures shown, got {choice}, {outcome}")
        raw, at = self._raw(self.controls.choices[choice].action), (choice, outcome)
        vector = self._model.spec.actions.encode(raw)
        self._append(fan.frames[at], vector, raw, float(fan.reward[at]), float(fan.terminated[at]), None)
        return self._enter()

    def follow(self, name: str) -> tuple[Moment, Plan]:
        """One step by an agent, which looks at the imagined frame, and what it means to do from there.

        Raises WorldganError for one that is not known, or that cannot plan such actions.
        """
        agent = self._agent(name)
        if self._following is not agent:
            agent.reset(np.ones(1, np.bool_))
        begun = perf_counter()
        action = agent.act(self.moment.frame[None])[0]
        chosen = perf_counter()
        moment = self.step(action)
        stepped = perf_counter()
        foreseen = list(islice(agent.ahead(self._model, self._state, self._ahead), AHEAD - 1))
        actions = [step.action[0].numpy() for step in foreseen]
        frames = [to_array(to_uint8(step.frame))[0] for step in foreseen]
        self._following = agent
        return moment, Plan(actions, frames, chosen - begun + perf_counter() - stepped)

    def record(self, on: bool) -> None:
        """Begin to keep frames, dropping those kept before, or stop."""
        self.recording = on
        if on:
            self.kept = [self.moment]

    def close(self) -> None:
        """Free the real env."""
        if self.real is not None:
            self.real.close()

    @property
    def _model(self) -> WorldModel[Any]:
        return self.world.model

    def _nothing(self) -> NDArray[np.float32]:
        return np.zeros(self._model.spec.actions.size, np.float32)

    def _raw(self, action: Any) -> NDArray[Any]:
        """Plain numbers as a raw action. Raises WorldganError unless they are one."""
        spec = self._model.spec.actions
        try:
            raw = np.asarray(action)
        except ValueError:  # lists of different lengths
            raw = np.asarray("ragged")
        if raw.shape != spec.shape or raw.dtype.kind not in "iuf":
            raise WorldganError(f"expected an action of {spec}, got {str(action)[:40]}")
        spec.encode(raw)
        return raw.astype(spec.dtype)

    def _append(
        self,
        frame: Frames,
        vector: NDArray[np.float32],
        raw: NDArray[Any],
        reward: float,
        terminated: float,
        realism: float | None,
    ) -> Moment:
        """The next moment; the real env takes the same action."""
        before, view = self.moment, self.moment.real
        if self.real is not None and view is not None:
            view = self.real.step(view, raw if raw.shape else raw.item())
        total = before.total + reward
        self._past.append(Moment(before.step + 1, frame, vector, reward, terminated, realism, total, view))
        if self.recording:
            self.kept.append(self.moment)
            self.recording = len(self.kept) < KEPT
        self._fan = self._following = None
        return self.moment

    def _enter(self) -> Moment:
        """Start the model from the latest frames; before the first of them nothing had moved."""
        context = self._model.context
        last = list(self._past)[-context:]
        last = [last[0]] * (context - len(last)) + last
        actions = np.stack([self._nothing(), *(m.action for m in last[1:])])[1:]
        frames = to_tensor(np.stack([moment.frame for moment in last]))
        self._state = self._model.start(frames[None], torch.from_numpy(actions)[None])
        self._fan = self._following = None
        return self.moment

    def _drawn(self, start: Start) -> list[Moment]:
        """A start state of the data as moments, the last of which is step 0."""
        frames, actions = self.world.starts[start]
        row = int(torch.randint(len(frames), (1,), generator=self._generator))
        led = [self._nothing(), *actions[row].numpy()]
        shown = to_array(frames[row])
        return [Moment(i + 1 - len(shown), shown[i], led[i]) for i in range(len(shown))]

    def _agent(self, name: str) -> Foresees:
        key = (self.world.name, name)
        if key not in self._agents:
            self._agents[key] = self._made(name, derive(self._seed, *key))
        return self._agents[key]

    def _made(self, name: str, seed: int) -> Foresees:
        if name in self._actors:
            return Actor(self._actors[name], seed=seed)
        return planner_named(name, self._actors)(self._model, replace(QUICK, seed=seed))


def _fan(found: Outcomes) -> Fan:
    numbers = (each.float().numpy() for each in (found.probability, found.rewards, found.terminated))
    return Fan(to_array(to_uint8(found.frames)), *numbers)
