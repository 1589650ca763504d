"""What actors and critics are trained to do, against answers worked out by hand."""

import pytest
import torch

from worldgan.agents.choices import OneOfEach
from worldgan.agents.losses import actor_loss, critic_loss, lambda_returns, normalised, reached

REWARDS = torch.tensor([[1.0, 2.0, 4.0]])
CONTINUES = torch.tensor([[1.0, 0.5, 1.0]])
VALUES = torch.tensor([[99.0, 10.0, 20.0, 40.0]])


def returns(trace: float) -> list[float]:
    [found] = lambda_returns(REWARDS, CONTINUES, VALUES, discount=0.5, trace=trace).tolist()
    return found


def test_lambda_returns_follow_the_recursion():
    last = 4 + 0.5 * 40
    middle = 2 + 0.5 * 0.5 * (0.25 * 20 + 0.75 * last)
    first = 1 + 0.5 * (0.25 * 10 + 0.75 * middle)
    assert returns(0.75) == pytest.approx([first, middle, last])


def test_without_a_trace_they_look_one_step_ahead():
    assert returns(0.0) == [1 + 0.5 * 10, 2 + 0.25 * 20, 4 + 0.5 * 40]


def test_with_all_of_it_they_add_up_to_the_horizon():
    assert returns(1.0) == [1 + 0.5 * 2 + 0.125 * 4 + 0.0625 * 40, 2 + 0.25 * 4 + 0.125 * 40, 4 + 0.5 * 40]


def test_what_may_have_ended_counts_less():
    assert reached(torch.tensor([[0.5, 0.0, 1.0]])).tolist() == [[1.0, 0.5, 0.0]]


def test_advantages_have_one_size_whatever_rewards_are_worth():
    advantages, weights = torch.tensor([[3.0, -4.0, 1e6]]), torch.tensor([[1.0, 1.0, 0.0]])
    found = normalised(advantages, weights)
    assert found[0, :2].square().mean() == pytest.approx(1)
    assert torch.allclose(normalised(100 * advantages, weights), found)


def test_noise_of_the_critic_is_not_blown_up():
    noise = torch.full((2, 3), 1e-6)
    assert normalised(noise, torch.ones(2, 3)).abs().max() < 0.01


def test_the_gradient_raises_the_better_action_of_a_bandit():
    """The exact gradient of the expected reward by logit i is p_i (r_i - mean); here all actions are tried alike."""
    choice, logits = OneOfEach((3,)), torch.zeros(1, 3, requires_grad=True)
    drawn, rewards = torch.eye(3)[None], torch.tensor([[0.0, 1.0, 5.0]])
    stated = logits[:, None].expand(1, 3, 3)
    weights = torch.ones(1, 3)
    log_probs, entropies = choice.log_prob(stated, drawn), choice.entropy(stated)
    actor_loss(log_probs, log_probs, entropies, rewards - 2, weights, entropy=0.0, trust=0.2).backward()
    expected = (rewards - 2) / 3 * 0.99  # 1% of the probability is uniform whatever is stated
    assert torch.allclose(-logits.grad, expected, atol=1e-5)


@pytest.mark.parametrize(
    ("change", "gain", "moves"), [(0.3, 1.0, False), (0.3, -1.0, True), (-0.3, 1.0, True), (-0.3, -1.0, False)]
)
def test_an_action_that_has_moved_far_enough_is_left_alone_and_one_that_went_astray_is_not(change, gain, moves):
    drawn = torch.zeros(1)
    log_probs = (drawn + change).requires_grad_()
    actor_loss(log_probs, drawn, drawn, torch.tensor([gain]), torch.ones(1), entropy=0.0, trust=0.2).backward()
    assert (log_probs.grad != 0).tolist() == [moves]


def test_the_bonus_pulls_towards_indecision():
    choice, logits = OneOfEach((2,)), torch.tensor([[2.0, 0.0]], requires_grad=True)
    nothing = torch.zeros(1)
    actor_loss(nothing, nothing, choice.entropy(logits), nothing, torch.ones(1), entropy=1.0, trust=0.2).backward()
    assert logits.grad[0, 0] > 0 > logits.grad[0, 1]


def test_steps_that_are_never_reached_teach_nothing():
    values = torch.zeros(1, 2, requires_grad=True)
    critic_loss(values, torch.tensor([[1.0, 7.0]]), torch.tensor([[1.0, 0.0]])).backward()
    assert values.grad.tolist() == [[-0.5, 0.0]]


def test_the_best_value_is_the_mean_and_no_lucky_return():
    values = torch.full((1, 10), 0.0, requires_grad=True)
    returns = torch.tensor([[10.0] + [-5.0] * 9])
    critic_loss(values, returns, torch.ones(1, 10)).backward()
    assert values.grad.mean() * 10 == pytest.approx(3.5)
