"""patient:Patient-v0, an env that waits for its cluster to lose a node."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import gymnasium
import ray

from worldgan import envs


class Patient(gymnasium.Wrapper[Any, Any, Any, Any]):
    """On a cluster it writes down which node plays which episode, as SEED.NODE.PROCESS in ``folder``.

    When the data set in ``folder`` has begun, and until there is a file "lost", it waits in its fourth episode, having
    written down NODE.PROCESS as "waiting".
    """

    def __init__(self, folder: str) -> None:
        super().__init__(envs.make("worldgan/Paddle-v0", size=8))
        self.folder, self.episodes = Path(folder), 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        if seed is not None and ray.is_initialized():
            self.episodes += 1
            self._write_down(seed)
        return super().reset(seed=seed, options=options)

    def _write_down(self, seed: int) -> None:
        place = f"{ray.get_runtime_context().get_node_id()}.{os.getpid()}"
        (self.folder / f"{seed}.{place}").touch()
        if self.episodes == 4 and list(self.folder.glob("data/episodes/*.ep")):
            (self.folder / f"waiting.{place}").touch()
            while not (self.folder / "lost").exists():
                time.sleep(0.02)


gymnasium.register("Patient-v0", Patient)
