"""Laws that every predictor family obeys, and those of the GAN's players."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest
import torch
from fakes import dot_spec, dot_window
from tiny import tiny
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from worldgan.actions import ActionSpec
from worldgan.models import FAMILIES
from worldgan.models.learning import learn_from_rollout, transitions
from worldgan.models.world import NextFrameModel
from worldgan.pixels import quantise, to_float
from worldgan.rollout import rollout
from worldgan.seeding import torch_rng
from worldgan.types import EnvSpec, Learner, Window

each = pytest.mark.parametrize("family", FAMILIES)
QUICK = {"explore": 80, "adversary.warmup": 80, "events": 2, "kinds": 2}
"""Of the families that have such fields: everything is at work within a few hundred updates."""


def learner(family: str, spec: EnvSpec | None = None, *settings: str, seed: int = 0) -> Any:
    experiment = tiny(family, "model.precision=fp32", *settings)
    return FAMILIES[family].learner(spec or dot_spec(), experiment.model_config(), seed)


def quick(family: str, spec: EnvSpec) -> Any:
    fields = FAMILIES[family].config.__dataclass_fields__
    more = [f"model.{name}={value}" for name, value in QUICK.items() if name.split(".")[0] in fields]
    rates = ("model.optimiser.rate=3e-3", "model.optimiser.warmup=20", "model.average=0.98")
    return learner(family, spec, *rates, *more)


def equal(a: Any, b: Any) -> bool:
    """Whether two nested states are the same, bit for bit."""
    if isinstance(a, Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(equal(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(equal, a, b))
    return bool(a == b)


@each
@pytest.mark.parametrize("shape", [(8, 8, 1), (10, 10, 7), (17, 12, 3)])
@pytest.mark.parametrize("actions", [ActionSpec("discrete", (3,)), ActionSpec("box", (2,), (-1.0, 0.0), (1.0, 2.0))])
def test_any_frame_and_action_space(family: str, shape: tuple[int, int, int], actions: ActionSpec) -> None:
    spec = EnvSpec("any", shape, actions)
    made: Learner = learner(family, spec)
    window, (height, width, channels) = dot_window(2, 2, horizon=2), shape
    frames = torch.randint(256, (2, 4, channels, height, width), dtype=torch.uint8, generator=torch_rng(0))
    window = replace(window, frames=frames, actions=torch.rand(2, 3, actions.size, generator=torch_rng(1)))
    assert all(torch.tensor(list(made.update(window).values())).isfinite())
    imagined = rollout(made.world_model(), window, torch_rng(2))
    assert imagined.frames.shape == (2, 2, channels, height, width)


@each
def test_every_weight_is_taught_at_half_precision(family: str) -> None:
    """What was cast while nothing asked for a gradient must not be used again where something does."""
    made = learner(family)
    learn_from_rollout(dot_window(4, 2, horizon=2), made.losses, "bf16")
    taught = [*made.networks.predictor.named_parameters(), *made.networks.outcome.named_parameters()]
    assert [name for name, weight in taught if weight.grad is None] == []


@each
def test_the_same_seed_learns_the_same(family: str) -> None:
    window = dot_window(4, 2, horizon=2)
    made = [learner(family, seed=seed) for seed in (1, 1, 2)]
    metrics = [one.update(window) for one in made]
    assert metrics[0] == metrics[1] != metrics[2]
    assert equal(made[0].state_dict(), made[1].state_dict())
    assert not equal(made[0].weights(), made[2].weights())


@each
def test_making_and_updating_a_learner_leaves_the_global_generator_alone(family: str) -> None:
    before = torch.get_rng_state()
    learner(family).update(dot_window(4, 2, horizon=1))
    assert torch.equal(torch.get_rng_state(), before)


@each
def test_a_loaded_learner_goes_on_as_the_saved_one(family: str) -> None:
    window = dot_window(4, 2, horizon=2)
    saved, loaded = learner(family, seed=1), learner(family, seed=2)
    for _ in range(3):
        saved.update(window)
    loaded.load_state_dict(copy.deepcopy(saved.state_dict()))  # the state shares memory with the learner
    assert saved.update(window) == loaded.update(window)
    assert equal(saved.state_dict(), loaded.state_dict())


def after_the_end(window: Window) -> Window:
    """Other numbers wherever a transition is not valid, and in the frames that only such transitions lead to."""
    rng, dead = torch_rng(5), ~window.valid
    noise = torch.randint(256, window.frames.shape, dtype=torch.uint8, generator=rng)
    gone = torch.cat([torch.zeros_like(dead[:, :1]), dead], 1)[..., None, None, None]
    return replace(
        window,
        frames=torch.where(gone, noise, window.frames),
        actions=torch.where(dead[..., None], torch.rand(window.actions.shape, generator=rng), window.actions),
        rewards=torch.where(dead, 50.0, window.rewards),
        terminated=window.terminated | dead,
    )


def ending(window: Window) -> Window:
    """Row i is valid for K + i of its transitions, at most all: every target of row 0 but the first is not."""
    steps = torch.arange(window.valid.shape[1])
    return replace(window, valid=steps < window.context + torch.arange(len(window.frames))[:, None])


@each
def test_nothing_is_learnt_from_what_follows_an_end(family: str) -> None:
    window = ending(dot_window(8, 2, horizon=3))
    assert not window.valid.all()
    other = after_the_end(window)
    assert not torch.equal(window.frames, other.frames)
    made = [learner(family, None, *always_playing(family)) for _ in range(2)]
    for _ in range(3):
        metrics = [one.update(seen) for one, seen in zip(made, (window, other), strict=True)]
        assert metrics[0] == metrics[1]
    assert equal(made[0].state_dict(), made[1].state_dict())


def always_playing(family: str) -> list[str]:
    """Settings under which the adversarial game is at full weight from the second update on."""
    return ["model.adversary.warmup=1", "model.explore=1"] if family == "gan" else []


@each
def test_a_world_model_can_be_branched(family: str) -> None:
    made = learner(family)
    made.update(dot_window(4, 2, horizon=1))
    model, window = made.world_model(), dot_window(4, 2, horizon=1)
    state, rows = model.start(window.frames[:, :2], window.actions[:, :1]), torch.tensor([3, 0, 0])
    assert torch.equal(model.frame(state), to_float(window.frames[:, 1]))
    branched, joined = model.index(state, rows), model.join([state, model.index(state, rows)])
    assert torch.equal(model.frame(branched), model.frame(state)[rows])
    assert torch.equal(model.frame(joined), torch.cat([model.frame(state), model.frame(branched)]))
    kept = model.frame(state).clone()
    prediction, after = model.step(state, window.actions[:, 1], torch_rng(0))
    again, _ = model.step(state, window.actions[:, 1], torch_rng(0))
    assert torch.equal(model.frame(state), kept)
    assert torch.equal(prediction.frame, again.frame)
    assert torch.equal(prediction.frame, model.frame(after))
    pushed = model.push(state, window.actions[:, 1], prediction.frame)
    ahead, expected = (model.step(each, window.actions[:, 0], torch_rng(1))[0] for each in (pushed, after))
    assert torch.equal(ahead.frame, expected.frame)
    assert torch.equal(prediction.frame, quantise(prediction.frame))
    assert ((prediction.terminated >= 0) & (prediction.terminated <= 1)).all()


@each
def test_asking_again_tells_something_new_only_of_odds_that_are_not_stated(family: str) -> None:
    model, window = learner(family).world_model(), dot_window(4, 2, horizon=1)
    state = model.start(window.frames[:, :2], window.actions[:, :1])
    one, other = (model.networks.predictor.candidates(state.frames, window.actions, 3, torch_rng(s)) for s in (0, 1))
    assert torch.equal(one[0], other[0]) == model.outcomes(state, window.actions[:, 1], 3, torch_rng(0)).stated


@pytest.mark.parametrize("family", ["gan", "vae"])
def test_surprise_is_in_nats_and_only_where_asked_for(family: str) -> None:
    model, window = learner(family).world_model(), dot_window(4, 2, horizon=1)
    state = model.start(window.frames[:, :2], window.actions[:, :1])
    curious = NextFrameModel(model.spec, model.context, model.networks, surprise=True)
    surprise = curious.step(state, window.actions[:, 1], torch_rng(0))[0].surprise
    assert surprise is not None
    assert surprise.shape == (4,)
    assert (surprise >= 0).all()
    assert model.step(state, window.actions[:, 1], torch_rng(0))[0].surprise is None


@each
def test_outcomes_are_a_distribution(family: str) -> None:
    made, window = learner(family), dot_window(4, 2, horizon=1)
    made.update(window)
    model = made.world_model()
    state = model.start(window.frames[:, :2], window.actions[:, :1])
    for count in (1, 3, 100):
        found = model.outcomes(state, window.actions[:, 1], count, torch_rng(0))
        number = found.probability.shape[1]
        assert 1 <= number <= count
        assert found.frames.shape == (4, number, 3, 8, 8)
        assert found.rewards.shape == found.terminated.shape == (4, number)
        torch.testing.assert_close(found.probability.sum(1), torch.ones(4))
        assert (found.probability.diff(dim=1) <= 1e-6).all()
        assert torch.equal(found.frames, quantise(found.frames))


@each
def test_half_precision_trains_and_simulates(family: str) -> None:
    """Frames and losses stay float32, whatever the networks compute in."""
    made, window = learner(family, None, "model.precision=bf16"), dot_window(4, 2, horizon=2)
    rough, exact = made.update(window), learner(family).update(window)
    assert rough["reconstruction"] == pytest.approx(exact["reconstruction"], rel=0.1)
    assert rough != exact
    model = made.world_model()
    model.networks.bfloat16()
    state = model.start(window.frames[:, :2], window.actions[:, :1])
    prediction, _ = model.step(state, window.actions[:, 1], torch_rng(0))
    found = model.outcomes(state, window.actions[:, 1], 2, torch_rng(0))
    assert prediction.frame.dtype == found.frames.dtype == found.probability.dtype == torch.float32
    assert prediction.frame.isfinite().all()


@pytest.mark.parametrize("family", ["gan", "mse"])
def test_a_frame_of_64x64_costs_less_than_half_a_gigaflop(family: str) -> None:
    spec = EnvSpec("x", (64, 64, 3), ActionSpec("discrete", (6,)))
    config = FAMILIES[family].config()
    networks = FAMILIES[family].networks(spec, config, 0).eval()
    model = NextFrameModel(spec, config.backbone.context, networks)
    frames = torch.zeros(1, model.context, 3, 64, 64, dtype=torch.uint8)
    state = model.start(frames, torch.zeros(1, model.context - 1, 6))
    with FlopCounterMode(display=False) as counter:
        model.step(state, torch.zeros(1, 6), torch_rng(0))
    assert 0.1e9 < counter.get_total_flops() < 0.5e9


def test_families_have_predictors_of_one_size() -> None:
    sizes = {}
    for name, family in FAMILIES.items():
        networks = family.networks(EnvSpec("x", (64, 64, 3), ActionSpec("discrete", (6,))), family.config(), 0)
        sizes[name] = sum(weight.numel() for weight in networks.predictor.parameters())
    assert all(abs(size - sizes["gan"]) < 0.1 * sizes["gan"] for size in sizes.values()), sizes


def gradients(loss: Tensor, module: nn.Module) -> float:
    """Sum of squared gradients of ``loss`` in the module's weights."""
    weights = list(module.parameters())
    found = torch.autograd.grad(loss, weights, retain_graph=True, allow_unused=True) if loss.requires_grad else []
    return sum(float(gradient.square().sum()) for gradient in found if gradient is not None)


