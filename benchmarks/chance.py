"""What nobody could foresee of a game: its own futures from one state under the same actions, with another luck each.

The first future is taken for what happened and the others for a model's samples, judged as ``worldgan evaluate`` judges
them: what is printed is the score of a perfect simulator, and no model should score much better.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from worldgan import envs
from worldgan.agents.futures import Branch, futures
from worldgan.data.collect import RandomPolicy
from worldgan.evaluation.rollouts import measure
from worldgan.files import atomic_write
from worldgan.rollout import Rollout
from worldgan.seeding import numpy_rng
from worldgan.types import Window

SHOWN = (1, 5, 10, 25, 50)


def moments(
    env: gymnasium.Env[Any, Any], branch: Branch, policy: RandomPolicy, horizon: int, samples: int, count: int
) -> tuple[Window, list[Rollout]]:
    """States of random play, one every ``horizon`` steps -> what followed in ``count`` of them, ``samples`` times."""
    found: list[tuple[NDArray[Any], NDArray[Any], list[list[Any]]]] = []
    frame, fresh = None, np.ones(1, np.bool_)
    while len(found) < count:
        if fresh[0]:
            frame, _ = env.reset()
            policy.reset(fresh)
        nothing = np.zeros((1, 1), np.uint8)
        plan = np.concatenate([policy.act(nothing) for _ in range(horizon)])
        assert frame is not None
        found.append((frame, plan, [_followed(branch(), plan) for _ in range(samples)]))
        for action in plan:
            frame, _, terminated, truncated, _ = env.step(action)
            fresh[0] = terminated or truncated
            if fresh[0]:
                break
    starts = np.stack([frame for frame, _, _ in found])
    drawn = [_rollout([each[2][sample] for each in found], starts) for sample in range(samples)]
    real, length = drawn[0], torch.tensor([len(each[2][0]) for each in found])
    frames = torch.cat([_tensor(starts)[:, None], real.frames], dim=1)
    actions = torch.zeros(count, horizon, 1)  # not looked at
    valid = torch.arange(horizon) < length[:, None]
    return Window(frames, actions, real.rewards, real.terminated > 0, valid, context=1), drawn[1:]


def _followed(future: gymnasium.Env[Any, Any], plan: NDArray[Any]) -> list[tuple[NDArray[Any], float, bool]]:
    """Frame, reward and termination of every step, as many as there are until the end."""
    steps: list[tuple[NDArray[Any], float, bool]] = []
    for action in plan:
        frame, reward, terminated, truncated, _ = future.step(action)
        steps.append((frame, float(reward), bool(terminated)))
        if terminated or truncated:
            break
    return steps


def _rollout(futures: list[list[tuple[NDArray[Any], float, bool]]], starts: NDArray[Any]) -> Rollout:
    """Futures of all moments; after an end the last frame stays."""
    horizon = max(map(len, futures))
    padded = [each + [(each[-1][0], 0.0, False)] * (horizon - len(each)) for each in futures]
    frames = torch.stack([_tensor(np.stack([frame for frame, _, _ in each])) for each in padded])
    rewards, ended = (torch.tensor([[step[i] for step in each] for each in padded]).float() for i in (1, 2))
    return Rollout(frames, rewards, ended)


def _tensor(frames: NDArray[Any]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(frames, -1, -3)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("envs", nargs="+", help="built-in envs or Atari games, such as ALE/Pong-v5")
    parser.add_argument("--moments", type=int, default=256)
    parser.add_argument("--samples", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    results = {}
    for name in options.envs:
        env = envs.make(name)
        env.reset(seed=options.seed)
        policy = RandomPolicy(envs.spec(name).actions, seed=options.seed)
        branch = futures(env, numpy_rng(options.seed, "chance"))
        window, drawn = moments(env, branch, policy, max(SHOWN), 1 + options.samples, options.moments)
        curves = measure(drawn[0], window, best_of=drawn[1:])
        keys = ("changed_pixel_error", "changed_pixel_error_best", "energy_score", "windows")
        results[name] = {key: {str(step): curves[key][step - 1] for step in SHOWN} for key in keys}
        print(name, json.dumps(results[name], indent=2), flush=True)
    if options.out:
        atomic_write(options.out, json.dumps(results, indent=2).encode())


if __name__ == "__main__":
    main()
