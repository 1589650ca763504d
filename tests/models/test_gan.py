"""The search for the code that explains a frame, and what the code says of it."""

from __future__ import annotations

import pytest
import torch
from fakes import dot_window
from test_families import learner
from torch import Tensor

from worldgan.models.backbone import Seen
from worldgan.models.canvas import CLOSE
from worldgan.models.chance import put
from worldgan.models.gan import Generator
from worldgan.models.learning import transitions
from worldgan.seeding import torch_rng


def test_surprise_of_gan_is_how_improbable_the_code_was() -> None:
    made = learner("gan", None, "model.events=1", "model.favourites=4")
    model, window = made.world_model(), dot_window(4, 2, horizon=1)
    generator, frames = model.networks.predictor, window.frames[:, :2].float() / 127.5 - 1
    drawn, odds = generator.candidates(frames, window.actions, 1000, torch_rng(0))
    for index in range(4):  # the favourites
        surprise = generator.surprise(frames, window.actions, drawn[:, index])
        torch.testing.assert_close(surprise, -odds[:, index].log())


@pytest.mark.parametrize("price", [0.0, 1e-5, 1.0])
@torch.no_grad()
def test_what_is_too_dear_is_not_drawn_and_would_not_have_been_chosen(
    price: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, window = learner("gan", None, "model.events=2", "model.kinds=3", "model.favourites=2"), dot_window(16, 2, 1)
    history, [step] = transitions(window)
    generator: Generator = made.networks.predictor
    generator.prior.none[-1].bias += 5  # the end of the list is what it expects
    seen = generator.backbone.see(history.frames, history.then(step.action))
    looked, goal, drafted = generator.prior.look_at(seen), generator.backbone.patches(step.target), list[int]()
    draft = generator.backbone.draft

    def counted(seen: Seen, chance: Tensor) -> Tensor:
        drafted.append(len(chance))
        return draft(seen, chance)

    def gaps(codes: Tensor, rows: Tensor) -> Tensor:
        drawn = counted(*generator.tell(seen.index(rows), codes))
        return torch.where((drawn - goal[rows]).abs() > CLOSE, drawn - goal[rows], 0).square().sum(1) / goal[0].numel()

    code, rows, ended = generator.prior.open(16), torch.arange(16), torch.zeros(16, dtype=torch.bool)
    left = gaps(code, rows)
    for event in range(2):
        surprise = -generator.prior.logits(looked, code).log_softmax(1)
        likely = surprise.topk(2, largest=False).indices
        tried = torch.cat([generator.code.at(generator.worst(left)), likely], 1)
        found = torch.stack([gaps(put(code, event, number), rows) for number in tried.unbind(1)], 1)
        chosen = (found.sum((2, 3)) + price * surprise.gather(1, tried)).argmin(1)
        code[:, event] = torch.where(ended, 0, tried[rows, chosen])
        ended, left = ended | (code[:, event] == 0), found[rows, chosen]
    every = sum(drafted)
    drafted.clear()
    monkeypatch.setattr(generator.backbone, "draft", counted)
    cheapest = lambda event, rows, costs: costs.argmin(1)  # noqa: E731
    assert torch.equal(generator.explain(seen, looked, step.target, cheapest, price=price), code)
    assert bool(code.any()) == (price < 1)
    assert sum(drafted) == 32 if price == 1 else 32 < sum(drafted) < every


@torch.no_grad()
def test_what_settles_anyway_explains_nothing() -> None:
    """Grey levels that a frame settles to would outweigh a small object: they are of every pixel."""
    made, window = learner("gan", None, "model.events=2"), dot_window(16, 2, 1)
    history, [step] = transitions(window)
    generator: Generator = made.networks.predictor
    generator.prior.none[-1].bias += 5
    seen = generator.backbone.see(history.frames, history.then(step.action))
    looked, cheapest = generator.prior.look_at(seen), lambda event, rows, costs: costs.argmin(1)
    end = generator.frames(generator.backbone.draft(*generator.tell(seen, torch.zeros(16, 2, dtype=torch.int64))))
    assert not generator.explain(seen, looked, end + 0.9 * CLOSE, cheapest, price=1e-12).any()
    assert generator.explain(seen, looked, end + 1.5 * CLOSE, cheapest, price=1e-12).any()


def test_chance_is_left_out_at_first() -> None:
    made, window = learner("gan", None, "model.pretrain=2", "model.explore=2"), dot_window(4, 2, horizon=1)
    generator = made.networks.predictor
    before = [weight.clone() for weight in generator.prior.parameters()]
    for _ in range(2):
        assert not {"prior", "prefix"} & set(made.update(window))
    assert all(map(torch.equal, before, generator.prior.parameters()))
    assert {"prior", "prefix", "reconstruction", "outcome"} <= set(made.update(window))
    assert not all(map(torch.equal, before, generator.prior.parameters()))
