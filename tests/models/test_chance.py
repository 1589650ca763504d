"""Codes are drawn with the odds that are stated, a list ends once, and an open event is not a value."""

from __future__ import annotations

from collections import Counter
from itertools import permutations

import pytest
import torch

from worldgan.models.backbone import Seen
from worldgan.models.chance import CodeEmbedding, CodePrior, Looked, prefix, shuffle
from worldgan.models.learning import initialised
from worldgan.seeding import torch_rng

EVENTS, KINDS, WIDTH, GRID = 2, 2, 16, (2, 3)
CHOICES = 1 + KINDS * 6
ALL = [(0, 0), *((first, second) for first in range(1, CHOICES) for second in range(CHOICES))]
"""Every code: a list that has ended goes on with nothing."""


def prior(rarest: float = 0.0) -> CodePrior:
    made = initialised(lambda: CodePrior(EVENTS, KINDS, WIDTH, GRID, rarest), 0)
    with torch.no_grad():
        made.where.weight.mul_(8)  # odds that differ visibly
    return made


def looked(made: CodePrior, rows: int) -> Looked:
    rng = torch_rng(1)
    features, condition = torch.randn(rows, WIDTH, *GRID, generator=rng), torch.randn(rows, WIDTH, generator=rng)
    return made.look_at(Seen(features, condition, torch.zeros(rows, 3, *GRID)))


def test_a_prefix_opens_the_events_that_follow_unless_the_list_has_ended() -> None:
    code = torch.tensor([[4, 1, 2], [2, 1, 0], [0, 0, 0], [3, 0, 0], [3, 0, 0]])
    known = torch.tensor([0, 2, 1, 1, 2])
    assert prefix(code, known, 9).tolist() == [[9, 9, 9], [2, 1, 9], [0, 0, 0], [3, 9, 9], [3, 0, 0]]
    assert prefix(code[:2], 1, 9).tolist() == [[4, 9, 9], [2, 9, 9]]


def test_codes_are_told_apart_by_what_happens_where_and_not_by_the_order() -> None:
    embedding = initialised(lambda: CodeEmbedding(KINDS, WIDTH, GRID), 0)
    codes = torch.tensor([*ALL, (CHOICES, CHOICES), *((first, CHOICES) for first in range(1, CHOICES))])
    told, marks = embedding(codes)
    assert told.shape == (len(codes), WIDTH)
    assert marks.shape == (len(codes), WIDTH, *GRID)
    different = {tuple(sorted(code)) for code in codes.tolist()}
    apart = torch.cat([told, marks.flatten(1)], dim=1).div(1e-4).round().unique(dim=0)
    assert len(apart) == len(different)


@torch.no_grad()
def test_an_event_is_marked_at_its_place_and_along_its_column_and_its_row() -> None:
    embedding = initialised(lambda: CodeEmbedding(KINDS, WIDTH, GRID), 0)
    assert GRID == (2, 3)
    crossed = embedding.map(torch.tensor([[1 + 4 * KINDS, 0]]))[0].abs().sum(0) > 0  # the middle of the second row
    assert crossed.tolist() == [[False, True, False], [True, True, True]]
    here, column, row = embedding.marks.weight.chunk(3, dim=1)
    marks = embedding.map(torch.tensor([[1 + 4 * KINDS, 0]]))[0]
    torch.testing.assert_close(marks[:, 0, 1], embedding.along_h[1, 0] * column[0])
    torch.testing.assert_close(marks[:, 1, 2], embedding.along_w[1, 2] * row[0])
    embedding.along_h.zero_(), embedding.along_w.zero_()
    places = torch.tensor([4, 0])
    tried = embedding.at(places)
    assert tried.tolist() == [[0, 9, 10], [0, 1, 2]]
    for row, (_, first, second) in enumerate(tried.tolist()):
        marks = embedding.map(torch.tensor([[first, 0], [second, 0]]))
        there = marks.flatten(2)[:, :, places[row]]
        torch.testing.assert_close(there, here)
        assert int((marks != 0).any(1).sum()) == KINDS
    assert not embedding.map(torch.tensor([[0, 0], [CHOICES, CHOICES]])).any()
    both = embedding.map(torch.tensor([[9, 2]]))
    torch.testing.assert_close(both, embedding.map(torch.tensor([[9, 0]])) + embedding.map(torch.tensor([[2, 0]])))


