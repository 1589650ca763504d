"""What goes wrong is named, and what goes well is not."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from fakes import PerfectModel, dot_window
from torch import Tensor

from worldgan import progress as display
from worldgan.data.store import EpisodeStore
from worldgan.seeding import torch_rng
from worldgan.training import alarm, health, pulse
from worldgan.training.alarm import Alarm
from worldgan.training.checkpoint import Run
from worldgan.training.checkup import Checkup
from worldgan.training.pulse import Pulse
from worldgan.training.setbacks import Setbacks
from worldgan.types import Metrics, Prediction


def drawn(scale: float, *, bias: float = 0.0, count: int = 4) -> tuple[Tensor, Tensor]:
    """Samples [500, N, 6] around means of their own, and what happened: one draw with a standard deviation of 1."""
    rng = torch_rng(0, "drawn")
    means = 5 * torch.randn(500, 6, generator=rng)
    samples = means[:, None] + bias + scale * torch.randn(500, count, 6, generator=rng)
    return samples, means + torch.randn(500, 6, generator=rng)


@pytest.mark.parametrize("count", [2, 4, 16])
def test_a_calibrated_sampler_spreads_as_its_error_asks_for(count: int) -> None:
    assert health.spread(*drawn(1.0, count=count)) == pytest.approx(1, abs=0.1)


def test_a_sampler_that_is_too_sure_or_wrong_spreads_less_and_one_that_doubts_more() -> None:
    assert health.spread(*drawn(0.0)) == 0
    assert health.spread(*drawn(0.1)) < 0.05
    assert health.spread(*drawn(1.0, bias=3.0)) < 0.2
    assert health.spread(*drawn(2.0)) > 1.5
    assert math.isnan(health.spread(torch.zeros(3, 4, 2), torch.zeros(3, 2)))


def test_a_miss_is_counted_in_errors_of_copying_the_last_frame() -> None:
    last, real = torch.zeros(5, 3), torch.full((5, 3), 2.0)
    assert health.miss(last[:, None].repeat(1, 4, 1), real, last) == 1
    assert health.miss(real[:, None].repeat(1, 4, 1), real, last) == 0
    assert math.isnan(health.miss(last[:, None], last, last))


def test_rollouts_that_freeze_move_less_than_real_ones() -> None:
    real = torch.randint(256, (4, 20, 3, 5, 5), generator=torch_rng(0), dtype=torch.uint8)
    freezes = torch.cat([real[:, :5], real[:, 5:6].repeat(1, 15, 1, 1, 1)], dim=1)
    assert health.motion(real, real) == 1
    assert health.motion(real.flip(0), real) == pytest.approx(1)
    assert health.motion(freezes, real) == 0
    assert math.isnan(health.motion(real, real[:, :1].expand_as(real)))
    assert math.isnan(health.motion(real[:, :1], real[:, :1]))


def test_actions_show_where_they_move_something_wherever_it_is() -> None:
    window = dot_window(128, context=2, horizon=1)
    rows = window.valid.all(1)
    frames, actions = window.frames[rows], window.actions[rows, -1]
    assert health.actions_show(frames, actions, torch_rng(0)) < 0.01
    assert health.actions_show(frames[:, 1:], actions, torch_rng(0)) < 0.01
    assert health.actions_show(frames, torch.ones(len(frames), 1), torch_rng(0)) == 1
    orders = [torch.randperm(len(actions), generator=torch_rng(0, "order", i)) for i in range(20)]
    chance = torch.tensor([health.actions_show(frames, actions[order], torch_rng(0)) for order in orders])
    assert (chance < 0.1).sum() < 7
    assert 0.25 < chance.mean() < 0.75


@dataclass(frozen=True)
class Flawed:
    """The dot world's perfect model, but for what it makes of the action and of the frame."""

    deaf: bool = False
    draws: bool = False
    noise: float = 0.0
    perfect: PerfectModel = field(default_factory=PerfectModel)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.perfect, name)

    def step(self, state: Tensor, action: Tensor, generator: torch.Generator) -> tuple[Prediction, Tensor]:
        prediction, after = self.perfect.step(state, torch.zeros_like(action) if self.deaf else action, generator)
        if self.draws:
            luck = torch.randn(prediction.frame.shape, generator=generator)
            prediction = replace(prediction, frame=0.9 * prediction.frame - 0.1 + self.noise * luck)
        return prediction, after


def examined(data: Path, model: Flawed, motion: float = 1.0) -> tuple[Metrics, set[str]]:
    """Numbers and kinds of trouble."""
    checkup = Checkup(EpisodeStore.open(data), 2, 0)
    real = torch.randint(256, (2, 9, 3, 4, 4), generator=torch_rng(0), dtype=torch.uint8)
    frames = (real[:, :1] + motion * (real.float() - real[:, :1])).byte()
    found = checkup.numbers(model, frames, real)  # type: ignore[arg-type]
    return found, set(checkup.troubles(found))


def test_a_perfect_model_is_in_good_health(data: Path) -> None:
    found, troubles = examined(data, Flawed())
    assert not troubles
    assert found["obedience"] > 0.5
    assert found["miss"] == 0
    assert found["motion"] == 1
    assert "spread" not in found


