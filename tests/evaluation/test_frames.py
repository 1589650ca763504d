from collections.abc import Callable, Sequence

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from worldgan.errors import WorldganError
from worldgan.evaluation import frames


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8))


def blurred(images: Tensor) -> Tensor:
    blur = [cv2.GaussianBlur(image.numpy(), (5, 5), 1.0) for image in images.flatten(0, -3)]
    return torch.from_numpy(np.stack(blur)).view(images.shape)


@pytest.mark.parametrize("channels", [1, 2, 3, 7])
def test_identical_frames_are_perfect(channels: int) -> None:
    real = noise(2, 3, channels, 16, 12)
    assert frames.psnr(real, real).eq(frames.PSNR_CEILING).all()
    torch.testing.assert_close(frames.ssim(real, real), torch.ones(2, 3))
    torch.testing.assert_close(torch.stack(frames.sharpness(real, real)), torch.ones(2))


@pytest.mark.parametrize(("side", "size"), [(10, 9), (5, 5)])
def test_ssim_of_small_frames_equals_the_textbook_formula_computed_by_opencv(side: int, size: int) -> None:
    real = noise(3, side, side)
    other = (real.float() * 0.7 + noise(3, side, side, seed=1).float() * 0.3).to(torch.uint8)

    def mean(plane: np.ndarray) -> np.ndarray:
        edge = size // 2
        return cv2.GaussianBlur(plane, (size, size), 1.5)[edge : side - edge, edge : side - edge]

    values = []
    for x, y in zip(other.numpy().astype(np.float64), real.numpy().astype(np.float64), strict=True):
        mx, my = mean(x), mean(y)
        vx, vy, cov = mean(x * x) - mx**2, mean(y * y) - my**2, mean(x * y) - mx * my
        c1, c2 = 6.5025, 58.5225
        values.append((2 * mx * my + c1) * (2 * cov + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2)))
    assert float(frames.ssim(other, real)) == pytest.approx(np.mean(values), abs=1e-5)


def test_blur_lowers_sharpness_and_noise_raises_it() -> None:
    real = blurred(noise(4, 3, 16, 16))
    soft, rough = frames.sharpness(blurred(real), real), frames.sharpness(noise(4, 3, 16, 16), real)
    assert max(soft) < 0.8
    assert min(rough) > 1.2
    assert soft[1] < soft[0]  # the Laplacian sees fine detail, which blur takes first


def test_energies_of_a_single_pixel() -> None:
    dot = torch.zeros(1, 5, 5, dtype=torch.uint8)
    dot[0, 2, 2] = 10
    assert float(frames.gradient_energy(dot)) == 4 * 100
    assert float(frames.laplacian_energy(dot)) == 1600 + 4 * 100


def test_changed_pixel_error_sees_changed_pixels_alone() -> None:
    before = noise(2, 3, 6, 6) // 2
    real = before.clone()
    real[0, 1, 2, 3] += 100  # one channel of one pixel of the first frame
    elsewhere = real.clone()
    elsewhere[:, :, 0, 0] += 50
    assert frames.changed_pixel_error(real, real, before)[0] == 0
    assert frames.changed_pixel_error(elsewhere, real, before)[0] == 0
    assert frames.changed_pixel_error(before, real, before)[0] == pytest.approx(100 / 3)
    assert frames.changed_pixel_error(before, real, before).isnan().tolist() == [False, True]
    assert frames.changed_pixel_error(before, real, before, threshold=100).isnan().all()


Rule = Callable[[Sequence[Tensor], Tensor], Tensor]
PLACES = torch.eye(3).mul(255).to(torch.uint8).view(3, 1, 1, 3)
"""A dot in one of the three places of a line."""
ODDS = torch.tensor([0.6, 0.3, 0.1], dtype=torch.float64)
MEAN = torch.einsum("m, mchw -> chw", ODDS, PLACES.double()).round().to(torch.uint8)[None]


def expected(rule: Rule, guesses: Tensor, odds: Sequence[float]) -> float:
    """Exact, of two samples of a distribution over guesses, where the true one is ODDS over PLACES."""
    a, b, y = torch.cartesian_prod(*map(torch.arange, (len(guesses), len(guesses), len(PLACES)))).unbind(1)
    likely = torch.tensor(odds, dtype=torch.float64)
    return float((likely[a] * likely[b] * ODDS[y] * rule([guesses[a], guesses[b]], PLACES[y])).sum())


def squared_error(samples: Sequence[Tensor], real: Tensor) -> Tensor:
    return torch.stack([(each.float() - real.float()).square().sum((-3, -2, -1)) for each in samples]).mean(0)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_energy_score_of_a_single_guess_is_its_distance(count: int) -> None:
    real = noise(2, 3, 4, 4) // 2
    guess = real.clone()
    guess[0, 0, 0, 0] += 3
    guess[0, 2, 3, 1] += 4
    assert frames.energy_score([guess] * count, real).tolist() == [5, 0]


def test_samples_of_the_truth_have_the_best_energy_score_and_not_the_least_squared_error() -> None:
    truth = expected(frames.energy_score, PLACES, ODDS.tolist())
    for odds in ([1.0, 0, 0], [0.8, 0.2, 0], [0.5, 0.3, 0.2], [1 / 3] * 3):
        assert truth < expected(frames.energy_score, PLACES, odds) - 1
    assert truth < expected(frames.energy_score, MEAN, [1.0]) - 1
    assert expected(squared_error, MEAN, [1.0]) < expected(squared_error, PLACES, ODDS.tolist()) - 1


@pytest.mark.parametrize("count", [2, 3, 6])
def test_energy_score_expects_the_same_of_few_samples_and_many(count: int) -> None:
    luck = torch.Generator().manual_seed(count)
    drawn = torch.multinomial(ODDS.expand(count + 1, 3), 20_000, replacement=True, generator=luck)
    real, *samples = PLACES[drawn].unbind()
    apart = float(1 - ODDS.square().sum()) * 255 * 2**0.5  # of two draws, on average
    assert float(frames.energy_score(samples, real).mean()) == pytest.approx(apart / 2, abs=5)  # standard error: 1


def test_floats_and_broadcasts_are_refused() -> None:
    real = noise(2, 3, 8, 8)
    with pytest.raises(WorldganError, match="expected uint8"):
        frames.psnr(real.float() / 127.5 - 1, real)
    with pytest.raises(WorldganError, match=r"\[2, 3, 8, 8\]"):
        frames.ssim(real[:1], real)