def test_all_codes_are_listed_and_their_odds_add_up() -> None:
    made = prior()
    found = made.likeliest(looked(made, 4), 1000)
    for codes, odds in zip(found.codes.tolist(), found.odds, strict=True):
        possible = [tuple(code) for code, share in zip(codes, odds, strict=True) if share > 0]
        assert sorted(possible) == sorted(ALL)
    torch.testing.assert_close(found.odds.sum(1), torch.ones(4))
    assert (found.odds.diff(dim=1) <= 0).all()
    assert float(found.odds[:, 0].min()) > 3 / len(ALL)


def test_surprise_is_what_the_stated_odds_say() -> None:
    made = prior()
    seen = looked(made, 4)
    found = made.likeliest(seen, len(ALL))
    for codes, odds in zip(found.codes.unbind(1), found.odds.unbind(1), strict=True):
        torch.testing.assert_close(made.surprise(seen, codes), -odds.log(), atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_surprise_of_shuffled_codes_is_that_in_the_mean_over_their_orders() -> None:
    made = prior()
    for events in ALL:
        orders = torch.tensor(
            sorted({(*order, *[0] * events.count(0)) for order in permutations(filter(None, events))})
        )
        seen = looked(made, 1).repeat(len(orders))
        shuffled, one = made.surprise(seen, orders, shuffled=True), made.surprise(seen, orders)
        torch.testing.assert_close(shuffled.mean(), one.mean(), atol=1e-4, rtol=1e-4)


def test_events_are_shuffled_and_the_ends_of_lists_stay_last() -> None:
    code = torch.tensor([[3, 1, 2, 0], [5, 0, 0, 0], [0, 0, 0, 0]]).repeat(3000, 1)
    orders = Counter(map(tuple, shuffle(code, torch.rand(code.shape, generator=torch_rng(0))).tolist()))
    ends = {(5, 0, 0, 0): 3000, (0, 0, 0, 0): 3000}
    assert orders.keys() == {(*order, 0) for order in permutations((1, 2, 3))} | ends.keys()
    assert all(orders[end] == count for end, count in ends.items())
    assert all(orders[*order, 0] == pytest.approx(500, abs=80) for order in permutations((1, 2, 3)))


@torch.no_grad()
def test_codes_are_drawn_with_the_odds_that_are_stated() -> None:
    made = prior()
    seen = looked(made, 1)
    found = made.likeliest(seen, len(ALL))
    drawn = made.draw(seen.repeat(20_000), torch.rand(20_000, EVENTS, generator=torch_rng(2)))
    assert int(drawn.max()) < CHOICES
    share = (drawn[:, None] == found.codes).all(-1).float().mean(0)
    torch.testing.assert_close(share, found.odds[0], atol=0.02, rtol=0)


@pytest.mark.parametrize("count", [1, 3, 30])
@torch.no_grad()
def test_noise_draws_the_most_probable_codes_in_their_order(count: int) -> None:
    made = prior()
    seen = looked(made, 6)
    found, every = made.likeliest(seen, count), made.likeliest(seen, len(ALL))
    assert found.noise.shape == (6, count, EVENTS)
    assert ((found.noise >= 0) & (found.noise < 1)).all()
    drawn = made.draw(seen.repeat(count), found.noise.flatten(0, 1))
    assert torch.equal(drawn.view(found.codes.shape), found.codes)
    assert found.odds[:, 0] == pytest.approx(every.odds[:, 0])
    assert (found.odds <= every.odds[:, :count] + 1e-6).all()


@torch.no_grad()
def test_what_is_rare_beside_the_likeliest_is_neither_drawn_nor_stated() -> None:
    made, bound = prior(0.5), 0.5
    seen = looked(made, 4)
    first = made.logits(seen, made.open(4)).softmax(1)
    kept = first >= bound * first.amax(1, keepdim=True)
    assert kept.any(1).all()
    assert (kept.sum(1) < CHOICES).any()
    drawn = made.draw(seen.repeat(2000), torch.rand(8000, EVENTS, generator=torch_rng(2))).view(4, 2000, EVENTS)
    for row in range(4):
        assert set(drawn[row, :, 0].tolist()) == set(kept[row].nonzero()[:, 0].tolist())
    found = made.likeliest(seen, len(ALL))
    torch.testing.assert_close(found.odds.sum(1), torch.ones(4))
    assert kept.gather(1, found.codes[:, :, 0])[found.odds > 0].all()
    share = (drawn[:, :, None] == found.codes[:, None]).all(-1).float().mean(1)
    torch.testing.assert_close(share * (found.odds > 0), found.odds, atol=0.04, rtol=0)
    begun = torch.zeros_like(first).scatter_add(1, found.codes[:, :, 0], found.odds)
    kept_odds = first * kept
    torch.testing.assert_close(begun, kept_odds / kept_odds.sum(1, keepdim=True))  # what is left out goes to all others