def test_a_model_that_ignores_actions_is_named_where_they_matter(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found, troubles = examined(data, Flawed(deaf=True))
    assert found["obedience"] == 0
    assert troubles == {"ignored action"}
    monkeypatch.setattr(health, "actions_show", lambda *rest: 0.5)
    assert not examined(data, Flawed(deaf=True))[1]


def test_a_frozen_rollout_is_named(data: Path) -> None:
    assert examined(data, Flawed(), motion=0.0)[1] == {"motion collapse"}
    assert not examined(data, Flawed(), motion=0.5)[1]


def test_a_model_that_draws_and_is_wrong_should_vary(data: Path) -> None:
    collapsed, varied = (examined(data, Flawed(deaf=True, draws=True, noise=noise)) for noise in (0.0, 0.3))
    assert collapsed[0]["spread"] == pytest.approx(0, abs=1e-6)
    assert "mode collapse" in collapsed[1]
    assert varied[0]["spread"] > 0.2
    assert "mode collapse" not in varied[1]
    assert "mode collapse" not in examined(data, Flawed(deaf=True))[1]  # by its nature it cannot vary


def beaten(metrics: list[Metrics]) -> Pulse:
    found = Pulse()
    for each in metrics:
        found.beat(each)
    return found


def course(now: Metrics, updates: int = 60, before: int = 400, **usual: float) -> list[Metrics]:
    """Long as it should be, and then as it is now."""
    well = {"reconstruction": 0.3, "norm/generator": 2.0, "told_apart": 0.7, "eagerness": 0.8, "horizon": 1.0} | usual
    return [well] * before + [well | now] * updates


TROUBLES = [
    ({"reconstruction": 1.0}, 40, "divergence"),
    ({"norm/generator": 0.0}, 40, "vanishing gradient"),
    ({"norm/generator": 500.0}, 40, "exploding gradient"),
    ({"told_apart": 1.0, "eagerness": 0.0}, 400, "saturated discriminator"),
    ({"told_apart": 0.5, "eagerness": 1.0}, 400, "blind discriminator"),
]


@pytest.mark.parametrize(("now", "updates", "kind"), TROUBLES, ids=[kind for *_, kind in TROUBLES])
def test_trouble_that_lasts_is_named(now: Metrics, updates: int, kind: str) -> None:
    found = pulse.troubles(beaten(course(now, updates)).numbers())
    assert set(found) == {kind}
    assert all("\n" not in line for line in found.values())
    assert not pulse.troubles(beaten(course(now, 5)).numbers())


def test_what_is_well_is_not_named() -> None:
    assert not pulse.troubles(beaten(course({})).numbers())
    assert not pulse.troubles(beaten(course({"reconstruction": 0.02}, reconstruction=0.005)).numbers())
    assert not pulse.troubles(beaten(course({"told_apart": 0.98, "eagerness": 0.1}, 400)).numbers())
    assert not pulse.troubles(beaten([{}] * 500).numbers())


def test_guessing_is_trouble_only_while_frames_are_wrong() -> None:
    """Nobody can tell frames apart that are the same."""
    guessing = {"told_apart": 0.5, "eagerness": 1.0}
    near, wrong = (beaten(course(guessing, 400, reconstruction=error)) for error in (0.03, 0.3))
    assert not pulse.troubles(near.numbers())
    [line] = pulse.troubles(wrong.numbers()).values()
    assert "err by 30% of what copying the last does" in line


def test_an_error_that_stays_high_has_diverged_unless_rollouts_became_longer() -> None:
    assert not beaten(course({"reconstruction": 1.0}, 40)).diverged
    assert beaten(course({"reconstruction": 1.0}, 3)).rising
    assert not beaten(course({"reconstruction": 1.0}, 1)).rising
    assert not beaten(course({"reconstruction": 1.0}, 1)).calm
    assert beaten(course({})).calm
    assert beaten(course({"reconstruction": 1.0}, 90)).diverged
    assert not beaten([*course({"reconstruction": 1.0}, 40), *course({}, before=0)]).rising
    assert not beaten(course({"reconstruction": 1.0, "horizon": 2.0}, 90)).rising


def test_a_pulse_that_was_saved_goes_on_alike() -> None:
    metrics = course({"reconstruction": 1.0, "told_apart": 0.9}, 90)
    for stop in (3, 380, 430):
        again = Pulse()
        again.load_state_dict(beaten(metrics[:stop]).state_dict())
        for each in metrics[stop:]:
            again.beat(each)
        assert again.state_dict() == beaten(metrics).state_dict()


def test_each_kind_is_said_once_in_a_while_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(alarm, "say", said.append)
    ring = Alarm(Run(tmp_path))
    for seconds in range(0, 700, 10):
        ring({"mode collapse": "one"} | ({"divergence": "two"} if seconds > 100 else {}), 1000 + seconds, seconds)
    expected = [
        "mode collapse at step 1,000: one", "divergence at step 1,110: two", "mode collapse at step 1,300: one",
        "divergence at step 1,410: two", "mode collapse at step 1,600: one",
    ]  # fmt: skip
    assert said == [f"worldgan: {line}" for line in expected]
    assert (tmp_path / "warnings.txt").read_text().splitlines() == expected


def test_a_warning_is_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    display.say("lower [bold]rate[/]")
    assert capsys.readouterr().err == "lower [bold]rate[/]\n"


def test_setbacks_count_until_there_is_a_new_checkpoint() -> None:
    three = Setbacks().to(5).to(5).to(5)
    assert (three.total, three.fruitless, three.rate) == (3, 3, 0.125)
    assert three.hopeless(5)
    assert not three.hopeless(6)
    assert three.to(6).fruitless == 1
