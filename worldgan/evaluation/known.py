"""Measure a world model where the truth is known: in envs that list all that can happen next."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import asdict
from itertools import islice
from typing import Any, NamedTuple

import gymnasium
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from worldgan import pixels
from worldgan.actions import ActionSpec
from worldgan.agents import check_match
from worldgan.envs import Enumerable, Outcome, enumerable, env_spec
from worldgan.errors import WorldganError
from worldgan.evaluation.distribution import classify, compare_probabilities, compare_samples, stated_probability
from worldgan.evaluation.frames import gradient_energy
from worldgan.pixels import Frames
from worldgan.progress import Report
from worldgan.seeding import derive, numpy_rng, torch_rng
from worldgan.types import Metrics, WorldModel

Env = gymnasium.Env[Any, Any]

TAKEN = 1 / 8  # probability that a step of random play becomes a moment: neighbours are much alike
PATIENCE = 1000  # steps of random play per moment, before giving up
BLANK = 128  # grey level


class Moment(NamedTuple):
    """A time of random play: what a model may see, the action to be taken, and all that can follow.

    frames: uint8 [K, C, H, W].    actions: float32 [K - 1, A], between them.    action: float32 [A].
    outcomes: uint8 [M, C, H, W], each different, most probable first.    probability: float64 [M].
    """

    frames: Tensor
    actions: Tensor
    action: Tensor
    outcomes: Tensor
    probability: Tensor


def moments(env: Env, actions: ActionSpec, *, context: int, count: int, seed: int) -> list[Moment]:
    """``count`` random times of uniformly random play that have ``context`` frames of their episode behind them.

    The env is reset and left open. Raises WorldganError for an env whose outcomes are not known, and if episodes
    are too short.
    """
    truth, rng = _known(env), numpy_rng(seed, "known", "play")
    found: list[Moment] = []
    first = env.reset(seed=derive(seed, "known", "env") % 2**31)[0]
    for history, action in islice(_play(env, _History(first, context), actions, rng), PATIENCE * count):
        if len(history.frames) == context and rng.random() < TAKEN:
            found.append(history.moment(action, truth.outcomes(actions.decode(action))))
        if len(found) == count:
            return found
    raise WorldganError(f"expected episodes of {context} steps or more, got {len(found)} such times in {env}")


@torch.no_grad()
def measure(
    model: WorldModel[Any],
    env: Env,
    *,
    contexts: int = 64,
    samples: int = 256,
    seed: int = 0,
    tolerance: int = 64,
    likely: float = 0.02,
    report: Report | None = None,
) -> Metrics:
    """The model's distribution of the next frame against the true one, after contexts of random play.

    contexts: how many.    samples: N frames sampled of each.    tolerance: see ``classify``.
    likely: see ``compare_samples``.    report: gets the number of contexts done.

    tv, tv_floor, tv_excess, recall, recall_floor, invalid: see ``SampleScores``; tv_excess is the key figure.
    sharpness_gradient: gradient energy of the samples over the truth's expectation, 1 is as sharp as real.
    log_loss_excess, ece: see ``Calibration``; only of models that state probabilities.
    Raises WorldganError for an env whose outcomes are not known or that the model does not fit.
    """
    chosen = _moments(model, env, contexts, samples, seed)
    rng, classes, energies = torch_rng(seed, "known", "samples"), list[Tensor](), list[Tensor]()
    for number, moment in enumerate(chosen):
        frames = sample(model, moment, samples, rng)
        classes.append(classify(frames, moment.outcomes, tolerance))
        real = (moment.probability * gradient_energy(moment.outcomes)).sum()
        energies.append(torch.stack([gradient_energy(frames).mean().double(), real]))
        if report:
            report(number + 1)
    scores = compare_samples(classes, [moment.probability for moment in chosen], likely=likely)
    generated, expected = torch.stack(energies).sum(0).tolist()
    looks = {"tv_excess": scores.tv_excess, "sharpness_gradient": generated / expected}
    return asdict(scores) | looks | _calibration(model, chosen, samples, rng, tolerance)


@torch.no_grad()
def gallery(
    model: WorldModel[Any], env: Env, *, contexts: int = 4, outcomes: int = 4, samples: int = 8, seed: int = 0
) -> Frames:
    """Rows to look at, uint8 [S, 1 + M + N, H, W, C], of S ``contexts``, the first of ``measure`` for this seed.

    Each is the last context frame, the M most probable true ``outcomes``, grey where there are fewer, and N
    ``samples`` of the model. Raises WorldganError as ``measure`` does.
    """
    chosen = _moments(model, env, contexts, min(outcomes, samples), seed)
    rng, rows = torch_rng(seed, "known", "gallery"), []
    for moment in chosen:
        true = moment.outcomes[:outcomes]
        blank = torch.full_like(true[:1], BLANK).expand(outcomes - len(true), -1, -1, -1)
        rows.append(torch.cat([moment.frames[-1:], true, blank, sample(model, moment, samples, rng)]))
    return pixels.to_array(torch.stack(rows))


def sample(model: WorldModel[Any], moment: Moment, count: int, generator: torch.Generator) -> Tensor:
    """``count`` next frames that the model draws at this moment, uint8 [N, C, H, W]."""
    state = model.index(_present(model, moment), torch.zeros(count, dtype=torch.long))
    prediction, _ = model.step(state, moment.action.expand(count, -1), generator)
    return pixels.to_uint8(prediction.frame).cpu()


class _History:
    """The last frames of an episode, at most ``context``, and the actions between them."""

    def __init__(self, frame: Frames, context: int) -> None:
        self.frames = deque([frame], maxlen=context)
        self._actions = deque[NDArray[np.float32]](maxlen=context - 1)

    def push(self, action: NDArray[np.float32], frame: Frames) -> None:
        """One encoded action [A] and the frame uint8 [H, W, C] that followed."""
        self._actions.append(action)
        self.frames.append(frame)

    def moment(self, action: NDArray[np.float32], outcomes: list[Outcome]) -> Moment:
        """Now, with what can follow; outcomes that look alike, whatever they earn, become one."""
        odds: dict[bytes, float] = {}
        looks: dict[bytes, Frames] = {}
        for outcome in outcomes:
            key = outcome.frame.tobytes()
            looks[key], odds[key] = outcome.frame, odds.get(key, 0.0) + outcome.probability
        order = sorted(odds, key=lambda key: -odds[key])
        return Moment(
            frames=pixels.to_tensor(np.stack(self.frames)),
            actions=torch.from_numpy(np.array(self._actions, np.float32).reshape(-1, len(action))),
            action=torch.from_numpy(action),
            outcomes=pixels.to_tensor(np.stack([looks[key] for key in order])),
            probability=torch.tensor([odds[key] for key in order], dtype=torch.float64),
        )


def _play(
    env: Env, history: _History, actions: ActionSpec, rng: np.random.Generator
) -> Iterator[tuple[_History, NDArray[np.float32]]]:
    """Random play for ever: what came before each step, and the encoded action [A] that it will take."""
    context = history.frames.maxlen or 1
    while True:
        action = actions.sample((), rng)
        yield history, action
        frame, _, terminated, truncated, _ = env.step(actions.decode(action))
        history.push(action, frame)
        if terminated or truncated:
            history = _History(env.reset()[0], context)


def _moments(model: WorldModel[Any], env: Env, contexts: int, samples: int, seed: int) -> list[Moment]:
    if min(contexts, samples) < 1:
        raise WorldganError(f"expected at least one context, outcome and sample, got {contexts} and {samples}")
    check_match(model.spec, env_spec(env, env.spec.id if env.spec else str(env), {}))
    return moments(env, model.spec.actions, context=model.context, count=contexts, seed=seed)


def _calibration(
    model: WorldModel[Any], chosen: list[Moment], count: int, generator: torch.Generator, tolerance: int
) -> Metrics:
    """The fields of ``Calibration``, or nothing for a model that only samples."""
    stated = []
    for moment in chosen:
        guess = _stated(model, moment, count, generator, tolerance)
        if guess is None:
            return {}
        stated.append(guess)
    return asdict(compare_probabilities(stated, [moment.probability for moment in chosen]))


def _stated(
    model: WorldModel[Any], moment: Moment, count: int, generator: torch.Generator, tolerance: int
) -> Tensor | None:
    """What the model states of each true outcome, float64 [M], or None: equal shares of all it was asked for."""
    found = model.outcomes(_present(model, moment), moment.action[None], count, generator)
    probability = found.probability[0].cpu()
    if len(probability) == count > 1 and bool((probability == probability[0]).all()):
        return None
    classes = classify(pixels.to_uint8(found.frames[0]).cpu(), moment.outcomes, tolerance)
    return stated_probability(classes, probability, len(moment.outcomes))


def _present(model: WorldModel[Any], moment: Moment) -> Any:
    """The model's state of one row."""
    return model.start(moment.frames[None], moment.actions[None])


def _known(env: Env) -> Enumerable[Any]:
    found = enumerable(env)
    if found is None:
        raise WorldganError(f"expected a built-in env, whose odds are known, got {env}")
    return found
