"""What an agent remembers of each env: the frames and actions from which a world model starts."""

from __future__ import annotations

from typing import final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from worldgan import pixels
from worldgan.errors import WorldganError
from worldgan.types import EnvSpec


@final
class Memory:
    """The last K frames and the K - 1 encoded actions between them, for each of B rows.

    An episode begins as training windows do: its first frame repeated, with zero actions in between.
    Call ``see`` with what is observed, then ``did`` with what is done about it, and ``redid`` if it was not.
    """

    def __init__(self, spec: EnvSpec, context: int) -> None:
        """context: K."""
        self._spec, self._context = spec, context
        self._fresh = np.zeros(0, np.bool_)
        self._frames = torch.zeros(0, dtype=torch.uint8)
        self._actions = torch.zeros(0)

    def reset(self, rows: NDArray[np.bool_]) -> None:
        """Forget the rows (bool [B]) whose episode begins with the next observation; another B forgets all."""
        self._fresh = self._fresh | rows if len(rows) == len(self._fresh) else np.ones(len(rows), np.bool_)

    def see(self, observation: NDArray[np.uint8]) -> tuple[Tensor, Tensor, NDArray[np.bool_]]:
        """Observations [B, H, W, C] -> frames uint8 [B, K, C, H, W], actions [B, K - 1, A], begun bool [B].

        begun: the rows whose first observation this is. Raises WorldganError for observations of another
        shape or dtype, or another B than before without a reset.
        """
        begun = self._checked(observation)
        now = pixels.to_tensor(observation)[:, None]
        if begun.all():
            self._frames = now.repeat(1, self._context, 1, 1, 1)
            self._actions = torch.zeros(len(now), self._context - 1, self._spec.actions.size)
        else:
            first = torch.from_numpy(begun)
            self._frames = torch.cat([self._frames[:, 1:], now], dim=1)
            self._frames[first] = now[first]
            self._actions[first] = 0.0
        self._fresh = np.zeros(len(begun), np.bool_)
        return self._frames, self._actions, begun

    def did(self, actions: Tensor) -> None:
        """Encoded actions [B, A] that follow what was seen last."""
        self._actions = torch.cat([self._actions, actions[:, None]], dim=1)[:, 1:]

    def redid(self, actions: Tensor) -> None:
        """Encoded actions [B, A] that were taken in place of those that ``did`` was told last."""
        self._actions = torch.cat([self._actions[:, :-1], actions[:, None]], dim=1)[:, : self._context - 1]

    def _checked(self, observation: NDArray[np.uint8]) -> NDArray[np.bool_]:
        if observation.dtype != np.uint8 or observation.shape[1:] != self._spec.frame:
            raise WorldganError(
                f"expected uint8 observations [B, {', '.join(map(str, self._spec.frame))}], "
                f"got {observation.dtype} {list(observation.shape)}"
            )
        if not len(self._fresh):
            return np.ones(len(observation), np.bool_)
        if len(observation) != len(self._fresh):
            raise WorldganError(
                f"expected observations of {len(self._fresh)} envs, got {len(observation)}: reset all rows first"
            )
        return self._fresh
