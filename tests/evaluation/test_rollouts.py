from dataclasses import dataclass, replace

import pytest
import torch
from fakes import PerfectModel, dot_spec, dot_window, draw
from torch import Tensor

from worldgan.errors import WorldganError
from worldgan.evaluation.frames import PSNR_CEILING
from worldgan.evaluation.rollouts import event_metrics, measure
from worldgan.rollout import Rollout, copy_last, rollout
from worldgan.types import Prediction, Window


def imagine(window: Window, seed: int = 0, **options: int) -> Rollout:
    return rollout(PerfectModel(window.context), window, torch.Generator().manual_seed(seed), **options)


@pytest.mark.parametrize("context", [1, 2, 4])
def test_perfect_dynamics_have_no_error(context: int) -> None:
    window = dot_window(200, context, horizon=8)
    curves = measure(imagine(window, batch=64), window)
    assert all(len(values) == 8 for values in curves.values())
    assert set(curves["psnr"]) == {PSNR_CEILING}
    assert set(curves["changed_pixel_error"]) == set(curves["reward_mae"]) == {0.0}
    assert {1.0} == set(curves["reward_accuracy"]) == set(curves["reward_recall"]) == set(curves["reward_precision"])
    assert set(curves["sharpness_gradient"]) == set(curves["sharpness_laplacian"]) - {None} == {1.0}
    assert curves["ssim"] == pytest.approx([1.0] * 8, abs=1e-6)
    assert set(curves["termination_accuracy"]) == {1.0}
    assert set(curves["termination_recall"]) - {None} == {1.0}


@pytest.mark.parametrize("shift", [-1, 1])
def test_an_action_too_early_or_late_is_seen(shift: int) -> None:
    window = dot_window()
    late = replace(window, actions=window.actions.roll(shift, 1))
    curves = measure(imagine(late), window)
    assert min(value for value in curves["changed_pixel_error"] if value is not None) > 0
    assert max(value for value in curves["psnr"] if value is not None) < PSNR_CEILING


def test_invalid_transitions_do_not_count() -> None:
    window = dot_window(200, horizon=8)
    assert not window.valid.all()
    good = imagine(window)
    wrong = ~window.valid[:, window.context - 1 :]
    bad = Rollout(
        torch.where(wrong[..., None, None, None], 255 - good.frames, good.frames),
        torch.where(wrong, 7.0, good.rewards),
        torch.where(wrong, 1 - good.terminated, good.terminated),
    )
    assert measure(bad, window) == measure(good, window)
    assert event_metrics(bad, window) == event_metrics(good, window)
    assert measure(bad, window)["windows"] == window.valid[:, window.context - 1 :].sum(0).tolist()


def test_nothing_valid_means_no_values() -> None:
    window = dot_window(4)
    nothing = replace(window, valid=torch.zeros_like(window.valid))
    curves = measure(imagine(window), nothing)
    assert set(curves.pop("windows")) == {0.0}
    assert {value for values in curves.values() for value in values} == {None}


def test_copy_last_keeps_the_last_context_frame() -> None:
    window = dot_window()
    copied = copy_last(window)
    assert torch.equal(copied.frames, window.frames[:, 1:2].expand_as(copied.frames))
    assert not copied.rewards.any()
    assert not copied.terminated.any()
    curves = measure(copied, window)
    assert all(value > 100 for value in curves["changed_pixel_error"] if value is not None)
    assert set(curves["reward_recall"]) == {0.0}
    assert set(curves["reward_precision"]) == {None}


def test_event_metrics_of_a_known_case() -> None:
    window = dot_window(1, context=1, horizon=4)
    real = replace(
        window,
        rewards=torch.tensor([[1.0, 0.0, -1.0, 0.0]]),
        terminated=torch.tensor([[False, False, False, True]]),
        valid=torch.ones_like(window.valid),
    )
    guess = replace(
        copy_last(real),
        rewards=torch.tensor([[0.6, 0.1, 0.6, -0.9]]),
        terminated=torch.tensor([[0.9, 0, 0, 0.6]]),
    )
    found = event_metrics(guess, real)
    assert found == pytest.approx({
        "reward_accuracy": 2 / 4, "reward_recall": 1 / 2, "reward_precision": 1 / 3, "reward_mae": 3.0 / 4,
        "termination_accuracy": 3 / 4, "termination_recall": 1.0, "termination_false_alarm": 1 / 3,
    })  # fmt: skip
    assert event_metrics(guess, real, dead_zone=0.05)["reward_accuracy"] == 1 / 4
    endless = replace(real, terminated=torch.zeros_like(real.terminated))
    assert event_metrics(guess, endless)["termination_accuracy"] is None
    assert set(measure(guess, endless)["termination_accuracy"]) == {None}


