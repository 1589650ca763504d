"""Monte Carlo tree search for discrete actions, with chance nodes: what may follow an action is listed, not drawn.

One search per env, all of them in step: each simulation asks the model once for all trees together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from worldgan import pixels
from worldgan.agents.foresight import Foreseen, carried_out
from worldgan.agents.imagine import Value, imagined_returns
from worldgan.agents.memory import Memory
from worldgan.agents.planner import finite
from worldgan.agents.plans import random_plans
from worldgan.agents.tree import Chance, Decision, Step, Tree, Way, decision, variation
from worldgan.errors import WorldganError
from worldgan.seeding import numpy_rng, torch_rng
from worldgan.types import Outcomes, WorldModel

Policy = Callable[[Any], Tensor]
"""The model's state of B rows -> probabilities of the actions there [B, A]."""


@final
class TreeSearch:
    """An ``Agent`` that grows a tree from every present state and takes the action visited most.

    A tree holds at most ``simulations`` + 1 states.    last_value: what the actions taken last are worth, [B].
    """

    def __init__(
        self,
        model: WorldModel[Any],
        *,
        horizon: int,
        simulations: int,
        outcomes: int,
        samples: int,
        discount: float,
        hold: int,
        chunk: int,
        puct: float,
        widening: float,
        seed: int,
        value: Value | None = None,
        policy: Policy | None = None,
    ) -> None:
        """horizon: H, depth of a tree.    simulations: per step.    outcomes: most that one look at a chance lists.

        value: what a new state is worth; without it, the mean of ``samples`` random plays of the steps that are left,
        whose actions are held up to ``hold`` steps, ``chunk`` of them imagined at once.
        discount, puct, widening: see ``Tree``.    policy: where to look first; without it, everywhere alike.
        Raises WorldganError unless actions are discrete.
        """
        if model.spec.actions.kind != "discrete":
            raise WorldganError(f"expected Discrete actions for mcts, got {model.spec.actions}: use cem or icem")
        self.model, self.last_value = model, torch.zeros(0)
        self._horizon, self._simulations, self._outcomes = horizon, simulations, outcomes
        self._samples, self._hold, self._chunk = samples, hold, chunk
        self._discount, self._puct, self._widening = discount, puct, widening
        self._value, self._policy = value, policy
        self._memory = Memory(model.spec, model.context)
        self._taken: list[Chance] = []
        self._generator, self._rng = torch_rng(seed, "mcts"), numpy_rng(seed, "mcts")

    def reset(self, rows: NDArray[np.bool_]) -> None:
        """Forget the rows (bool [B]) whose episode begins with the next observation."""
        self._memory.reset(rows)

    @torch.no_grad()
    def act(self, observation: NDArray[np.uint8]) -> NDArray[Any]:
        """uint8 observations [B, H, W, C] -> raw actions [B].

        Raises WorldganError for observations that are not the model's, or if the model imagines NaN.
        """
        frames, actions, _ = self._memory.see(observation)
        trees = self.search(self.model.start(frames, actions), len(observation))
        best = [tree.best() for tree in trees]
        self._taken = [tree.root.chances[action] for tree, action in zip(trees, best, strict=True)]
        self.last_value = torch.tensor([chance.worth for chance in self._taken])
        encoded = self._encoded(best)
        self._memory.did(encoded)
        return self.model.spec.actions.decode(encoded.numpy())

    def took(self, actions: NDArray[Any]) -> None:
        """See ``Remembers``."""
        self._memory.redid(torch.from_numpy(self.model.spec.actions.encode(actions)))

    def ahead(self, model: WorldModel[Any], state: Any, generator: torch.Generator) -> Iterator[Foreseen]:
        """See ``Foresees``: the principal variation, see ``variation``, as far as the trees of all rows go."""
        seen = pixels.to_uint8(model.frame(state))
        lines = [variation(chance, frame) for chance, frame in zip(self._taken, seen, strict=True)]
        actions = (self._encoded(list(each)) for each in zip(*lines, strict=False))
        return carried_out(model, state, actions, generator)

    @torch.no_grad()
    def search(self, state: Any, rows: int) -> list[Tree]:
        """Trees grown from each of the B ``rows`` of a state."""
        roots = self._decisions(state, [0] * rows, self._estimates(state, torch.full((rows,), self._horizon)))
        trees = [
            Tree(
                root, horizon=self._horizon, discount=self._discount, puct=self._puct, widening=self._widening,
                rng=self._rng,
            )
            for root in roots
        ]  # fmt: skip
        for _ in range(self._simulations):
            self._simulate(trees)
        return trees

    def _simulate(self, trees: list[Tree]) -> None:
        """Grow every tree by at most one decision, and one look at what may follow it."""
        paths = [tree.descend() for tree in trees]
        growing = [i for i, path in enumerate(paths) if self._ends_open(path[-1])]
        if growing:
            grown = self._grow([paths[i][-1] for i in growing])
            for i, new in zip(growing, grown, strict=True):
                paths[i].append(trees[i].step(new))
        looking = [path[-1] for path in paths if path[-1].chance.due(self._widening)]
        if looking:
            self._look(looking)
        for tree, path in zip(trees, paths, strict=True):
            tree.back_up(path)

    def _ends_open(self, step: Step) -> bool:
        return step.way is not None and step.way.then is None and step.at.depth + 1 < self._horizon

    def _grow(self, steps: list[Step]) -> list[Decision]:
        """Put a decision at the end of each way."""
        ways = [step.way for step in steps if step.way is not None]
        frames = pixels.to_float(torch.stack([way.frame for way in ways]))
        state = self.model.push(self._joined(steps), self._encoded([step.action for step in steps]), frames)
        values = torch.tensor([way.value for way in ways])
        made = self._decisions(state, [step.at.depth + 1 for step in steps], values)
        for way, then in zip(ways, made, strict=True):
            way.then = then
        return made

    def _look(self, steps: list[Step]) -> None:
        """List what may follow the action of each step, and estimate what that is worth."""
        state, actions = self._joined(steps), self._encoded([step.action for step in steps])
        found = self.model.outcomes(state, actions, self._outcomes, self._generator)
        rows, columns = torch.where(found.probability > 0)
        frames = found.frames[rows, columns]
        after = self.model.push(self.model.index(state, rows), actions[rows], frames)
        left = torch.tensor([self._horizon - step.at.depth - 1 for step in steps])[rows]
        values = torch.zeros_like(found.probability)
        values[rows, columns] = self._estimates(after, left)
        finite(found.rewards)
        for row, step in enumerate(steps):
            step.chance.widen(_ways(found, values, row), stated=found.stated)

    def _estimates(self, state: Any, left: Tensor) -> Tensor:
        """What rows [R] of a state with ``left`` (int64 [R]) steps to go are worth, [R]."""
        if self._value is not None:
            return finite(self._value(state).float())
        longest = int(left.max())
        if not longest:
            return torch.zeros(len(left))
        shape = (len(left), self._samples, longest)
        plans = random_plans(self.model.spec.actions, shape, hold=self._hold, rng=self._rng)
        returns = imagined_returns(
            self.model, state, plans, samples=1, discount=self._discount, generator=self._generator,
            chunk=self._chunk, lengths=left,
        )  # fmt: skip
        return finite(returns.mean(1))

    def _decisions(self, state: Any, depths: list[int], values: Tensor) -> list[Decision]:
        size = self.model.spec.actions.size
        prior = torch.full((len(depths), size), 1 / size)
        if self._policy is not None:
            prior = self._policy(state)
        return [
            decision(self.model.index(state, torch.tensor([row])), depth, prior[row].double().numpy(), float(value))
            for row, (depth, value) in enumerate(zip(depths, values, strict=True))
        ]

    def _joined(self, steps: list[Step]) -> Any:
        return self.model.join([step.at.state for step in steps])

    def _encoded(self, actions: list[int]) -> Tensor:
        return torch.from_numpy(self.model.spec.actions.encode(np.array(actions)))


def _ways(found: Outcomes, values: Tensor, row: int) -> list[Way]:
    return [
        Way(
            weight=float(found.probability[row, i]),
            frame=pixels.to_uint8(found.frames[row, i]),
            reward=float(found.rewards[row, i]),
            terminated=float(found.terminated[row, i]),
            value=float(values[row, i]),
        )
        for i in torch.where(found.probability[row] > 0)[0].tolist()
    ]