@pytest.mark.parametrize(
    "more",
    [
        [],
        ["model.adversary.matching=1", "model.adversary.wrong_action=1"],
        ["model.adversary.classifier=1", "model.adversary.recogniser=1"],
        ["model.backbone.kind=stacked"],
        ["model.backbone.kind=dcgan", "model.adversary.kind=dcgan"],
    ],
)
def test_each_player_of_the_gan_is_moved_by_its_own_losses_alone(more: list[str]) -> None:
    made, window = learner("gan", None, *always_playing("gan"), *more), dot_window(4, 2, horizon=1)
    for _ in range(3):
        made.update(window)
    history, [step] = transitions(window)
    losses, _ = made.losses(history, step)
    networks = made.networks
    moved = {
        name: {
            player
            for player, module in networks.named_children()
            if isinstance(module, nn.Module) and gradients(loss, module) > 0
        }
        for name, loss in losses.items()
    }
    assert moved["discriminator"] == {"discriminator"}
    assert moved["outcome"] == {"outcome"}
    others = set().union(*(moved[name] for name in moved if name not in {"discriminator", "outcome"}))
    assert others == {"predictor"}
    assert moved["adversarial"] == {"predictor"}


SIDE = 8
COIN = EnvSpec("coin", (SIDE, SIDE, 1), ActionSpec("discrete", (2,)))


