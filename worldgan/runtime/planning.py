"""Planning without torch: random shooting and the cross-entropy method, in plain arrays.

What ``worldgan.agents`` does with tensors, as far as exported models need it; sources are in ``worldgan.agents.cem``.
"""

from __future__ import annotations

from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from worldgan.arrays import Array, ArrayModel
from worldgan.errors import WorldganError
from worldgan.seeding import derive, numpy_rng


@final
class ArrayPlanner:
    """An ``Agent`` that follows the best of many imagined plans for a step, and then plans again.

    The first plans are random; those of every further iteration are drawn like the best so far.
    """

    def __init__(
        self,
        model: ArrayModel[Any],
        *,
        horizon: int = 12,
        candidates: int = 64,
        samples: int = 2,
        discount: float = 0.99,
        hold: int = 4,
        iterations: int = 2,
        elites: int = 6,
        exploration: float = 0.1,
        chunk: int = 1024,
        seed: int = 0,
    ) -> None:
        """horizon: H.    candidates: N per iteration.    samples: futures per plan, averaged.    discount: per step.

        hold: see ``ActionSpec.sample_held``.    iterations: 1 is random shooting, more are the cross-entropy method.
        elites: of the candidates, kept and drawn like.    exploration: share of the uniform probability that every
        action keeps, or the least standard deviation of a box action.    chunk: futures imagined at once.
        Raises WorldganError for values that it cannot work with.
        """
        if min(horizon, samples, hold, iterations, elites, chunk) < 1 or candidates <= elites:
            raise WorldganError(
                "expected horizon, samples, hold, iterations, elites and chunk of at least 1 and more candidates than "
                f"elites, got {horizon}, {samples}, {hold}, {iterations}, {elites}, {chunk} and {candidates}"
            )
        if not (0 <= discount <= 1 and 0 < exploration <= 1):
            raise WorldganError(
                f"expected a discount within 0..1 and exploration above 0, up to 1, got {discount} and {exploration}"
            )
        self.model, self.last_plan = model, np.zeros(0, np.float32)
        self._shape, self._samples, self._discount, self._hold = (candidates, horizon), samples, discount, hold
        self._iterations, self._elites, self._exploration, self._chunk = iterations, elites, exploration, chunk
        self._rng = numpy_rng(seed, "shooting")
        self._generator = model.generator(derive(seed, "imagination"))
        self._begun = np.zeros(0, np.bool_)
        self._state: Any = None

    def reset(self, rows: NDArray[np.bool_]) -> None:
        """Forget the rows (bool [B]) whose episode begins with the next observation; another B forgets all."""
        self._begun = self._begun | rows if len(rows) == len(self._begun) else np.ones(len(rows), np.bool_)

    def act(self, observation: NDArray[np.uint8]) -> NDArray[Any]:
        """uint8 observations [B, H, W, C] -> raw actions [B, *ActionSpec.shape]; another B than before begins anew.

        Raises WorldganError for observations that are not the model's, or if the model imagines NaN.
        """
        spec = self.model.spec
        if observation.dtype != np.uint8 or observation.shape[1:] != spec.frame:
            got = f"{observation.dtype} {list(observation.shape)}"
            raise WorldganError(f"expected uint8 observations [B, {', '.join(map(str, spec.frame))}], got {got}")
        if len(observation) != len(self._begun):
            self._begun = np.ones(len(observation), np.bool_)
        self._state = self._now(np.array(np.moveaxis(observation, -1, 1), order="C"))
        self.last_plan = self._search()
        self._begun = np.zeros(len(observation), np.bool_)
        return spec.actions.decode(self.last_plan[:, 0])

    def _now(self, frames: Array) -> Any:
        """The state after uint8 frames [B, C, H, W]; an episode begins with its first repeated, and zero actions."""
        context, size = self.model.context, self.model.spec.actions.size
        actions = np.zeros((len(frames), context - 1, size), np.float32)
        fresh = self.model.start(np.repeat(frames[:, None], context, axis=1), actions)
        if self._begun.all():
            return fresh
        both = self.model.join([fresh, self.model.push(self._state, self.last_plan[:, 0], frames)])
        return self.model.index(both, np.arange(len(frames)) + len(frames) * ~self._begun)

    def _search(self) -> Array:
        """The best plans [B, H, A]. One is judged by the mean of all iterations it took part in: luck does not last."""
        rows, more = np.arange(len(self._begun))[:, None], self._shape[0] - self._elites
        plans = self._first()
        total, times = self._returns(plans), np.ones(plans.shape[:2])
        for _ in range(self._iterations - 1):
            best = np.argsort(-total / times, axis=1, kind="stable")[:, : self._elites]
            elites = plans[rows, best]
            plans = np.concatenate([elites, self._like(elites, more)], axis=1)
            said, often = (np.pad(each[rows, best], ((0, 0), (0, more))) for each in (total, times))
            total, times = said + self._returns(plans), often + 1
        found: Array = plans[rows[:, 0], (total / times).argmax(1)]
        return found

    def _first(self) -> Array:
        """Random plans [B, N, H, A], and the rest of the last plan where there is one."""
        plans = self.model.spec.actions.sample_held((len(self._begun), *self._shape), self._hold, self._rng)
        going = ~self._begun
        if going.any():
            plans[going, 0] = np.concatenate([self.last_plan[:, 1:], self.last_plan[:, -1:]], axis=1)[going]
        return plans

    def _like(self, elites: Array, count: int) -> Array:
        """``count`` plans [B, count, H, A] drawn from what elites [B, E, H, A] have in common."""
        actions, mean = self.model.spec.actions, elites.mean(1, keepdims=True)
        shape = (len(elites), count, *elites.shape[2:])
        if actions.kind == "box":
            deviation = elites.std(1, keepdims=True).clip(self._exploration)
            drawn: Array = np.clip(mean + deviation * self._rng.standard_normal(shape, np.float32), -1, 1)
            return drawn
        uniform = np.repeat(1 / np.asarray(actions.sizes), actions.sizes)
        odds = (1 - self._exploration) * mean + self._exploration * uniform
        return actions.encode(actions.decode(np.log(odds) + self._rng.gumbel(size=shape)))  # the largest of each part

    def _returns(self, plans: Array) -> Array:
        """Mean discounted return [B, N] of plans [B, N, H, A] over sampled futures."""
        rows, count = plans.shape[:2]
        plan = np.repeat(np.arange(rows * count), self._samples)
        row, sequences = plan // count, plans.reshape(rows * count, *plans.shape[2:])
        parts = [slice(first, first + self._chunk) for first in range(0, len(plan), self._chunk)]
        found = [self._follow(self.model.index(self._state, row[part]), sequences[plan[part]]) for part in parts]
        returns: Array = np.concatenate(found).reshape(rows, count, self._samples).mean(-1)
        if np.isnan(returns).any():
            raise WorldganError("expected the model to imagine finite rewards, got NaN: its training diverged")
        return returns

    def _follow(self, state: Any, plans: Array) -> Array:
        """One sampled return per row of plans [R, H, A]; a reward counts as much as it is likely to be reached."""
        total, alive = np.zeros(len(plans)), np.ones(len(plans))
        for step in range(plans.shape[1]):
            judged, state = self.model.step(state, plans[:, step], self._generator)
            total += self._discount**step * alive * judged.reward
            alive *= 1 - judged.terminated
        return total
