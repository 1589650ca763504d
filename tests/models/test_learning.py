"""What all learners share: the model's own rollout, averaged weights, and steps that count or do not."""

from __future__ import annotations

import pytest
import torch
from fakes import dot_window
from torch import Tensor, nn

from worldgan.models.learning import Average, Optimiser, OptimiserConfig, Transition, frozen, learn_from_rollout
from worldgan.models.world import History
from worldgan.pixels import quantise, to_float
from worldgan.seeding import torch_rng


class Spy:
    """Losses that note what they are given and predict noise."""

    def __init__(self) -> None:
        self.weight = torch.ones((), requires_grad=True)
        self.seen: list[tuple[History, Transition]] = []
        self.predicted: list[Tensor] = []

    def __call__(self, history: History, step: Transition) -> tuple[dict[str, Tensor], Tensor]:
        self.seen.append((history, step))
        frame = self.weight * torch.randn(history.last.shape, generator=torch_rng(len(self.seen)))
        self.predicted.append(frame)
        return {"error": step.mean((frame - step.target).square().mean((1, 2, 3)))}, frame


def test_a_rollout_continues_from_its_own_predictions() -> None:
    window, spy = dot_window(5, context=3, horizon=4), Spy()
    metrics = learn_from_rollout(window, spy, "fp32")
    frames = to_float(window.frames)
    assert len(spy.seen) == window.horizon
    for t, (history, step) in enumerate(spy.seen):
        own = [quantise(frame.detach()) for frame in spy.predicted[:t]]
        expected = [*frames[:, t:3].unbind(1), *own][-3:]
        assert torch.equal(history.frames, torch.stack(expected, 1))
        assert torch.equal(history.actions, window.actions[:, t : t + 2])
        assert torch.equal(step.target, frames[:, 3 + t])
        assert torch.equal(step.action, window.actions[:, 2 + t])
        assert torch.equal(step.reward, window.rewards[:, 2 + t])
        assert torch.equal(step.terminated, window.terminated[:, 2 + t])
        assert torch.equal(step.valid, window.valid[:, 2 + t])
    errors = [step.mean((f.detach() - step.target).square().mean((1, 2, 3))) for f, (_, step) in
              zip(spy.predicted, spy.seen, strict=True)]  # fmt: skip
    assert metrics["error"] == pytest.approx(float(torch.stack(errors).mean()), rel=1e-5)
    assert spy.weight.grad is not None


def test_what_is_fed_back_is_cut_off_and_on_the_levels_of_a_real_frame() -> None:
    frames = torch.randn(2, 3, 1, 4, 4)
    history = History(frames, torch.randn(2, 2, 5))
    frame, action = torch.randn(2, 1, 4, 4, requires_grad=True), torch.randn(2, 5)
    after = history.push(action, frame)
    assert not after.frames.requires_grad
    assert torch.equal(after.last, quantise(frame.detach()))
    assert torch.equal(after.frames[:, :-1], frames[:, 1:])
    assert torch.equal(after.actions, torch.stack([history.actions[:, 1], action], 1))
    assert torch.equal(history.frames, frames)


def test_steps_that_are_not_valid_do_not_count() -> None:
    step = Transition(*torch.zeros(4, 3), torch.tensor([True, False, True]), torch.tensor(1.0))
    assert float(step.mean(torch.tensor([1.0, 100.0, 3.0]))) == 2.0
    nothing = Transition(*torch.zeros(4, 3), torch.zeros(3, dtype=torch.bool), torch.tensor(1.0))
    assert float(nothing.mean(torch.ones(3))) == 0.0


def point(value: float) -> nn.Linear:
    layer = nn.Linear(1, 1, bias=False)
    nn.init.constant_(layer.weight, value)
    return layer


def test_averages_are_between_old_and_new() -> None:
    source = point(0.0)
    average = Average(source, 0.9)
    assert average.module.weight.data_ptr() != source.weight.data_ptr()
    assert not average.module.weight.requires_grad
    before = 0.0
    for step in range(1, 200):
        nn.init.constant_(source.weight, float(step))
        average.update()
        now = float(average.module.weight)
        assert before < now < step
        before = now
    assert before == pytest.approx(199 - 0.9 / 0.1, rel=1e-3)  # lags a ramp by decay / (1 - decay)


def test_early_weights_are_forgotten_soon() -> None:
    source = point(1000.0)
    average = Average(source, 0.999)
    nn.init.constant_(source.weight, 1.0)
    for _ in range(20):
        average.update()
    assert float(average.module.weight) == pytest.approx(1.0, abs=1.0)


def test_without_decay_the_average_is_the_source() -> None:
    source = nn.Conv2d(2, 2, 3)
    average = Average(source, 0.0)
    nn.init.ones_(source.weight)
    average.update()
    torch.testing.assert_close(average.module.weight, source.weight.detach())


def test_running_statistics_are_averaged_with_the_weights() -> None:
    source = nn.BatchNorm1d(2)
    average = Average(source, 0.5)
    source(torch.tensor([[1.0, 5.0], [3.0, 9.0]]))
    average.update()
    now, then = average.module.running_mean, source.running_mean
    assert now is not None
    assert then is not None
    assert ((now > 0) & (now < then)).all()
    for _ in range(60):
        average.update()
    torch.testing.assert_close(now, then)


def test_the_optimiser_warms_up_clips_and_clears() -> None:
    layer = point(1.0)
    optimiser = Optimiser(layer, OptimiserConfig(rate=0.1, warmup=4, clip=0.5))
    moves = []
    for _ in range(6):
        before = float(layer.weight.detach())
        (1e3 * layer.weight.sum()).backward()
        assert optimiser.step() == pytest.approx(1e3)
        assert layer.weight.grad is None
        moves.append(before - float(layer.weight.detach()))
    assert moves == pytest.approx([0.025, 0.05, 0.075, 0.1, 0.1, 0.1], rel=0.02)


def test_a_frozen_module_passes_gradients_on_and_keeps_none() -> None:
    layer, x = point(3.0), torch.ones(1, 1, requires_grad=True)
    with frozen(layer):
        layer(x).sum().backward()
    assert layer.weight.grad is None
    assert x.grad is not None
    assert float(x.grad) == 3.0
    assert layer.weight.requires_grad
