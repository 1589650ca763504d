"""How fast an agent is taught by dreams that are the real game: the ceiling of what a model could teach it.

``python benchmarks/teaching.py MinAtar/Asterix-v1 --updates 300 --set rate=3e-4`` teaches it in as many games as a
dream has rows and adds the curve to docs/results/teaching/teaching.json. Each dream goes on where the last one ended.
What an agent does not learn here is no fault of a model's.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from worldgan import envs, pixels
from worldgan.agents import DreamConfig, Dreamer
from worldgan.agents.actor_critic import ActorCritic
from worldgan.agents.memory import Memory
from worldgan.cli.settings import options_of
from worldgan.config import load
from worldgan.data.collect import RandomPolicy
from worldgan.files import atomic_write
from worldgan.machine import keep_memory
from worldgan.progress import progress
from worldgan.seeding import derive
from worldgan.types import Prediction

WARM_UP = 100
"""Random steps of each game before."""
LAST = 200
"""Episodes whose returns are averaged."""


class Games:
    """What ``Dreamer`` needs of a ``WorldModel``, played instead of imagined: its state is that of the games."""

    def __init__(self, env: str, options: dict[str, Any], count: int, frames: int, seed: int) -> None:
        self.spec, self.context = envs.spec(env, options), frames
        self.games = [envs.make(env, **options) for _ in range(count)]
        self.returns, self.finished = np.zeros(count), list[float]()
        self.memory = Memory(self.spec, frames)
        self.memory.reset(np.ones(count, np.bool_))
        first = [game.reset(seed=derive(seed, "game", row))[0] for row, game in enumerate(self.games)]
        self.seen = self.memory.see(np.stack(first))
        player = RandomPolicy(self.spec.actions, seed=seed)
        player.reset(np.ones(count, np.bool_))
        for _ in range(WARM_UP):  # else all games would be at their beginning, and alike
            random = self.spec.actions.encode(player.act(np.zeros((count, *self.spec.frame), np.uint8)))
            self.step(None, torch.from_numpy(random), torch.Generator())
        self.finished.clear()

    def starts(self) -> tuple[Tensor, Tensor]:
        """Where the games are: frames [B, K, C, H, W] and the actions between them [B, K - 1, A]."""
        frames, actions, _ = self.seen
        return frames.clone(), actions.clone()

    def start(self, frames: Tensor, actions: Tensor) -> None:
        """See ``WorldModel``: they are those of ``starts``."""

    def step(self, state: None, action: Tensor, generator: torch.Generator) -> tuple[Prediction, None]:
        """See ``WorldModel``. A game that is over begins anew, and what its dream holds after that does not count."""
        del generator
        raw = self.spec.actions.decode(action.numpy())
        played = [game.step(each) for game, each in zip(self.games, raw, strict=True)]
        rewards, over = np.array([each[1] for each in played], float), np.array([each[2] or each[3] for each in played])
        self.returns += rewards
        self.finished += self.returns[over].tolist()
        self.returns[over] = 0
        now = np.stack(
            [game.reset()[0] if ends else each[0] for game, ends, each in zip(self.games, over, played, strict=True)]
        )
        self.memory.did(action)
        self.memory.reset(over)
        self.seen = self.memory.see(now)
        shown = pixels.to_float(pixels.to_tensor(now))
        return Prediction(shown, torch.from_numpy(rewards).float(), torch.from_numpy(over).float()), state


def taught(games: Games, config: DreamConfig, every: int) -> list[dict[str, float]]:
    """A point per ``every`` updates: real steps, seconds, and the mean return of the last ``LAST`` episodes."""
    agent = ActorCritic(games.spec, games.context, width=config.width, units=config.units, seed=config.seed)
    dreamer, points, began = Dreamer(games, agent, config), [], time.monotonic()
    total = config.steps or 0
    with progress(f"teach {games.spec.id}", total, unit=" updates") as report:
        for number in range(total):
            dreamer.update(games.starts(), number)
            last = games.finished[-LAST:]
            mean = float(np.mean(last)) if last else float("nan")
            if (number + 1) % every == 0:
                steps = (number + 1) * config.batch * config.horizon
                points.append({"steps": steps, "seconds": round(time.monotonic() - began), "return": round(mean, 2)})
            report(number + 1, f"return {mean:.3g}")
    return points


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("env")
    parser.add_argument("--env-args", nargs="*", default=["sticky=0.1"])
    parser.add_argument("--updates", type=int, default=300, help="of 128 games and 12 steps unless set otherwise")
    parser.add_argument("--frames", type=int, default=4, help="that the agent sees")
    parser.add_argument("--every", type=int, default=50)
    parser.add_argument("--set", nargs="*", default=[], help="of DreamConfig")
    parser.add_argument("--out", type=Path, default=Path("docs/results/teaching"))
    options = parser.parse_args()
    keep_memory()
    torch.set_num_threads(1)
    config = load(DreamConfig, None, ["horizon=12", *options.set, f"steps={options.updates}"])
    file = options.out / "teaching.json"
    found = json.loads(file.read_text()) if file.exists() else {}
    name = " ".join([options.env, *options.env_args, f"frames={options.frames}", *options.set])
    games = Games(options.env, options_of((tuple(options.env_args),)), config.batch, options.frames, config.seed)
    found[name] = {"config": asdict(config), "curve": taught(games, config, options.every)}
    atomic_write(file, json.dumps(found, indent=1).encode() + b"\n")


if __name__ == "__main__":
    main()
