"""Configuration: frozen dataclasses read from YAML and dotted overrides; an unknown key is refused by name."""

from __future__ import annotations

import inspect
import re
import types
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, is_dataclass
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

import yaml

from worldgan.errors import WorldganError, unknown

T = TypeVar("T")


class UnknownKey(WorldganError):
    """A mapping has a key that the config does not know.    key: its dotted path."""

    def __init__(self, key: str, valid: Iterable[str]) -> None:
        super().__init__(str(unknown("config key", key, valid)))
        self.key = key


def to_mapping(config: Any) -> dict[str, Any]:
    """A dataclass as plain dicts, lists and scalars, ready for JSON or YAML."""
    plain = _plain(asdict(config))
    assert isinstance(plain, dict)
    return plain


def from_mapping(cls: type[T], mapping: Mapping[str, Any], *, where: str = "") -> T:
    """Build dataclass ``cls`` from plain values, recursively; missing keys take the defaults.

    where: dotted path of ``mapping``, for messages.
    Raises UnknownKey, and WorldganError for a missing key or a value of the wrong type.
    """
    if not isinstance(mapping, Mapping):
        raise WorldganError(f"expected a mapping for {where or cls.__name__}, got {mapping!r}")
    hints = typing.get_type_hints(cls)
    for key in mapping:
        if key not in hints:
            raise UnknownKey(f"{where}{key}", [f"{where}{name}" for name in hints])
    values = {key: _value(hints[key], value, f"{where}{key}") for key, value in mapping.items()}
    missing = [name for name, value in inspect.signature(cls).parameters.items() if value.default is value.empty]
    if absent := [name for name in missing if name not in values]:
        told = ", ".join(mapping) or "nothing"
        raise WorldganError(f"expected {' and '.join(absent)} for {where.rstrip('.') or cls.__name__}, got {told}")
    try:
        return cls(**values)
    except TypeError as error:  # what is inside lists is checked by none but the dataclass itself
        raise WorldganError(f"expected other values for {where.rstrip('.') or cls.__name__}: {error}") from None


def load(cls: type[T], source: str | Path | None, overrides: Sequence[str] = ()) -> T:
    """Read ``cls`` from a YAML file or the name of a shipped preset, then apply overrides like ``model.events=4``.

    None starts from the defaults. Raises WorldganError for a missing file, bad YAML or a bad key.
    """
    mapping = _read(source) if source is not None else {}
    for override in overrides:
        _override(mapping, override)
    return from_mapping(cls, mapping)


def check_fields(config: Any, holds: Callable[[Any], bool], expected: str, *names: str, where: str = "") -> None:
    """Raises WorldganError for the first field of those ``names`` that ``holds`` does not hold of; None always passes.

    expected: what the message says of it.    where: dotted path of ``config``, as in ``from_mapping``.
    """
    for name in names:
        value = getattr(config, name)
        if value is not None and not holds(value):
            raise WorldganError(f"expected {where}{name} {expected}, got {value}")


def check_unchanged(was: Mapping[str, Any], now: Mapping[str, Any], where: Path) -> None:
    """Raises WorldganError, naming the dotted key, if plain values differ from those that ``where`` was begun with.

    A key that is missing counts as None.
    """
    found = _difference(was, now, "")
    if found is not None:
        name, old, new = found
        raise WorldganError(f"expected {name} {old!r}, as {where} was begun with, to go on with it, got {new!r}")


def presets() -> list[str]:
    """Names of the shipped presets."""
    root = resources.files("worldgan.configs")
    folders = {"": root, **{f"{each.name}/": each for each in root.iterdir() if each.is_dir()}}
    found = (f"{prefix}{path.name}" for prefix, folder in folders.items() for path in folder.iterdir())
    return sorted(name.removesuffix(".yaml") for name in found if name.endswith(".yaml"))


_DEEPEST = 50


class _Loader(yaml.SafeLoader):
    """YAML 1.1 takes 1e-3 for text; here it is a number, as in YAML 1.2 and Python. Deep nesting is refused."""

    def fetch_flow_collection_start(self, TokenClass: Any) -> None:
        """100 000 brackets take PyYAML a minute to give up on."""
        if self.flow_level >= _DEEPEST:
            raise yaml.YAMLError(f"more than {_DEEPEST} lists within lists")
        super().fetch_flow_collection_start(TokenClass)


