"""An actor and a critic that learn in imagination: states from the data, everything after them from the model."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, final

import torch
from torch import Tensor

from worldgan.agents.actor_critic import ActorCritic
from worldgan.agents.losses import actor_loss, critic_loss, lambda_returns, normalised, reached
from worldgan.agents.recall import Recall
from worldgan.background import watch
from worldgan.config import check_fields
from worldgan.device import Precision, uses_bf16
from worldgan.errors import WorldganError
from worldgan.pixels import to_float
from worldgan.seeding import torch_rng
from worldgan.types import Metrics, WorldModel


@dataclass(frozen=True)
class DreamConfig:
    """steps or minutes: the budget; exactly one of them.    batch: B, states imagined from per update.
    horizon: T, steps imagined.    discount: per step.    trace: lambda of ``lambda_returns``.
    epochs, parts: how often a dream is learnt from, and in how many steps each time, of B / parts rows.
    trust: see ``actor_loss``.    entropy: weight of staying undecided, against advantages of size 1.
    width, units: see ``ActorCritic``.    rate, clip: of Adam, and the norm that gradients are clipped to.
    average: share of the critic that the slow one takes over per step.
    precision: that actor and critic learn in.    checkpoint_minutes, log_steps: how often to save and to log.
    """

    steps: int | None = None
    minutes: float | None = None
    batch: int = 128
    horizon: int = 15
    discount: float = 0.99
    trace: float = 0.95
    epochs: int = 2
    parts: int = 4
    trust: float = 0.1
    entropy: float = 1e-2
    width: int = 16
    units: int = 256
    rate: float = 1e-3
    clip: float = 1.0
    average: float = 0.02
    precision: Precision = "auto"
    checkpoint_minutes: float = 2.0
    log_steps: int = 50
    seed: int = 0

    def __post_init__(self) -> None:
        """Raises WorldganError for a value that learning cannot work with."""
        counts = ("steps", "batch", "horizon", "epochs", "parts", "width", "units", "log_steps")
        check_fields(self, lambda x: x >= 1, "at least 1", *counts)
        check_fields(self, lambda x: x > 0, "above 0", "minutes", "trust", "rate", "clip")
        check_fields(self, lambda x: x >= 0, "at least 0", "entropy", "checkpoint_minutes")
        check_fields(self, lambda x: 0 <= x <= 1, "within 0..1", "discount", "trace")
        check_fields(self, lambda x: 0 < x <= 1, "above 0 and at most 1", "average")


class Dreamt(NamedTuple):
    """T steps after each of B states.

    seen: uint8 [B, T + 1, F, C, H, W].    drawn: see ``Choice``, [B, T, A].    rewards: [B, T].
    continues: probability that a step did not end the episode, [B, T].
    """

    seen: Tensor
    drawn: Tensor
    rewards: Tensor
    continues: Tensor


@torch.no_grad()
def dreamt(
    model: Recall, networks: ActorCritic, starts: tuple[Tensor, Tensor], *, horizon: int, generator: torch.Generator
) -> Dreamt:
    """Imagine what the actor does. starts: uint8 frames [B, K, C, H, W] and the encoded actions between them."""
    state, choice = model.start(*starts), networks.choice
    seen, steps = [state.seen], []
    for _ in range(horizon):
        noise = torch.randn(len(seen[0]), model.spec.actions.size, generator=generator)
        drawn = choice.draw(networks.actor(state.seen), noise)
        prediction, state = model.step(state, choice.encoded(drawn), generator)
        seen.append(state.seen)
        steps.append((drawn, prediction.reward.float(), 1 - prediction.terminated.float()))
    return Dreamt(torch.stack(seen, 1), *(torch.stack(column, 1) for column in zip(*steps, strict=True)))


@final
class Dreamer:
    """Trains ``networks`` in a model. Update number n is a function of the seed, n, its starts and the weights."""

    def __init__(self, model: WorldModel[Any], networks: ActorCritic, config: DreamConfig) -> None:
        self.model, self.networks, self.config = Recall(model, networks.frames), networks, config
        self.slow = copy.deepcopy(networks.critic).requires_grad_(False)
        self.optimiser = torch.optim.Adam(networks.parameters(), lr=config.rate, eps=1e-5)

    def update(self, starts: tuple[Tensor, Tensor], number: int) -> Metrics:
        """Learn from what is imagined from ``starts``: see ``dreamt``. Raises as ``descend`` does."""
        config, generator = self.config, torch_rng(self.config.seed, "dream", number)
        watch(to_float(starts[0][:, -1]), self.networks, self.slow)
        dream = dreamt(self.model, self.networks, starts, horizon=config.horizon, generator=generator)
        weights, returns = reached(dream.continues), self.returns(dream)
        with torch.no_grad():
            before, _, values = self.judge(dream)
        advantages = normalised(returns - values, weights)
        parts = min(config.parts, len(returns))
        for part in [slice(first, None, parts) for first in range(parts)] * config.epochs:
            log_probs, entropies, values = self.judge(Dreamt(*(each[part] for each in dream)))
            acting = actor_loss(
                log_probs, before[part], entropies, advantages[part], weights[part],
                entropy=config.entropy, trust=config.trust,
            )  # fmt: skip
            judging = critic_loss(values, returns[part], weights[part])
            self.descend(acting + judging)
        return {
            "actor": float(acting.detach()),
            "critic": float(judging.detach()),
            "entropy": float(entropies.detach().mean()),
            "return": float(returns[:, 0].mean()),
            "reward": float(dream.rewards.mean()),
            "length": float(weights.sum(1).mean()),
        }

    def judge(self, dream: Dreamt) -> tuple[Tensor, Tensor, Tensor]:
        """Log-probabilities of the actions drawn, entropies, and what the critic expects, all [B, T]."""
        seen, choice = dream.seen[:, :-1], self.networks.choice
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=uses_bf16(self.config.precision)):
            stated, values = self.networks.actor(seen), self.networks.critic(seen)[..., 0]
        return choice.log_prob(stated, dream.drawn), choice.entropy(stated), values

    @torch.no_grad()
    def returns(self, dream: Dreamt) -> Tensor:
        """Lambda-returns [B, T], which the slow critic completes."""
        discount, trace = self.config.discount, self.config.trace
        values = self.slow(dream.seen)[..., 0]
        return lambda_returns(dream.rewards, dream.continues, values, discount=discount, trace=trace)

    def descend(self, loss: Tensor) -> None:
        """One step down, after which the slow critic follows. Raises WorldganError before a step that is not finite."""
        if not loss.isfinite():
            raise WorldganError("expected finite losses in imagination, got others: the model or the agent diverged")
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        for network in (self.networks.actor, self.networks.critic):
            norm = torch.nn.utils.clip_grad_norm_(network.parameters(), self.config.clip)
            if not norm.isfinite():
                raise WorldganError("expected finite gradients in imagination, got others: learn at a lower rate")
        self.optimiser.step()
        for slow, fast in zip(self.slow.parameters(), self.networks.critic.parameters(), strict=True):
            slow.data.lerp_(fast.data, self.config.average)

    def state_dict(self) -> dict[str, Any]:
        """All that exact resume needs."""
        return {
            "networks": self.networks.state_dict(),
            "slow": self.slow.state_dict(),
            "optimiser": self.optimiser.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Inverse of ``state_dict``."""
        self.networks.load_state_dict(state["networks"])
        self.slow.load_state_dict(state["slow"])
        self.optimiser.load_state_dict(state["optimiser"])
