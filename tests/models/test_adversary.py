"""Laws of the two-player game: who is moved by what, and that every objective finds a distribution it is shown."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from fakes import dot_spec, dot_window
from tiny import tiny
from torch import Tensor, nn

from worldgan.errors import WorldganError
from worldgan.models import FAMILIES
from worldgan.models.adversary import Adversary, AdversaryConfig
from worldgan.models.learning import Average, Optimiser, OptimiserConfig, Transition, initialised
from worldgan.models.objectives import OBJECTIVES
from worldgan.models.regularity import REGULARITIES
from worldgan.models.world import History
from worldgan.seeding import torch_rng


class Critic(nn.Module):
    """A discriminator of points [B, 1, 1, D] and the actions [B, 1, A] that led there."""

    def __init__(self, size: int, actions: int = 1) -> None:
        super().__init__()
        layers = nn.Linear(size + actions, 64), nn.LeakyReLU(0.2), nn.Linear(64, 64), nn.LeakyReLU(0.2)
        self.body, self.logit = nn.Sequential(*layers), nn.Linear(64, 1)

    def inspect(self, frames: Tensor, actions: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
        features = self.body(torch.cat([points.flatten(1), actions.flatten(1)], dim=1))
        return features, self.logit(features)[:, 0]

    def forward(self, frames: Tensor, actions: Tensor, points: Tensor) -> Tensor:
        return self.inspect(frames, actions, points)[1]


def transition(points: Tensor, action: Tensor | None = None) -> tuple[History, Transition]:
    """Points [B, D] as next frames after nothing in particular and an action [B, A]."""
    rows, size = points.shape
    nothing, action = torch.zeros(rows), torch.zeros(rows, 1) if action is None else action
    history = History(torch.zeros(rows, 1, 1, 1, size), torch.zeros(rows, 0, action.shape[1]))
    valid = torch.ones(rows, dtype=torch.bool)
    return history, Transition(action, points[:, None, None], nothing, nothing, valid, torch.tensor(1.0))


def adversary(size: int = 2, actions: int = 1, **settings: Any) -> Adversary:
    """At full weight from the third update on."""
    optimiser = OptimiserConfig(rate=settings.pop("rate", 1e-2), warmup=0, clip=100.0)
    critic = initialised(lambda: Critic(size, actions), 0)
    config = AdversaryConfig(weight=1.0, warmup=1, optimiser=optimiser, **settings)
    return Adversary(critic, config)  # type: ignore[arg-type]


def points(name: str, rows: int = 12, size: int = 2) -> Tensor:
    return torch.randn(rows, size, generator=torch_rng(0, name))


def test_nothing_is_played_before_warm_up_and_the_generator_is_moved_gently() -> None:
    game, (history, step), fake = adversary(matching=1.0), transition(points("real")), points("fake")[:, None, None]
    assert game.play(history, step, fake, 0, torch_rng(1)) == {}
    early, full = (game.play(history, step, fake, updates, torch_rng(1)) for updates in (1, 2))
    assert game.play(history, step, fake, 99, torch_rng(1)) == full
    assert torch.equal(early["discriminator"], full["discriminator"])
    assert not early["adversarial"].any()
    assert not early["matching"].any()
    assert full["adversarial"].any()
    assert full["matching"].any()


@pytest.mark.parametrize("regularity", REGULARITIES)
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_rows_that_are_not_valid_do_not_count(objective: str, regularity: str) -> None:
    game = adversary(2, 3, objective=objective, regularity=regularity, matching=1.0, wrong_action=1.0)
    valid = torch.arange(12) % 3 > 0
    real, fake, action = points("real"), points("fake"), points("action", size=3)
    found = []
    for other in (real, 5 + points("other")):
        history, step = transition(torch.where(valid[:, None], real, other), torch.where(valid[:, None], action, 7))
        frame = torch.where(valid[:, None], fake, other - 1)[:, None, None]
        found.append(game.play(history, replace(step, valid=valid), frame, 2, torch_rng(1)))
    for name, loss in found[0].items():
        torch.testing.assert_close(loss, found[1][name])


def test_a_wrong_action_is_one_that_differs_and_was_taken() -> None:
    """The loss is that of rows which got another row's action; all others are left out."""
    action = torch.eye(3)[torch.arange(12) % 3]
    history, step = transition(points("real"), action)
    step = replace(step, valid=torch.arange(12) != 5)
    game, fake = adversary(2, 3, regularity="none", wrong_action=0.5), points("fake")[:, None, None]
    without = adversary(2, 3, regularity="none")
    extra = game.play(history, step, fake, 2, torch_rng(1))["discriminator"]
    extra = extra - without.play(history, step, fake, 2, torch_rng(1))["discriminator"]
    others, losses = torch.randperm(12, generator=torch_rng(1)).tolist(), []
    for row, other in enumerate(others):
        if row % 3 != other % 3 and 5 not in {row, other}:
            seen = (history.frames[:1], action[[row], None], step.target[[row]])
            wrong = game.discriminator(seen[0], action[[other], None], seen[2])
            losses.append(game.objective.discriminator(game.discriminator(*seen), wrong))
    assert 3 < len(losses) < 11
    torch.testing.assert_close(extra, 0.5 * torch.cat(losses).mean())