def toss(rng: torch.Generator, batch: int = 16) -> Window:
    """A dot that rests, then jumps one pixel left or right, whatever is done about it."""
    row, column = torch.randint(1, SIDE - 1, (2, batch), generator=rng)
    jump = torch.randint(2, (batch,), generator=rng) * 2 - 1
    frames = torch.zeros(batch, 3, 1, SIDE, SIDE, dtype=torch.uint8)
    for t, place in enumerate([column, column, column + jump]):
        frames[torch.arange(batch), t, 0, row, place] = 255  # never at the edge, beyond which nothing can be seen
    actions, nothing = torch.eye(2)[torch.randint(2, (batch, 2), generator=rng)], torch.zeros(batch, 2)
    return Window(frames, actions, nothing, nothing.bool(), torch.ones(batch, 2, dtype=torch.bool), context=2)


def next_to_the_dot(frames: Tensor, last: Tensor) -> tuple[Tensor, Tensor]:
    """Float frames [B, N, 1, H, W] after uint8 [B, 1, H, W] -> brightness left and right of where the dot was."""
    place = last.flatten(1).argmax(1)
    rows, columns, batch = place // SIDE, place % SIDE, torch.arange(len(last))
    return frames[batch, :, 0, rows, columns - 1], frames[batch, :, 0, rows, columns + 1]


