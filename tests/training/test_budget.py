"""A budget is spent by updates or by time, never by both."""

from __future__ import annotations

import pytest

from worldgan.errors import WorldganError
from worldgan.training.budget import Budget


def test_what_it_is_made_of_spends_it() -> None:
    assert [Budget(4, None).done(step, 1e6) for step in (0, 1, 4)] == [0, 0.25, 1]
    assert [Budget(None, 2.0).done(10**6, seconds) for seconds in (0.0, 30.0, 150.0)] == [0, 0.25, 1.25]


@pytest.mark.parametrize(("steps", "minutes"), [(None, None), (3, 1.0)])
def test_none_and_both_are_refused(steps: int | None, minutes: float | None) -> None:
    with pytest.raises(WorldganError, match=f"expected either steps or minutes, got steps={steps}, minutes={minutes}"):
        Budget(steps, minutes)