def test_where_all_do_the_same_no_action_is_wrong() -> None:
    history, step = transition(points("real"))
    fake = points("fake")[:, None, None]
    found = [adversary(wrong_action=weight).play(history, step, fake, 2, torch_rng(1)) for weight in (0.0, 1.0)]
    assert torch.equal(found[0]["discriminator"], found[1]["discriminator"])


@pytest.mark.parametrize("regularity", ["clip", "spectral"])
def test_projected_weights_stay_where_they_belong(regularity: str) -> None:
    """Before and after every step, and in the average of them, which simulates."""
    game, (history, step) = adversary(regularity=regularity, bound=0.02), transition(points("real"))
    average = Average(game.discriminator, 0.5)
    for _ in range(5):
        for module in (game.discriminator, average.module):
            for weight in (weight for weight in module.parameters() if weight.dim() > 1):
                size = weight.abs().amax() if regularity == "clip" else torch.linalg.matrix_norm(weight, 2)
                assert float(size.detach()) <= (0.02 if regularity == "clip" else 1) + 1e-5
        game.play(history, step, points("fake")[:, None, None], 2, torch_rng(1))["discriminator"].backward()
        game.optimiser.step()
        average.update()


@pytest.mark.parametrize("regularity", REGULARITIES)
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_gan_learns_and_is_loaded_alike_under_every_regularity(regularity: str, precision: str) -> None:
    settings = [f"model.adversary.{setting}" for setting in (f"regularity={regularity}", "warmup=1", "matching=1")]
    config = tiny("gan", f"model.precision={precision}", *settings).model_config()
    made, window = FAMILIES["gan"].learner(dot_spec(), config, 0), dot_window(4, 2, horizon=1)
    metrics = [made.update(window) for _ in range(3)]
    assert all(math.isfinite(value) for value in metrics[-1].values())
    assert metrics[-1]["norm/discriminator"] > 0
    loaded = FAMILIES["gan"].networks(dot_spec(), config, 1)
    loaded.load_state_dict(made.weights())
    assert all(torch.equal(weight, made.weights()[name]) for name, weight in loaded.state_dict().items())


def test_wrong_numbers_and_names_are_refused() -> None:
    with pytest.raises(WorldganError, match="unknown regularity 'slop': did you mean 'slope'"):
        AdversaryConfig(regularity="slop")
    with pytest.raises(WorldganError, match="unknown objective 'wassertein': did you mean 'wasserstein'"):
        AdversaryConfig(objective="wassertein")
    for wrong in ({"bound": 0.0}, {"momentum": 1.0}):
        with pytest.raises(WorldganError, match=r"expected adversary.bound above 0 and adversary.momentum"):
            AdversaryConfig(**wrong)


BATCH = 128


def gaussian(rng: torch.Generator, count: int) -> Tensor:
    """[count, 1] with mean 1 and standard deviation 0.4."""
    return 1 + 0.4 * torch.randn(count, 1, generator=rng)


ANGLES = torch.arange(8) * math.pi / 4
MODES = torch.stack([ANGLES.cos(), ANGLES.sin()], 1)


def ring(rng: torch.Generator, count: int) -> Tensor:
    """[count, 2]: eight modes on the unit circle, each with standard deviation 0.05."""
    return MODES[torch.randint(8, (count,), generator=rng)] + 0.05 * torch.randn(count, 2, generator=rng)


