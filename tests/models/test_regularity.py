"""Laws of what keeps a discriminator from being too steep."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from worldgan.models.learning import Optimiser, OptimiserConfig, initialised
from worldgan.models.regularity import (
    REGULARITIES,
    clip_weights,
    gradient_penalty,
    interpolated_penalty,
    normalise_spectrum,
    slope_penalty,
)
from worldgan.seeding import torch_rng


def network() -> nn.Module:
    """Frames [B, 2, 4, 4] -> logits [B, 1]."""
    layers = lambda: [nn.Conv2d(2, 6, 3, padding=1), nn.SiLU(), nn.Flatten(), nn.Linear(96, 1)]  # noqa: E731
    return initialised(lambda: nn.Sequential(*layers()), 3)


def judge(frames: Tensor) -> Tensor:
    return network()(frames)[:, 0]


FRAMES, OTHERS = (torch.randn(5, 2, 4, 4, generator=torch_rng(0, name)) for name in ("frames", "others"))


def test_the_slope_penalty_estimates_the_gradient_penalty() -> None:
    exact = gradient_penalty(judge, FRAMES)
    many = FRAMES.repeat_interleave(10_000, 0)
    found = slope_penalty(judge, many, judge(many), torch_rng(0, "noise"), nudge=1e-2)
    assert exact.shape == (5,)
    # The square of a normal number has standard deviation sqrt(2): 1.4 % of the mean of 10 000.
    torch.testing.assert_close(found.view(5, -1).mean(1), exact, rtol=0.05, atol=0)


def test_the_gradient_penalty_is_half_the_squared_gradient() -> None:
    slope = torch.arange(32.0).view(2, 4, 4)
    found = gradient_penalty(lambda x: (x * slope).sum((1, 2, 3)), FRAMES)
    assert found.tolist() == pytest.approx([float(slope.square().sum()) / 2] * 5)


def test_the_interpolated_penalty_is_zero_at_slope_one_and_two_sided() -> None:
    tilt = lambda steepness: lambda x: steepness * x.sum((1, 2, 3)) / 32**0.5  # noqa: E731
    for steepness, expected in ((0.0, 1.0), (0.5, 0.25), (1.0, 0.0), (3.0, 4.0)):
        found = interpolated_penalty(tilt(torch.tensor(steepness)), FRAMES, OTHERS, torch_rng(0))
        assert found.tolist() == pytest.approx([expected] * 5, abs=1e-4)


def test_the_interpolated_penalty_looks_between_the_frames() -> None:
    seen: list[Tensor] = []
    interpolated_penalty(lambda x: seen.append(x.detach()) or judge(x), FRAMES, OTHERS, torch_rng(0))
    line = OTHERS - FRAMES
    share = ((seen[0] - FRAMES) * line).sum((1, 2, 3), keepdim=True) / line.square().sum((1, 2, 3), keepdim=True)
    torch.testing.assert_close(seen[0], torch.lerp(FRAMES, OTHERS, share))
    assert ((share > 0) & (share < 1)).all()
    assert len(set(share.flatten().tolist())) == 5  # each row has its own


def test_a_flat_judge_has_no_slope() -> None:
    flat = lambda x: 0 * x.sum((1, 2, 3))  # noqa: E731
    assert not slope_penalty(flat, FRAMES, torch.zeros(5), torch_rng(1)).any()
    assert not gradient_penalty(flat, FRAMES).any()


@pytest.mark.parametrize("kind", ["slope", "gradient", "interpolated"])
def test_a_steep_judge_learns_to_be_flatter(kind: str) -> None:
    steepness = torch.tensor(2.0, requires_grad=True)
    steep = lambda x: steepness * x.sum((1, 2, 3))  # noqa: E731
    penalty = {
        "slope": lambda: slope_penalty(steep, FRAMES, steep(FRAMES), torch_rng(1)),
        "gradient": lambda: gradient_penalty(steep, FRAMES),
        "interpolated": lambda: interpolated_penalty(steep, FRAMES, OTHERS, torch_rng(1)),
    }[kind]()
    [gradient] = torch.autograd.grad(penalty.mean(), steepness)
    assert gradient > 0


@pytest.mark.parametrize("kind", ["gradient", "interpolated"])
def test_double_backward_agrees_with_finite_differences(kind: str) -> None:
    model, frames, others = network().double(), FRAMES.double(), OTHERS.double()
    names = list(dict(model.named_parameters()))

    def penalty(*weights: Tensor) -> Tensor:
        judge = lambda x: torch.func.functional_call(model, dict(zip(names, weights, strict=True)), (x,))[:, 0]  # noqa: E731
        if kind == "gradient":
            return gradient_penalty(judge, frames)
        return interpolated_penalty(judge, frames, others, torch_rng(2))

    assert torch.autograd.gradcheck(penalty, tuple(model.parameters()), fast_mode=True)


def test_clipped_weights_are_within_bounds_and_others_untouched() -> None:
    model, before = network(), network()
    clip_weights(model, 0.1)
    for weight, old in zip(model.parameters(), before.parameters(), strict=True):
        assert torch.equal(weight, old.clamp(-0.1, 0.1))


def test_normalised_weights_are_what_spectral_normalisation_uses() -> None:
    model, reference = network(), network()
    normalise_spectrum(model)
    for layer, plain in zip(model, reference, strict=True):
        if not isinstance(layer, nn.Conv2d | nn.Linear):
            continue
        with torch.random.fork_rng(devices=[]):
            wrapped = spectral_norm(plain, n_power_iterations=200)
        assert torch.linalg.matrix_norm(layer.weight.flatten(1), 2).item() == pytest.approx(1, rel=1e-4)
        torch.testing.assert_close(layer.weight, wrapped.weight, rtol=1e-3, atol=1e-5)
        torch.testing.assert_close(layer.bias, wrapped.bias)


def test_broken_weights_are_no_error_here() -> None:
    """The trainer sees them in the metrics and stops."""
    model = network()
    nn.init.constant_(model[0].weight, float("nan"))
    normalise_spectrum(model)
    assert model[0].weight.isnan().all()


def test_without_momentum_the_optimiser_is_rmsprop() -> None:
    """But for the correction of bias, which is gone after a while."""
    ours, theirs = nn.Linear(6, 1), nn.Linear(6, 1)
    theirs.load_state_dict(ours.state_dict())
    one = Optimiser(ours, OptimiserConfig(rate=1e-4, warmup=0, clip=1e6), betas=(0.0, 0.99))
    two = torch.optim.RMSprop(theirs.parameters(), 1e-4, alpha=0.99)
    rng = torch_rng(0, "gradients")
    for _ in range(600):
        gradients = [torch.randn(weight.shape, generator=rng) for weight in ours.parameters()]
        before = [[w.detach().clone() for w in layer.parameters()] for layer in (ours, theirs)]
        for layer in (ours, theirs):
            for weight, gradient in zip(layer.parameters(), gradients, strict=True):
                weight.grad = gradient.clone()
        one.step()
        two.step()
    for layer, old in ((ours, before[0]), (theirs, before[1])):
        for weight, was in zip(layer.parameters(), old, strict=True):
            was.sub_(weight.detach())
    for a, b in zip(*before, strict=True):
        torch.testing.assert_close(a, b, rtol=5e-3, atol=1e-6)


def test_regularities_are_penalties_or_projections_or_nothing() -> None:
    assert not any(REGULARITIES["none"])
    assert all(
        (one.penalty is None) != (one.projection is None) for name, one in REGULARITIES.items() if name != "none"
    )
