"""Configuration says what it was given, and refuses what it cannot mean, in one line that helps."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest

from worldgan.config import check_fields, check_unchanged, from_mapping, load, presets, to_mapping
from worldgan.errors import WorldganError
from worldgan.training.trainer import Experiment


@dataclass(frozen=True)
class Inner:
    width: int = 4
    rate: float = 0.5
    kind: Literal["plain", "fancy"] = "plain"


@dataclass(frozen=True)
class Outer:
    name: str = "x"
    inner: Inner = field(default_factory=Inner)
    shape: tuple[int, ...] = (1, 2)
    pair: tuple[int, float] = (1, 2.0)
    minutes: float | None = None
    deep: bool = False
    extra: Mapping[str, Any] = field(default_factory=dict)


CHANGED = Outer("y", Inner(8, 1e-3, "fancy"), (3,), (4, 5.5), 2.0, True, {"a": [1, {"b": None}]})


@pytest.mark.parametrize("config", [Outer(), CHANGED])
def test_round_trips(config: Outer, tmp_path: Path) -> None:
    plain = to_mapping(config)
    assert from_mapping(Outer, plain) == config
    assert from_mapping(Outer, json.loads(json.dumps(plain))) == config
    path = tmp_path / "a.yaml"
    path.write_text(json.dumps(plain))  # JSON is YAML
    assert load(Outer, path) == config


def test_overrides() -> None:
    texts = ("name=y", "inner.width=8", "inner.rate=1e-3", "inner.kind=fancy", "shape=[3]", "pair=[4,5.5]")
    assert load(Outer, None, [*texts, "minutes=2", "deep=true", "extra.a=[1, {b: null}]"]) == CHANGED
    assert load(Outer, None, ["inner.width=5", "inner.width=6"]).inner.width == 6
    assert load(Outer, None, ["minutes="]).minutes is None
    assert load(Outer, None, ["name=a=b"]).name == "a=b"


@pytest.mark.parametrize("text", ["1e-3", "1E-3", "1.e-3", "1.0e-3", "0.001", "+1e-03"])
def test_numbers_are_numbers_however_written(text: str, tmp_path: Path) -> None:
    assert load(Inner, None, [f"rate={text}"]).rate == 1e-3
    (tmp_path / "a.yml").write_text(f"rate: {text}")
    assert load(Inner, tmp_path / "a.yml").rate == 1e-3


def test_overrides_win_over_the_file_and_the_file_over_defaults(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("name: file\ninner: {width: 9, rate: 0.1}\n")
    assert load(Outer, path, ["inner.width=7"]) == Outer("file", Inner(7, 0.1))
    path.write_text("")
    assert load(Outer, path) == Outer()


WRONG = [
    ("widht=3", r"unknown config key 'widht'"),
    ("inner.widht=3", r"unknown config key 'inner.widht': did you mean 'inner.width'\?"),
    ("iner.width=3", r"unknown config key 'iner': did you mean 'inner'\?"),
    ("inner.kind=fanzy", r"unknown value of inner.kind 'fanzy': did you mean 'fancy'\?"),
    ("inner.width=wide", r"expected int for inner.width, got 'wide'"),
    ("inner.width=1.5", r"expected int for inner.width, got 1.5"),
    ("inner.width=true", r"expected int for inner.width, got True"),
    ("inner.rate=fast", r"expected float for inner.rate, got 'fast'"),
    ("inner.rate=true", r"expected float for inner.rate, got True"),
    ("deep=1", r"expected bool for deep, got 1"),
    ("name=3", r"expected str for name, got 3"),
    ("shape=3", r"expected tuple for shape, got 3"),
    ("shape=[1,x]", r"expected int for shape, got 'x'"),
    ("pair=[1,2,3]", r"expected tuple for pair, got \[1, 2, 3\]"),
    ("minutes=soon", r"expected float for minutes, got 'soon'"),
    ("inner=3", r"expected a mapping for inner., got 3"),
    ("name.first=3", r"expected str for name, got \{'first': 3\}"),
    ("extra=3", r"expected Mapping for extra, got 3"),
    ("shape=[1", r"expected YAML in 'shape=\[1'"),
    ("name=2026-13-45", r"expected YAML in 'name=2026-13-45'"),
    ("width", r"expected an override like key=value, got 'width'"),
]


@pytest.mark.parametrize(("override", "message"), WRONG, ids=[override for override, _ in WRONG])
def test_wrong_overrides_are_named(override: str, message: str) -> None:
    with pytest.raises(WorldganError, match=message) as caught:
        load(Outer, None, [override])
    assert "\n" not in str(caught.value)


def test_a_value_is_no_section() -> None:
    with pytest.raises(WorldganError, match=r"'shape' in 'shape\.first=3' to name a section"):
        load(Outer, None, ["shape=[1]", "shape.first=3"])


@pytest.mark.parametrize(
    "data",
    [b"a: [1", b"a: b: c", b"\t- x", b"\xff\xfe\xfa", b"a: \xe9\xe9", b"\x00\x01", b"- 1\n- 2", b"just text", b"&a *b"],
)
def test_files_that_are_no_configuration_are_one_line(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(data)
    with pytest.raises(WorldganError, match=r"a\.yaml") as caught:
        load(Outer, path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("tag", ["apply:os.mkdir", "new:os.mkdir", "name:os.mkdir", "module:os", "tuple"])
def test_files_make_no_objects_and_run_no_code(tag: str, tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(
        f"name: !!python/object/{tag} ['{tmp_path / 'made'}']\nother: !!python/{tag} ['{tmp_path / 'made'}']"
    )
    with pytest.raises(WorldganError, match=r"a\.yaml: could not determine a constructor") as caught:
        load(Outer, path)
    assert "\n" not in str(caught.value)
    with pytest.raises(WorldganError, match="could not determine a constructor"):
        load(Outer, None, [f"name=!!python/object/{tag} ['{tmp_path / 'made'}']"])
    assert not (tmp_path / "made").exists()


def test_missing_files_and_presets(tmp_path: Path) -> None:
    with pytest.raises(WorldganError, match=r"expected a YAML file at .*none\.yaml, found none"):
        load(Outer, tmp_path / "none.yaml")
    with pytest.raises(WorldganError, match="unknown preset 'none'"):
        load(Outer, "none")
    for name in presets():
        with pytest.raises(WorldganError, match=f"unknown preset '{name}z': did you mean '{name}'"):
            load(Outer, f"{name}z")


def test_a_missing_value_without_default_is_named() -> None:
    @dataclass(frozen=True)
    class Needs:
        steps: int
        name: str = ""

    with pytest.raises(WorldganError, match="expected steps for Needs, got nothing"):
        from_mapping(Needs, {})
    with pytest.raises(WorldganError, match="expected steps for needs, got name"):
        from_mapping(Needs, {"name": "a"}, where="needs.")


def test_an_override_does_not_reach_through_a_yaml_alias(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("model: &same {deep: {width: 1}}\ntraining: *same\n")

    @dataclass(frozen=True)
    class Two:
        model: dict[str, Any]
        training: dict[str, Any]

    found = load(Two, tmp_path / "a.yaml", ["model.deep.width=2"])
    assert (found.model, found.training) == ({"deep": {"width": 2}}, {"deep": {"width": 1}})


def test_the_first_field_that_does_not_hold_is_named() -> None:
    config = Outer(pair=(0, 0.5), inner=Inner(width=0))
    check_fields(config.inner, lambda x: x > 0, "above 0", "rate")
    check_fields(config, lambda x: x > 0, "above 0", "minutes")  # there is none
    with pytest.raises(WorldganError, match=r"^expected pair of two halves, got \(0, 0\.5\)$"):
        check_fields(config, lambda x: len(x) == 2 and x[0] == x[1], "of two halves", "pair", "name")
    with pytest.raises(WorldganError, match=r"^expected inner\.width above 0, got 0$"):
        check_fields(config.inner, lambda x: x > 0, "above 0", "rate", "width", where="inner.")


def test_what_differs_is_named_by_its_path() -> None:
    was = {"a": {"b": [1], "c": 2, "later": None}}
    check_unchanged(was, {"a": {"c": 2, "b": [1]}}, Path("run"))
    for now, message in (
        ({"a": {"b": [1], "c": 3}}, "expected a.c 2, as run was begun with, to go on with it, got 3"),
        ({"a": {"b": [1, 2], "c": 2}}, r"expected a.b \[1\], .* got \[1, 2\]"),
        ({"a": {"b": [1]}}, "expected a.c 2, .* got None"),
        ({"a": 1}, "expected a {.*}, .* got 1"),
    ):
        with pytest.raises(WorldganError, match=message):
            check_unchanged(was, now, Path("run"))


def test_every_preset_is_an_experiment() -> None:
    experiments = [name for name in presets() if not name.startswith("bench/")]
    assert experiments
    for name in experiments:
        experiment = load(Experiment, name)
        experiment.model_config()
        assert (experiment.training.steps is None) != (experiment.training.minutes is None)
