"""Pages of docs/ as what they show: blocks of code, done in order, so that none can be wrong."""

from __future__ import annotations

import importlib
import re
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from worldgan import cli

DOCS = Path(__file__).parents[1] / "docs"


class Block(NamedTuple):
    """What stands between two fences."""

    language: str
    text: str


def blocks(page: str) -> list[Block]:
    """Of a page under docs/."""
    return [Block(*found) for found in re.findall(r"```(\w+)\n(.*?)```", (DOCS / page).read_text(), re.DOTALL)]


def perform(page: str, budgets: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Do what a page shows in the current folder; returns the variables of its Python.

    A Python block that begins with ``# name.py`` is written to that file, any other is run, all in one namespace.
    budgets: words of the page -> what is done instead, for time's sake; all of them must be there.
    """
    found, unused, names = blocks(page), set(budgets or {}), dict[str, Any]()
    for language, text in found:
        for words, instead in (budgets or {}).items():
            unused -= {words} if words in text else set()
            text = text.replace(words, instead)
        if language == "sh":
            shell(text)
        elif file := re.match(r"# (\w+\.py)\n", text) if language == "python" else None:
            Path(file[1]).write_text(text)
            importlib.invalidate_caches()
        elif language == "python":
            exec(compile(text, page, "exec", dont_inherit=True), names)
    assert not unused, f"{page} has no {unused}"
    return names


def shell(text: str) -> None:
    """Lines of ``worldgan``."""
    for line in text.splitlines():
        program, *arguments = shlex.split(line, comments=True)
        assert program == "worldgan", line
        assert cli.main(arguments) == 0, line


def forget_modules(folder: Path) -> None:
    """As if what was imported from a folder had never been."""
    for name, module in [*sys.modules.items()]:
        if str(getattr(module, "__file__", None) or "").startswith(f"{folder}/"):
            del sys.modules[name]
