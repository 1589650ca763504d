"""Agents from folders play what they were trained for, under names that tell them apart."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from fakes import dot_spec
from play_fakes import untaught

from worldgan.errors import WorldganError
from worldgan.play.run import actors


def test_names(tmp_path: Path) -> None:
    spec = dot_spec()
    one, two = untaught(tmp_path / "one", spec), untaught(tmp_path / "two", replace(spec, id="mine:dot"))
    assert [*actors([], spec)] == []
    assert [*actors([one], spec)] == ["actor"]
    assert [*actors([one, two], spec)] == [f"actor {one}", f"actor {two}"]


def test_agents_of_another_env(tmp_path: Path) -> None:
    good = untaught(tmp_path / "good", dot_spec())
    larger = untaught(tmp_path / "larger", dot_spec(9))
    alike = untaught(tmp_path / "alike", replace(dot_spec(), id="spot"))
    with pytest.raises(WorldganError, match=r"expected an agent for dot, of \(8, 8, 3\) frames"):
        actors([good, larger], dot_spec())
    with pytest.raises(WorldganError, match=rf"expected an agent trained on dot, got {alike}, trained on spot"):
        actors([good, alike], dot_spec())
