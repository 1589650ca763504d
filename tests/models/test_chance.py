"""Codes are drawn with the odds that are stated, and an open digit is not a value."""

from __future__ import annotations

import torch

from worldgan.models.backbone import Seen
from worldgan.models.chance import CodeEmbedding, CodePrior, prefix
from worldgan.models.learning import initialised
from worldgan.seeding import torch_rng

DIGITS, VALUES, WIDTH = 2, 3, 16


def prior() -> CodePrior:
    made = initialised(lambda: CodePrior(DIGITS, VALUES, WIDTH), 0)
    with torch.no_grad():
        made.mix[-1].weight.mul_(8)  # odds that differ visibly
    return made


def seen(rows: int) -> Seen:
    rng = torch_rng(1)
    features, condition = torch.randn(rows, WIDTH, 2, 2, generator=rng), torch.randn(rows, WIDTH, generator=rng)
    return Seen(features, condition, torch.zeros(rows, 3, 2, 2))


def test_a_prefix_opens_the_digits_that_follow() -> None:
    code = torch.tensor([[0, 1, 2], [2, 1, 0]])
    assert prefix(code, torch.tensor([0, 2]), 3).tolist() == [[3, 3, 3], [2, 1, 3]]


def test_every_code_has_its_own_vector() -> None:
    embedding = initialised(lambda: CodeEmbedding(DIGITS, VALUES, WIDTH), 0)
    codes = torch.cartesian_prod(torch.arange(VALUES + 1), torch.arange(VALUES + 1))
    assert len(embedding(codes).unique(dim=0)) == (VALUES + 1) ** DIGITS


def test_all_codes_are_listed_and_their_odds_add_up() -> None:
    made = prior()
    codes, odds = made.every(made.look_at(seen(4)))
    assert [*map(tuple, codes.tolist())] == [(a, b) for a in range(VALUES) for b in range(VALUES)]
    torch.testing.assert_close(odds.sum(1), torch.ones(4))
    assert float(odds.detach().std(dim=1).min()) > 0.03


def test_surprise_is_what_the_stated_odds_say() -> None:
    made = prior()
    looked = made.look_at(seen(4))
    codes, odds = made.every(looked)
    for number, code in enumerate(codes):
        torch.testing.assert_close(made.surprise(looked, code.expand(4, -1)), -odds[:, number].log())


def test_codes_are_drawn_with_the_odds_that_are_stated() -> None:
    made = prior()
    looked = made.look_at(seen(1))
    codes, odds = made.every(looked)
    drawn = made.draw(looked.expand(20_000, -1), torch.rand(20_000, made.digits, generator=torch_rng(2)))
    assert int(drawn.max()) < VALUES
    share = (drawn[:, None] == codes).all(-1).float().mean(0)
    torch.testing.assert_close(share, odds[0].detach(), atol=0.02, rtol=0)
