"""Laws of every kind of backbone."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, get_args

import pytest
import torch
import torch.nn.functional as F
from fakes import dot_spec, dot_window
from tiny import tiny
from torch import Tensor

from worldgan.actions import ActionSpec
from worldgan.background import watch
from worldgan.errors import WorldganError
from worldgan.models import FAMILIES
from worldgan.models.autoregressive import AutoregressiveConfig
from worldgan.models.backbone import BackboneConfig, Kind
from worldgan.models.backbones import BACKBONES, backbone
from worldgan.models.diffusion import DiffusionConfig
from worldgan.models.learning import initialised, transitions
from worldgan.models.stacked import Stacked
from worldgan.seeding import torch_rng
from worldgan.types import EnvSpec

each = pytest.mark.parametrize("kind", BACKBONES)
SEE_CELLS = {"diffusion", "autoregressive"}
PAIRS = [(family, kind) for family in FAMILIES for kind in BACKBONES if family not in SEE_CELLS or kind != "dcgan"]


def learner(family: str, kind: str, *more: str, seed: int = 0) -> Any:
    config = tiny(family, f"model.backbone.kind={kind}", "model.precision=fp32", *more).model_config()
    return FAMILIES[family].learner(dot_spec(), config, seed)


def quick(kind: str) -> Any:
    """Everything is at work within a few updates."""
    settings = ("explore=20", "adversary.warmup=20", "events=2", "kinds=2", "optimiser.rate=3e-3", "average=0.9")
    return learner("gan", kind, *(f"model.{each}" for each in settings))


def test_every_kind_can_be_asked_for() -> None:
    assert set(BACKBONES) == set(get_args(Kind))


@pytest.mark.parametrize(("side", "grid"), [(10, 10), (50, 16), (64, 16)])
def test_frames_are_padded_to_what_their_grid_is_halved_to(side: int, grid: int) -> None:
    spec = EnvSpec("any", (side, side, 3), ActionSpec("discrete", (3,)))
    assert backbone(spec, BackboneConfig(2, 16)).grid == (grid, grid)


@each
@pytest.mark.parametrize("shape", [(8, 8, 1), (17, 12, 3), (64, 64, 3)])
def test_a_backbone_paints_what_families_build_on(kind: Kind, shape: tuple[int, int, int]) -> None:
    spec, (height, width, channels) = EnvSpec("any", shape, ActionSpec("discrete", (3,))), shape
    made = initialised(lambda: backbone(spec, BackboneConfig(2, 16, kind)), 0)  # type: ignore[type-var]
    frames = torch.randn(3, 2, channels, height, width, generator=torch_rng(0))
    seen, chance = made.see(frames, torch.eye(3)[:, None].repeat(1, 2, 1)), torch.randn(3, 16, generator=torch_rng(1))
    hidden = made.hidden(seen, chance)
    painted, mask, touch = made.paint(hidden)
    assert seen.features.shape[:2] == (3, 16)
    assert hidden.shape == (3, 16, *made.patches.grid)
    assert painted.shape == (3, channels * made.cell, *made.patches.grid)
    assert mask.shape == (3, made.cell, *made.patches.grid)
    assert touch.shape == painted.shape
    last = torch.ones_like(seen.last)
    assert torch.equal(made.settle(last - 0.01, last), last)
    decoded = made.patches.inverse(made.decode(seen, chance))
    assert decoded.shape == frames[:, -1].shape
    assert torch.equal(decoded, made.patches.inverse(made.show(hidden, seen.last)))
    assert not torch.equal(decoded, made.patches.inverse(made.decode(seen, chance + 1)))


@each
def test_a_background_that_all_frames_share_tells_nothing(kind: Kind) -> None:
    spec = EnvSpec("any", (8, 8, 3), ActionSpec("discrete", (3,)))
    objects, actions = torch.zeros(2, 2, 3, 8, 8), torch.eye(3)[:2, None].repeat(1, 2, 1)
    objects[0, :, :, 2, 5] = 1
    seen = []
    for background in (torch.full((1, 3, 8, 8), -1.0), torch.randn(1, 3, 8, 8, generator=torch_rng(0))):
        made = initialised(lambda: backbone(spec, BackboneConfig(2, 16, kind=kind)), 0).eval()
        watch(background, made)
        seen.append(made.see(objects + background[:, None], actions).features)
    torch.testing.assert_close(*seen, atol=1e-4, rtol=1e-4)
    assert not torch.allclose(seen[0][0], seen[0][1], atol=1e-2)


@pytest.mark.parametrize(("family", "kind"), PAIRS)
def test_every_family_learns_and_is_loaded_alike_with_every_kind(family: str, kind: str) -> None:
    """Exact resume, and the same frames from the saved weights alone."""
    window = dot_window(4, 2, horizon=2)
    saved, resumed = (learner(family, kind, seed=seed) for seed in (1, 2))
    for _ in range(2):
        saved.update(window)
    resumed.load_state_dict(copy.deepcopy(saved.state_dict()))
    assert saved.update(window) == resumed.update(window)
    weights, model = saved.weights(), saved.world_model()
    assert all(torch.equal(weights[name], tensor) for name, tensor in resumed.weights().items())
    loaded = learner(family, kind, seed=3).world_model()
    loaded.networks.load_state_dict(weights)
    assert torch.equal(frames(model, 4), frames(loaded, 4))


def frames(model: Any, rows: int, first: int = 0) -> Tensor:
    """The most probable next frames of so many rows, before they are rounded to grey levels: [rows, C, H, W]."""
    window, chosen = dot_window(8, 2, horizon=1), slice(first, first + rows)
    history, [step] = transitions(window)
    history = history.index(torch.arange(8)[chosen])
    found, _ = model.predictor.candidates(history.frames, history.then(step.action[chosen]), 1, torch_rng(0))
    return found.detach()[:, 0]


@each
def test_a_row_is_simulated_as_if_it_were_alone(kind: str) -> None:
    made = learner("gan", kind)
    for seed in range(3):
        made.update(dot_window(8, 2, horizon=1, seed=seed))
    together = frames(made.world_model(), 8)
    for row in range(8):
        torch.testing.assert_close(frames(made.world_model(), 1, row), together[[row]], atol=1e-5, rtol=1e-4)


@each
def test_simulating_changes_nothing_in_the_model(kind: str) -> None:
    made = learner("gan", kind)
    made.update(dot_window(8, 2, horizon=1))
    before = copy.deepcopy(made.weights())
    frames(made.world_model(), 8)
    assert all(torch.equal(before[name], tensor) for name, tensor in made.weights().items())


@pytest.mark.parametrize("kind", ["stacked", "dcgan"])  # the U-Net's turn is in test_families
def test_one_batch_can_be_learnt_by_heart(kind: str) -> None:
    """What simulates draws it too: running statistics and averages of the weights fit each other."""
    made, window = quick(kind), dot_window(8, 2, horizon=1)
    metrics = [made.update(window) for _ in range(120)]
    assert metrics[0]["reconstruction"] > 0.8
    assert sum(one["reconstruction"] for one in metrics[-5:]) / 5 < 0.1
    _, [step] = transitions(window)
    errors = (frames(made.world_model(), 8) - step.target).square().mean((1, 2, 3))
    assert float(step.mean(errors) / step.scale) < 0.15


@each
def test_half_precision_trains_and_simulates(kind: str) -> None:
    made, window = learner("gan", kind, "model.precision=bf16"), dot_window(4, 2, horizon=2)
    assert made.update(window)["reconstruction"] == pytest.approx(
        learner("gan", kind).update(window)["reconstruction"], rel=0.1
    )
    model = made.world_model()
    model.networks.bfloat16()
    state = model.start(window.frames[:, :2], window.actions[:, :1])
    prediction, _ = model.step(state, window.actions[:, 1], torch_rng(0))
    assert prediction.frame.dtype == torch.float32
    assert prediction.frame.isfinite().all()


@pytest.mark.parametrize("side", [32, 64])
def test_kinds_are_of_about_one_size(side: int) -> None:
    """Stage one is an eighth of a small U-Net; of the one for 64 pixels it is a twentieth."""
    spec, sizes = EnvSpec("x", (side, side, 3), ActionSpec("discrete", (6,))), {}
    for kind in BACKBONES:
        sizes[kind] = sum(weight.numel() for weight in backbone(spec, BackboneConfig(kind=kind)).parameters())  # type: ignore[attr-defined]
    for size in sizes.values():
        assert size / sizes["unet"] == pytest.approx(1, abs=0.13 if side == 32 else 0.05)


@pytest.mark.parametrize("config", [AutoregressiveConfig, DiffusionConfig])
def test_families_that_see_cells_say_so(config: Callable[..., Any]) -> None:
    with pytest.raises(WorldganError, match="unet or stacked, whose head sees every pixel, got dcgan"):
        config(backbone=BackboneConfig(kind="dcgan"))


def stacked(shape: tuple[int, int, int]) -> Stacked:
    return Stacked(EnvSpec("any", shape, ActionSpec("discrete", (3,))), BackboneConfig(2, 16, "stacked"))


@pytest.mark.parametrize("shape", [(8, 8, 1), (32, 32, 3), (64, 48, 3)])
def test_stage_one_paints_what_area_averaging_leaves(shape: tuple[int, int, int]) -> None:
    made, frame = stacked(shape), torch.randn(2, shape[2], *shape[:2], generator=torch_rng(0))
    half = F.pixel_shuffle(made.halved(made.patches(frame)), made.patches.side)
    torch.testing.assert_close(half, F.avg_pool2d(frame, 2))


def test_stage_one_has_its_own_error_which_falls() -> None:
    made, window = quick("stacked"), dot_window(8, 2, horizon=1)
    history, [step] = transitions(window)
    loss = made.losses(history, step)[0]["sketch"]
    loss.backward()
    one, two = made.networks.predictor.backbone, made.networks.predictor.backbone.fine
    assert one.canvas.out.weight.grad.any()
    assert two.stem.weight.grad.any()
    assert all(weight.grad is None for part in (two.head, two.canvas, one.read) for weight in part.parameters())
    found = [made.update(window)["sketch"] for _ in range(40)]
    assert found[-1] < 0.2 * float(loss.detach())


def test_stage_two_sees_stage_one() -> None:
    made = stacked((8, 8, 1))
    seen = made.see(torch.zeros(1, 2, 1, 8, 8), torch.zeros(1, 2, 3))
    before = made.decode(seen, torch.zeros(1, 16))
    with torch.no_grad():
        made.canvas.out.weight += 1
    assert not torch.equal(made.decode(seen, torch.zeros(1, 16)), before)
