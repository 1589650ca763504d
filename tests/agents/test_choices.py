"""Distributions over actions: likelihoods and entropies are those of what is drawn."""

import pytest
import torch
from agent_fakes import ACTIONS

from worldgan.agents.choices import UNIFORM, ClippedNormal, OneOfEach, choice_of


@pytest.mark.parametrize("kind", ACTIONS)
def test_the_entropy_is_the_mean_surprise_of_what_is_drawn(kind):
    choice, generator = choice_of(ACTIONS[kind]), torch.Generator().manual_seed(0)
    stated = torch.randn(1, choice.outputs, generator=generator).repeat(20_000, 1)
    drawn = choice.draw(stated, torch.randn(20_000, ACTIONS[kind].size, generator=generator))
    assert -choice.log_prob(stated, drawn).mean() == pytest.approx(float(choice.entropy(stated)[0]), abs=0.02)


@pytest.mark.parametrize("kind", ACTIONS)
def test_actions_are_the_spaces_own(kind):
    choice, spec = choice_of(ACTIONS[kind]), ACTIONS[kind]
    noise = 3 * torch.randn(50, spec.size, generator=torch.Generator().manual_seed(0))
    encoded = choice.encoded(choice.draw(torch.zeros(50, choice.outputs), noise)).numpy()
    assert spec.encode(spec.decode(encoded)) == pytest.approx(encoded, abs=1e-5)


@pytest.mark.parametrize("kind", ACTIONS)
def test_the_likeliest_is_more_likely_than_what_is_drawn(kind):
    choice, generator = choice_of(ACTIONS[kind]), torch.Generator().manual_seed(0)
    stated = torch.randn(200, choice.outputs, generator=generator)
    drawn = choice.draw(stated, torch.randn(200, ACTIONS[kind].size, generator=generator))
    best, others = choice.log_prob(stated, choice.likeliest(stated)), choice.log_prob(stated, drawn)
    assert (best >= others).all()
    assert (best > others).any()


def test_probabilities_are_those_stated_and_none_is_ever_nothing():
    choice = OneOfEach((2, 3))
    stated = torch.tensor([100.0, 0.0, 0.0, 0.0, 100.0])
    sure = torch.tensor([1.0, 0.0, 0.0, 0.0, 1.0])
    assert choice.log_prob(stated, sure).exp() == pytest.approx((1 - UNIFORM / 2) * (1 - 2 * UNIFORM / 3))
    assert choice.log_prob(stated, 1 - sure).exp() > 0


def test_box_actions_are_clipped_only_when_taken():
    choice = ClippedNormal(1)
    drawn = choice.draw(torch.zeros(1, 2), torch.tensor([[4.0]]))
    assert drawn == pytest.approx(4 * 0.55)
    assert choice.encoded(drawn) == 1
    normal = torch.distributions.Normal(0.0, 0.55)
    assert choice.log_prob(torch.zeros(1, 2), drawn) == pytest.approx(float(normal.log_prob(drawn)))
