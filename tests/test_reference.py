"""docs/cli.md is what the code says."""

from __future__ import annotations

import inspect
import re
import runpy

import pytest
from pages import DOCS

from worldgan import cli

REFERENCE = runpy.run_path(str(DOCS / "reference.py"))
VERBS = REFERENCE["verbs"]()


def test_the_page_is_what_is_generated_now() -> None:
    assert (DOCS / "cli.md").read_text() == REFERENCE["page"](), "python docs/reference.py > docs/cli.md"


@pytest.mark.parametrize("name", VERBS)
def test_every_option_is_there_as_it_is_typed(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main([*name.split(), "--help"])
    typed = set(re.findall(r"(--[a-z][a-z-]*)", capsys.readouterr().out)) - {"--help"}
    rows = "\n".join(REFERENCE["section"](name, VERBS[name]))
    shown = set(re.findall(r"^\| `(--[a-z][a-z-]*)", rows, re.MULTILINE))
    assert {option for option in typed if not option.startswith("--no-")} == shown


@pytest.mark.parametrize("name", sorted(VERBS.keys() - {"data"}))
def test_every_parameter_is_explained(name: str) -> None:
    _, helps = REFERENCE["described"](VERBS[name])
    assert helps.keys() == inspect.signature(VERBS[name]).parameters.keys()