@pytest.fixture(scope="module", params=FAMILIES)
def taught(request: pytest.FixtureRequest) -> tuple[str, Any, list[dict[str, float]]]:
    """A family, its learner after having seen many coins, and its metrics on the way."""
    made, rng = quick(request.param, COIN), torch_rng(100)
    return request.param, made, [made.update(toss(rng)) for _ in range(240)]


def test_what_could_happen_is_learnt(taught: tuple[str, Any, list[dict[str, float]]]) -> None:
    """Outcomes are both sides of the coin at even odds; the mean of both is all that MSE can tell.

    Families that only sample cannot tell the two apart in all of a continuum of noise: some samples fall between.
    """
    family, made, _ = taught
    model, window = made.world_model(), toss(torch_rng(7), 64)
    state = model.start(window.frames[:, :2], window.actions[:, :1])
    found = model.outcomes(state, window.actions[:, 1], 16, torch_rng(8))
    left, right = next_to_the_dot(found.frames, window.frames[:, 1])
    if family in {"mse", "motion"}:
        assert found.frames.shape[1] == 1
        assert float(left.mean()) == pytest.approx(0, abs=0.4)
        assert float(right.mean()) == pytest.approx(0, abs=0.4)
        assert ((left.abs() < 0.9) & (right.abs() < 0.9)).float().mean() > 0.9
        return
    heads = (found.probability * ((left > 0.5) & (right < -0.5))).sum(1)
    tails = (found.probability * ((right > 0.5) & (left < -0.5))).sum(1)
    tolerance = 0.15 if family == "gan" else 0.2
    assert float(heads.mean()) == pytest.approx(0.5, abs=tolerance)
    assert float(tails.mean()) == pytest.approx(0.5, abs=tolerance)
    assert (torch.minimum(heads, tails) > 0.2).float().mean() > 0.8


LEFT = {
    "gan": (0.0, 0.1),
    "mse": (0.4, 0.75),
    "motion": (0.4, 0.75),
    "vae": (0.0, 0.15),
    "diffusion": (0.05, 0.4),
    "autoregressive": (0.0, 0.3),
}
"""What is left of the error in the end. GAN and VAE know what happened; diffusion sees it through noise."""


def test_reconstruction_falls_to_what_chance_leaves(taught: tuple[str, Any, list[dict[str, float]]]) -> None:
    """1 is the error of copying the last frame; half of it is the best that a mean can do here."""
    family, _, metrics = taught
    last = sum(each["reconstruction"] for each in metrics[-20:]) / 20
    least, most = LEFT[family]
    assert least <= last < most


def test_samples_differ_where_chance_decides(taught: tuple[str, Any, list[dict[str, float]]]) -> None:
    family, made, _ = taught
    model, window = made.world_model(), toss(torch_rng(9), 4)
    state = model.start(window.frames[:, :2], window.actions[:, :1])
    state = model.index(state, torch.arange(4).repeat_interleave(64))
    prediction, _ = model.step(state, window.actions[:, 1].repeat_interleave(64, 0), torch_rng(10))
    left, right = next_to_the_dot(prediction.frame[:, None], window.frames[:, 1].repeat_interleave(64, 0))
    share = (left > right).float().view(4, 64).mean(1)
    if family in {"mse", "motion"}:
        assert ((share == 0) | (share == 1)).all()
    else:
        assert ((share > 0.2) & (share < 0.8)).all()


@each
def test_one_batch_can_be_learnt_by_heart(family: str) -> None:
    made, window = quick(family, dot_spec()), dot_window(8, 2, horizon=1)
    metrics = [made.update(window) for _ in range(80)]
    assert metrics[0]["reconstruction"] > 0.8
    assert sum(each["reconstruction"] for each in metrics[-5:]) / 5 < 0.1
