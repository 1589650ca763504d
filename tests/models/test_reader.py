"""Laws of reading actions and codes off frames: who learns from what, and that what a frame shows can be read."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from fakes import dot_spec, dot_window
from tiny import tiny
from torch import Tensor, nn

from worldgan.actions import ActionSpec
from worldgan.models import FAMILIES
from worldgan.models.adversary import Adversary, AdversaryConfig, discriminator
from worldgan.models.discriminator import ENCODERS
from worldgan.models.learning import OptimiserConfig, Transition, initialised, transitions
from worldgan.models.objectives import cross_entropies
from worldgan.models.reader import Reader
from worldgan.models.world import History
from worldgan.seeding import torch_rng
from worldgan.types import EnvSpec

CODE = (3, 3)


def adversary(spec: EnvSpec, **settings: Any) -> Adversary:
    """At full weight from the third update on."""
    optimiser = OptimiserConfig(rate=3e-3, warmup=0)
    config = AdversaryConfig(warmup=1, width=16, regularity="none", optimiser=optimiser, **settings)
    return Adversary(initialised(lambda: discriminator(spec, 2, CODE, config), 0), config)


def dots(seed: int, batch: int = 64) -> tuple[History, Transition]:
    history, [step] = transitions(dot_window(batch, 2, horizon=1, seed=seed))
    return history, step


def codes(rows: int, seed: int = 0) -> Tensor:
    return torch.randint(3, (rows, len(CODE)), generator=torch_rng(seed, "codes"))


def test_each_digit_has_its_own_softmax() -> None:
    logits, digits = torch.randn(5, 7, generator=torch_rng(0)), torch.tensor([[0, 3], [1, 0], [2, 2], [0, 0], [1, 1]])
    truth = torch.cat([F.one_hot(digits[:, 0], 3), F.one_hot(digits[:, 1], 4)], dim=1)
    expected = F.cross_entropy(logits[:, :3], digits[:, 0], reduction="none")
    expected = expected + F.cross_entropy(logits[:, 3:], digits[:, 1], reduction="none")
    torch.testing.assert_close(cross_entropies(logits, truth, (3, 4)), expected)


def test_numbers_are_read_as_numbers() -> None:
    reader, features = Reader(16, (2,), numbers=True), torch.randn(3, 16, 2, 2, generator=torch_rng(0))
    told = reader(features).detach()
    assert not reader.misread(features, told).any()
    torch.testing.assert_close(reader.misread(features, told + 1), torch.ones(3))


def test_without_a_weight_nothing_reads() -> None:
    made = discriminator(dot_spec(), 2, CODE, AdversaryConfig(width=16))
    assert not made.readers
    assert not [name for name in made.state_dict() if "reader" in name]


def taught(spec: EnvSpec, **settings: Any) -> Adversary:
    """An adversary that saw real dots move under their actions, and fakes that always stay."""
    game = adversary(spec, **settings)
    for update in range(150):
        history, step = dots(update)
        losses = game.play(history, step, history.last, 2, torch_rng(update), codes(64, update))
        losses["discriminator"].backward()
        game.optimiser.step()
    return game


@pytest.mark.parametrize("kind", ENCODERS)
def test_the_action_is_named_from_a_fake_that_shows_it(kind: str) -> None:
    """And not from the action itself: shown another row's action, the loss is that of naming the wrong one."""
    game, (history, step) = taught(dot_spec(), kind=kind, classifier=1.0), dots(1000)
    showing = game.play(history, step, step.target, 2, torch_rng(0))["classifier"]
    still = game.play(history, step, history.last, 2, torch_rng(0))["classifier"]
    lying = game.play(history, replace(step, action=step.action.roll(1, 1)), step.target, 2, torch_rng(0))["classifier"]
    assert float(showing.detach()) < 0.5
    assert float(still.detach()) > 1
    assert float(lying.detach()) > 2


def test_the_classifier_never_sees_the_action_it_is_to_name() -> None:
    game, (history, step) = adversary(dot_spec(), classifier=1.0), dots(0)
    seen: list[Tensor] = []
    game.discriminator.reader("classifier").register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].detach()))
    for action in (step.action, step.action.roll(1, 1)):
        game.play(history, replace(step, action=action), step.target, 2, torch_rng(0))
    for features in seen:  # a real frame, a fake that is the same, and both again after another action
        torch.testing.assert_close(features, seen[0])
    assert len(seen) == 4
    earlier = History(history.frames, history.actions.roll(1, 2))
    game.play(earlier, step, step.target, 2, torch_rng(0))
    assert not torch.allclose(seen[4], seen[0])  # actions before it may be known


