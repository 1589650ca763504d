"""The nearest valid name is offered, or all of them."""

from __future__ import annotations

import pytest

from worldgan.errors import unknown

VALID = ["gan", "mse", "Diffusion"]


@pytest.mark.parametrize(
    ("name", "nearest"), [("gna", "gan"), ("GAN", "gan"), ("diffusoin", "Diffusion"), ("msee", "mse")]
)
def test_the_nearest_is_named(name: str, nearest: str) -> None:
    assert str(unknown("family", name, VALID)) == f"unknown family {name!r}: did you mean {nearest!r}?"


def test_without_a_near_one_all_are_named() -> None:
    assert str(unknown("family", "xyzzy", VALID)) == "unknown family 'xyzzy': valid: Diffusion, gan, mse"
    assert str(unknown("family", "xyzzy", [])) == "unknown family 'xyzzy': valid: none"