def learnt(draw: Any, updates: int, own: float, **settings: Any) -> Tensor:
    """Samples [5000, D] of an averaged generator after a game over the distribution that ``draw`` draws from.

    own: the generator's learning rate.    settings: of the adversary.
    """
    rng, size = torch_rng(0, "game"), draw(torch_rng(0), 1).shape[1]
    layers = lambda: [nn.Linear(4, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, size)]  # noqa: E731
    generator, game = initialised(lambda: nn.Sequential(*layers()), 1), adversary(size, **settings)
    optimiser = Optimiser(generator, OptimiserConfig(rate=own, warmup=0, clip=100.0), betas=(0.5, 0.99))
    average = Average(generator, 0.99)
    for _ in range(updates):
        history, step = transition(draw(rng, BATCH))
        fake = generator(torch.randn(BATCH, 4, generator=rng))[:, None, None]
        sum(game.play(history, step, fake, 2, rng).values()).backward()
        game.optimiser.step()
        optimiser.step()
        average.update()
    found: Tensor = average.module(torch.randn(5000, 4, generator=rng))
    return found


GAMES: dict[str, dict[str, Any]] = {
    "hinge, slope": {"objective": "hinge", "regularity": "slope"},
    "hinge, spectral": {"objective": "hinge", "regularity": "spectral", "momentum": 0.0},
    "relativistic, gradient": {"objective": "relativistic", "regularity": "gradient"},
    "minimax, gradient": {"objective": "minimax", "regularity": "gradient"},
    "nonsaturating, gradient": {"objective": "nonsaturating", "regularity": "gradient"},
    "least squares": {"objective": "least_squares", "regularity": "none"},
    "wasserstein, interpolated": {"objective": "wasserstein", "regularity": "interpolated", "momentum": 0.0},
    "wasserstein, clip": {"objective": "wasserstein", "regularity": "clip", "bound": 0.05, "momentum": 0.0},
}
COARSE = ["hinge, spectral", "wasserstein, clip"]


def test_every_objective_and_regularity_is_played() -> None:
    assert {game["objective"] for game in GAMES.values()} == set(OBJECTIVES)
    assert {game["regularity"] for game in GAMES.values()} == set(REGULARITIES)


@pytest.mark.parametrize("name", GAMES)
def test_a_gaussian_is_learnt(name: str) -> None:
    found = learnt(gaussian, updates=600, own=1e-3, penalty=0.1, **GAMES[name])
    assert float(found.mean()) == pytest.approx(1, abs=0.08)
    assert float(found.std()) == pytest.approx(0.4, abs=0.12)


@pytest.mark.parametrize("name", [name for name in GAMES if name not in COARSE])
def test_a_ring_is_learnt(name: str) -> None:
    """At least 7 of 8 modes, and most of the samples within three standard deviations of one.

    Evenly spread over the circle, four samples in ten would be. Little more is asked of the Wasserstein distance with
    one step of the discriminator to one of the generator's, where its authors make five; but all modes are.
    """
    slow = name.startswith("wasserstein")
    rates = {"own": 2e-3, "penalty": 0.5} if slow else {"own": 5e-3, "penalty": 0.01}
    found = learnt(ring, updates=1000, **rates, **GAMES[name])
    distance, nearest = torch.cdist(found, MODES).min(1)
    near = distance < 0.15
    assert near.float().mean() > (0.4 if slow else 0.65)
    assert (torch.bincount(nearest[near], minlength=8) / len(found) > 1 / 32).sum() >= 7


@pytest.mark.parametrize("name", COARSE)
def test_the_outline_of_a_ring_is_learnt(name: str) -> None:
    """No side is missing, and the radius is about right.

    With clipped weights or normalised ones a discriminator learns too simple a function for modes this narrow
    (Gulrajani et al. 2017, figure 1; Anil et al. 2019): their samples fill the disc.
    """
    found = learnt(ring, updates=1000, own=1e-3, **GAMES[name])
    sides = torch.bincount(torch.cdist(found, MODES).argmin(1), minlength=8) / len(found)
    assert sides.min() > 0.05
    assert float(found.norm(dim=1).mean()) == pytest.approx(1, abs=0.35)