@pytest.mark.parametrize("weights", [{"classifier": 1.0}, {"recogniser": 1.0}])
def test_rows_that_are_not_valid_are_not_read(weights: dict[str, float]) -> None:
    game, (history, step), valid = adversary(dot_spec(), **weights), dots(0), torch.arange(64) % 3 > 0
    found = []
    for noise in (0.0, 1.0):
        gone = noise * ~valid
        spoilt = gone[:, None, None, None] * torch.randn(step.target.shape, generator=torch_rng(1))
        other = replace(step, target=step.target + spoilt, action=step.action + gone[:, None], valid=valid)
        code = torch.where(valid[:, None], codes(64), int(noise))
        found.append(game.play(history, other, history.last + spoilt, 2, torch_rng(0), code))
    for name, loss in found[0].items():
        torch.testing.assert_close(loss, found[1][name])


def moved(loss: Tensor, module: nn.Module) -> bool:
    found = torch.autograd.grad(loss, list(module.parameters()), retain_graph=True, allow_unused=True)
    return any(gradient is not None and bool(gradient.any()) for gradient in found)


def test_the_recogniser_moves_the_code_embedding_and_is_moved_by_the_discriminators_loss() -> None:
    settings = ["model.precision=fp32", "model.adversary.warmup=1", "model.adversary.recogniser=1"]
    config, window = tiny("gan", *settings).model_config(), dot_window(4, 2, horizon=1)
    made: Any = FAMILIES["gan"].learner(dot_spec(), config, 0)
    for _ in range(3):
        made.update(window)
    history, [step] = transitions(window)
    losses, _ = made.losses(history, step)
    code, reader = made.networks.predictor.code, made.networks.discriminator.reader("recogniser")
    assert moved(losses["recogniser"], code)
    assert not moved(losses["recogniser"], reader)
    assert moved(losses["discriminator"], reader)
    assert not moved(losses["discriminator"], code)


def test_a_generator_that_ignores_its_code_is_moved_to_use_it() -> None:
    """Nine codes begin with one frame; only the recogniser asks for more. In the end it knows one from the other."""
    game, table = adversary(dot_spec(), recogniser=1.0, weight=0.0), nn.Embedding(9, 3 * 64)
    nn.init.zeros_(table.weight)
    adam, found = torch.optim.Adam(table.parameters(), 3e-2), []
    for update in range(80):
        (history, step), code = dots(update), codes(64, update)
        fake = history.last + table(code @ torch.tensor([3, 1])).view(-1, 3, 8, 8)
        losses = game.play(history, step, fake, 2, torch_rng(update), code)
        torch.stack(list(losses.values())).sum().backward()
        game.optimiser.step()
        adam.step()
        adam.zero_grad()
        found.append(float(losses["recogniser"].detach()))
    assert found[0] == pytest.approx(2.2, abs=0.2)  # ln 9
    assert found[-1] < 0.2


@pytest.mark.parametrize("kind", ENCODERS)
@pytest.mark.parametrize(
    "actions",
    [
        ActionSpec("discrete", (1,)),
        ActionSpec("multidiscrete", (3, 2)),
        ActionSpec("box", (2,), (-1.0, 0.0), (1.0, 2.0)),
    ],
)
def test_any_action_can_be_asked_for(kind: str, actions: ActionSpec) -> None:
    asked = ["classifier=1", "recogniser=1", "warmup=1", f"kind={kind}"]
    config = tiny("gan", *(f"model.adversary.{setting}" for setting in asked)).model_config()
    learner = FAMILIES["gan"].learner(EnvSpec("any", (9, 8, 3), actions), config, 0)
    window = dot_window(4, 2, horizon=2)
    frames = torch.randint(256, (4, 4, 3, 9, 8), dtype=torch.uint8, generator=torch_rng(0))
    window = replace(window, frames=frames, actions=torch.rand(4, 3, actions.size, generator=torch_rng(1)))
    metrics = [learner.update(window) for _ in range(3)][-1]
    assert all(torch.tensor(list(metrics.values())).isfinite())
    assert metrics["classifier"] > 0 or actions.sizes == (1,)
    assert metrics["recogniser"] > 0