@dataclass(frozen=True)
class Wanderer(PerfectModel):
    """Moves the dot at random whatever the action."""

    def step(self, state: Tensor, action: Tensor, generator: torch.Generator) -> tuple[Prediction, Tensor]:
        guess = torch.eye(5)[torch.randint(5, (len(state),), generator=generator)]
        return super().step(state, guess, generator)


def test_best_of_many_samples_takes_the_nearest_per_window_and_horizon() -> None:
    window, generator = dot_window(64, horizon=3), torch.Generator().manual_seed(1)
    first, *more = [rollout(Wanderer(), window, generator) for _ in range(16)]
    single, best = measure(first, window), measure(first, window, best_of=more)
    assert single["changed_pixel_error"] == best["changed_pixel_error"] == single["changed_pixel_error_best"]
    assert best["changed_pixel_error_best"][0] < 0.2 * best["changed_pixel_error"][0]
    perfect = measure(first, window, best_of=[imagine(window)])
    assert set(perfect["changed_pixel_error_best"]) == {0.0}


def test_energy_score_takes_all_samples_and_copying_gets_one() -> None:
    window, generator = dot_window(256, horizon=3), torch.Generator().manual_seed(1)
    first, *more = [rollout(Wanderer(), window, generator) for _ in range(16)]
    assert measure(copy_last(window), window)["energy_score"] == [1.0] * 3
    assert measure(imagine(window), window, best_of=[imagine(window)])["energy_score"] == [0.0] * 3
    # The wanderer has the odds of a player at random: one guess misses as often as copying, 4 times of 5, and so far
    # are two guesses apart.
    assert measure(first, window)["energy_score"][0] == pytest.approx(1, abs=0.15)
    assert measure(first, window, best_of=more)["energy_score"][0] == pytest.approx(0.5, abs=0.1)


def test_energy_score_bears_windows_in_which_nothing_moves() -> None:
    now, after, guess = (
        draw(torch.tensor(places), dot_spec()) for places in ([[1, 1]] * 2, [[2, 2], [1, 1]], [[5, 5]] * 2)
    )
    window = replace(dot_window(2, context=1, horizon=1), frames=torch.stack([now, after], 1))
    wrong = replace(copy_last(window), frames=guess[:, None])
    assert measure(wrong, window)["energy_score"] == [pytest.approx(2)]  # two misses, of which copying makes one
    still = replace(window, frames=torch.stack([now, now], 1))
    assert measure(wrong, still)["energy_score"] == measure(copy_last(still), still)["energy_score"] == [None]


def test_same_generator_same_bytes() -> None:
    window = dot_window()
    a, b = (rollout(Wanderer(), window, torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(a.frames, b.frames)
    assert a.frames.dtype == torch.uint8


def test_the_fake_can_be_branched() -> None:
    window, generator = dot_window(3), torch.Generator()
    model = PerfectModel()
    state = model.start(window.frames[:, :2], window.actions[:, :1])
    twice = model.index(state, torch.tensor([2, 2, 0]))
    expected, _ = model.step(state, window.actions[:, 1], generator)
    outcomes = model.outcomes(twice, window.actions[[2, 2, 0], 1], 4, generator)
    assert torch.equal(outcomes.frames[:, 0], expected.frame[[2, 2, 0]])
    assert outcomes.probability.sum(1).eq(1).all()


def test_misfits_are_named() -> None:
    window = dot_window(context=3)
    with pytest.raises(WorldganError, match="2 context frames"):
        rollout(PerfectModel(2), window, torch.Generator())
    with pytest.raises(WorldganError, match="expected a rollout"):
        measure(imagine(window), window.first(2))
