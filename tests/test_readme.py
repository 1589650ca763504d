"""What README.md tells a newcomer to type exists: targets, the virtual environment, verbs and their options."""

from __future__ import annotations

import functools
import inspect
import re
import shlex
from collections.abc import Callable

import pytest
from pages import DOCS, blocks

from worldgan import cli

MAKEFILE = (DOCS.parent / "Makefile").read_text()
LINES = [line for block in blocks("../README.md") if block.language == "sh" for line in block.text.splitlines()]


def idle(verb: Callable[..., None]) -> Callable[..., None]:
    """It takes what the verb takes, and does nothing."""

    @functools.wraps(verb)
    def nothing(*values: object, **named: object) -> None:
        inspect.signature(verb).bind(*values, **named)

    return nothing


@pytest.mark.parametrize("line", LINES)
def test_a_line_of_the_readme(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "VERBS", {name: idle(verb) for name, verb in cli.VERBS.items()})
    match shlex.split(line, comments=True):
        case ["make", target]:
            assert re.search(rf"^{target}:", MAKEFILE, re.MULTILINE)
        case ["source", script]:
            assert script == re.findall(r"^VENV := (\S+)", MAKEFILE, re.MULTILINE)[0] + "/bin/activate"
        case ["worldgan", *words]:
            assert cli.main(words) == 0
        case other:
            pytest.fail(f"expected make, source or worldgan, got {other}")
