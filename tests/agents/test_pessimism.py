"""A planner keeps away from where the model is not to be trusted, by any sign, and the signs are calibrated."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from agent_fakes import LotteryModel, Watched
from fakes import PerfectModel, dot_spec, draw

from worldgan.agents import PLANNERS, Ensemble, Pessimist, PlannerConfig, Usual, usual
from worldgan.errors import WorldganError
from worldgan.seeding import torch_rng
from worldgan.types import Prediction

FRAMES = np.zeros((2, 2, 2, 1), np.uint8)


@dataclass(frozen=True)
class TrapModel(LotteryModel):
    """Action 0 pays 1; action 1 is imagined to pay 5, which is the model's error, and all signs say so."""

    def step(self, state, action, generator):
        prediction, state = super().step(state, action, generator)
        trap = action[:, 1]
        signs = {"realism": 1 - 8 * trap, "surprise": 8 * trap, "disagreement": 0.1 + 0.8 * trap}
        return replace(prediction, reward=1 + 4 * trap, **signs), state

    def outcomes(self, state, action, count, generator):
        found = super().outcomes(state, action, count, generator)
        return replace(found, rewards=(1 + 4 * action[:, 1:]).expand(-1, 2))


SIGNS = {"realism": Usual(-1.0, 1.0), "surprise": Usual(0.0, 1.0), "disagreement": Usual(0.1, 0.1)}


@pytest.mark.parametrize("distrust", sorted(SIGNS))
@pytest.mark.parametrize("planner", ["cem", "mcts"])
def test_it_closes_the_gap_between_imagined_and_real(distrust, planner):
    config = PlannerConfig(horizon=4, simulations=40)
    for weight, taken in [(0.0, [1, 1]), (0.1, [1, 1]), (1.0, [0, 0])]:
        model = Pessimist(TrapModel(), SIGNS[distrust], distrust=distrust, weight=weight)
        assert PLANNERS[planner](model, config).act(FRAMES).tolist() == taken


def step(realism):
    nothing = torch.zeros(len(realism))
    return Prediction(torch.zeros(len(realism), 1, 1, 1), nothing, nothing, realism=torch.tensor(realism))


def test_a_step_costs_what_it_is_beyond_the_usual_and_no_more_than_ten_spreads():
    model = Pessimist(TrapModel(), Usual(2.0, 0.5), distrust="realism", weight=3.0)
    assert model.price(step([9.0, -2.0, -2.5, -3.0, -1e9])).tolist() == [0.0, 0.0, 3.0, 6.0, 30.0]


def test_the_usual_is_seen_on_single_steps_from_real_states():
    @dataclass(frozen=True)
    class Noisy(PerfectModel):
        def step(self, state, action, generator):
            prediction, state = super().step(state, action, generator)
            return replace(prediction, surprise=5 + torch.randn(len(state), generator=generator)), state

    model = Watched(Noisy())
    frames = draw(torch.randint(1, 8, (500, 2)), dot_spec())[:, None].repeat(1, 2, 1, 1, 1)
    found = usual(model, (frames, torch.zeros(500, 1, 5)), "surprise")
    assert found.level == pytest.approx(6.28, abs=0.1)
    assert found.spread == pytest.approx(1.28, abs=0.1)
    assert len(model.steps) == 1
    doubled = Pessimist(model, found, distrust="surprise", weight=1.0)
    prices = doubled.price(Noisy().step(torch.ones(1000, 2).long(), torch.eye(5)[[0] * 1000], torch_rng(1))[0])
    assert (prices > 0).float().mean() == pytest.approx(0.1, abs=0.03)


@pytest.mark.parametrize(
    ("distrust", "message"),
    [
        ("realism", "expected .*a discriminator"),
        ("disagreement", "expected .*an ensemble"),
        ("surprise", "expected .*a prior"),
        ("mood", "unknown sign of distrust 'mood': valid: disagreement, realism, surprise"),
    ],
)
def test_a_sign_that_the_model_does_not_give_is_refused(distrust, message):
    starts = (torch.zeros(2, 1, 1, 2, 2, dtype=torch.uint8), torch.zeros(2, 0, 2))
    with pytest.raises(WorldganError, match=rf"^{message}"):
        usual(LotteryModel(), starts, distrust)


def test_negative_pessimism_is_refused():
    with pytest.raises(WorldganError, match=r"pessimism of at least 0, got -1"):
        Pessimist(TrapModel(), Usual(0.0, 1.0), distrust="realism", weight=-1.0)


@dataclass(frozen=True)
class Drifting(PerfectModel):
    """Moves the dot ``drift`` columns too far, and pays so much too."""

    drift: int = 1

    def step(self, state, action, generator):
        prediction, state = super().step(state, action, generator)
        state = (state + torch.tensor([0, self.drift])) % 8
        return replace(prediction, frame=self.frame(state), reward=prediction.reward + self.drift), state


UP = torch.eye(5)[[1, 1]]
PLACES = torch.tensor([[5, 1], [3, 4]])


def begun(model):
    return model.start(draw(PLACES, dot_spec())[:, None].repeat(1, 2, 1, 1, 1), torch.zeros(2, 1, 5))


def test_an_ensemble_steps_as_its_model_does_and_all_see_what_that_imagines():
    model = Ensemble(PerfectModel(), [Drifting(drift=1), Drifting(drift=3)])
    prediction, after = model.step(begun(model), UP, torch_rng(0))
    alone, place = PerfectModel().step(PLACES, UP, torch_rng(0))
    assert torch.equal(prediction.frame, alone.frame)
    assert torch.equal(model.frame(after), alone.frame)
    assert all(torch.equal(each, place) for each in (after.first, *after.others))
    # the two others light a pixel each, 2 apart in its three channels, and differ by 2 in reward
    expected = (2 * 1.0 / 64) ** 0.5 + 1.0
    assert prediction.disagreement.tolist() == pytest.approx([expected] * 2)


def test_an_ensemble_that_agrees_says_so():
    model = Ensemble(Drifting(), [PerfectModel(), PerfectModel()])
    prediction, _ = model.step(begun(model), UP, torch_rng(0))
    assert prediction.disagreement.tolist() == [0.0, 0.0]


def test_an_ensemble_can_be_branched():
    model = Ensemble(PerfectModel(), [PerfectModel(), Drifting()])
    state = begun(model)
    both = model.join([model.index(state, torch.tensor([1])), model.push(state, UP, PerfectModel().frame(PLACES + 1))])
    for each in (both.first, *both.others):
        assert each.tolist() == [[3, 4], [6, 2], [4, 5]]


def test_an_ensemble_of_one_or_of_misfits_is_refused():
    with pytest.raises(WorldganError, match="at least two runs that may disagree, got 1"):
        Ensemble(PerfectModel(), [PerfectModel()])
    with pytest.raises(WorldganError, match="expected a model for dot"):
        Ensemble(PerfectModel(), [PerfectModel(), LotteryModel()])
    with pytest.raises(WorldganError, match="ensemble of 2 context frames, got 3"):
        Ensemble(PerfectModel(), [PerfectModel(), PerfectModel(context=3)])