_EXPONENT = re.compile(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+$")
_Loader.add_implicit_resolver("tag:yaml.org,2002:float", _EXPONENT, list("-+0123456789"))


def parse(text: str | bytes, where: str) -> Any:
    """The plain value that YAML ``text`` stands for. Raises WorldganError, naming ``where`` it was found."""
    try:
        return yaml.load(text, _Loader)
    except RecursionError:
        raise WorldganError(f"expected YAML in {where}, got lists within lists without end") from None
    except Exception as error:  # beside YAMLError, whatever int, bool, date, ... raise: {!!bool x}, 2026-13-01
        reason = " ".join(str(error).split()) or type(error).__name__
        raise WorldganError(f"expected YAML in {where}: {reason}") from None


def _read(source: str | Path) -> dict[str, Any]:
    path = Path(source)
    if path.suffix not in {".yaml", ".yml"}:
        if str(source) not in presets():
            raise unknown("preset", str(source), presets())
        text = (resources.files("worldgan.configs") / f"{source}.yaml").read_bytes()
    elif path.is_file():
        text = path.read_bytes()
    else:
        raise WorldganError(f"expected a YAML file at {path}, found none")
    mapping = _unshared(parse(text, str(source)) or {})
    if not isinstance(mapping, dict):
        raise WorldganError(f"expected a mapping in {source}, got {type(mapping).__name__}")
    return mapping


def _unshared(value: Any) -> Any:
    """The same with sections of their own, so that to override one is not to override a YAML alias of it."""
    return {key: _unshared(item) for key, item in value.items()} if isinstance(value, dict) else value


def _override(mapping: dict[str, Any], override: str) -> None:
    path, equals, text = override.partition("=")
    if not equals:
        raise WorldganError(f"expected an override like key=value, got {override!r}")
    *parents, key = path.split(".")
    for parent in parents:
        mapping = mapping.setdefault(parent, {})
        if not isinstance(mapping, dict):
            raise WorldganError(f"expected {parent!r} in {override!r} to name a section")
    mapping[key] = parse(text, repr(override))


def _difference(was: Any, now: Any, name: str) -> tuple[str, Any, Any] | None:
    """The first of what differs in two plain values called ``name``: its dotted name, and both its values."""
    if not (isinstance(was, Mapping) and isinstance(now, Mapping)):
        return None if was == now else (name, was, now)
    inside = (_difference(was.get(key), now.get(key), f"{name}.{key}" if name else key) for key in {**was, **now})
    return next((found for found in inside if found is not None), None)


def _value(hint: Any, value: Any, where: str) -> Any:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if is_dataclass(hint) and isinstance(hint, type):
        return from_mapping(hint, value, where=f"{where}.")
    if origin in {types.UnionType, typing.Union}:
        if value is None and type(None) in arguments:
            return None
        return _value(next(a for a in arguments if a is not type(None)), value, where)
    if origin is tuple and isinstance(value, list | tuple):
        kinds = [arguments[0]] * len(value) if arguments[-1] is Ellipsis else list(arguments)
        if len(kinds) == len(value):
            return tuple(_value(kind, item, where) for kind, item in zip(kinds, value, strict=True))
    elif origin is typing.Literal:
        if value in arguments:
            return value
        raise unknown(f"value of {where}", str(value), [str(a) for a in arguments])
    elif hint is float and type(value) in {int, float} and _fits(value):
        return float(value)
    elif hint is Any or type(value) is hint or (origin is not None and isinstance(value, origin)):
        return value
    raise WorldganError(f"expected {getattr(hint, '__name__', hint)} for {where}, got {value!r}")


def _fits(number: int | float) -> bool:
    """Whether it has a float, as 10 ** 400 has not."""
    return isinstance(number, float) or abs(number) < 2**1023


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    assert value is None or isinstance(value, bool | int | float | str), f"not plain: {value!r}"
    return value
