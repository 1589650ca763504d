"""Writes docs/cli.md from the signatures and docstrings of the verbs: python docs/reference.py > docs/cli.md"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import tyro
import yaml

from worldgan import cli
from worldgan.agents import DreamConfig, PlannerConfig
from worldgan.cli.datasets import JOBS
from worldgan.cli.settings import OneOf
from worldgan.config import to_mapping
from worldgan.learn import LearnConfig
from worldgan.models import FAMILIES
from worldgan.models.adversary import AdversaryConfig
from worldgan.models.backbone import BackboneConfig
from worldgan.models.learning import OptimiserConfig
from worldgan.training.trainer import TrainingConfig

Verb = Callable[..., None]

HEAD = """\
# The command line

What each verb takes, made from the code by `python docs/reference.py > docs/cli.md`; `worldgan VERB --help` says the
same. Settings (`KEY=VALUE`) may follow each other or repeat their option. `worldgan` returns 0; 2 for what cannot be
done, with one line that says why; 130 when interrupted. What `--set` can set, with its defaults, stands
[at the end](#settings)."""

SETTINGS = """
## Settings

`worldgan train --set training.batch=64 model.events=4` sets single fields; a YAML file or preset (`--config`), many:

```yaml
family: gan
model:
  events: 4
training:
  batch: 64
```

`worldgan plan --set iterations=4` sets fields of the planner, without a prefix. All fields, as they are unless set:"""

POSITIONAL = get_args(tyro.conf.Positional[Any])[1]
METAVARS = {Path: "PATH", str: "TEXT", int: "INT", float: "NUMBER"}


def verbs() -> dict[str, Verb]:
    """What is typed after `worldgan` -> the function that does it; those of `data` after it."""
    found: dict[str, Verb] = {}
    for name, verb in cli.VERBS.items():
        found[name] = verb
        if verb is cli.data:
            found |= {f"data {name}": job for name, job in JOBS.items()}
    return found


def described(verb: Verb) -> tuple[str, dict[str, str]]:
    """The docstring's text, and parameter -> help."""
    text, _, arguments = (inspect.getdoc(verb) or "").partition("\n\nArgs:\n")
    return text, dict(re.findall(r"^ +(\w+): (.+)$", arguments, re.MULTILINE))


def metavar(hint: Any) -> tuple[str, str]:
    """A type -> what stands for its value, and what it may be if that is one of few."""
    if get_origin(hint) in {Union, UnionType}:
        hint = next(each for each in get_args(hint) if each is not type(None))  # the help says what else it may be
    if get_origin(hint) is Literal:
        return "NAME", ", ".join(map(str, get_args(hint)))
    if get_origin(hint) is tuple:
        return f"{metavar(get_args(hint)[0])[0]} ...", ""
    return ("" if hint is bool else METAVARS[hint]), ""


def option(parameter: inspect.Parameter, hint: Any, text: str) -> str:
    """A row of a verb's table."""
    hint, *marks = get_args(hint) if get_origin(hint) is Annotated else (hint,)
    named = {key: value for mark in marks for key in ("name", "metavar") if (value := getattr(mark, key, None))}
    few = [each for mark in marks if isinstance(each := getattr(mark, "help_behavior_hint", None), OneOf)]
    value, choices = ("KEY=VALUE ...", "") if "metavar" in named else metavar(hint)
    value, choices = ("NAME", ", ".join(few[0].names())) if few else (value, choices)
    name = named.get("name", parameter.name).replace("_", "-")
    typed = f"{name.upper()} ..." if value.endswith("...") else name.upper()
    typed = typed if POSITIONAL in marks else f"--{name} {value}".rstrip()
    text = f"{text.rstrip('.')}: {choices}" if choices else text if text.endswith("...") else text.rstrip(".")
    return f"| `{typed}` | {text} | {default(parameter.default)} |"


def default(value: Any) -> str:
    """What the last column says."""
    if value is inspect.Parameter.empty:
        return "required"
    return "" if value is None or value is False or value == () else f"`{value}`"


def section(name: str, verb: Verb) -> Iterator[str]:
    """A verb's lines."""
    text, helps = described(verb)
    yield from ("", f"## worldgan {name}", "", text)
    hints = get_type_hints(verb, include_extras=True)
    parameters = [each for each in inspect.signature(verb).parameters.values() if each.name in helps]
    if parameters:
        yield from ("", "| | | default |", "| --- | --- | --- |")
    for each in parameters:
        yield option(each, hints[each.name], helps[each.name])


def settings() -> Iterator[str]:
    """The lines of all that can be set."""
    yield SETTINGS
    models = {f"model, family {name}": family.config for name, family in FAMILIES.items()}
    parts = {"model.backbone": BackboneConfig, "model.optimiser": OptimiserConfig, "model.adversary": AdversaryConfig}
    agents = {"planner": PlannerConfig, "dream": DreamConfig, "learn": LearnConfig}
    for name, config in {"training": TrainingConfig, **models, **parts, **agents}.items():
        defaults = yaml.safe_dump(to_mapping(config()), sort_keys=False, default_flow_style=None)
        text = inspect.getdoc(config) or ""
        yield from ("", f"### {name}", "", "```text", text, "```", "", "```yaml", defaults.rstrip(), "```")


def page() -> str:
    """All of docs/cli.md."""
    lines = [line for name, verb in verbs().items() for line in section(name, verb)]
    return "\n".join([HEAD, *lines, *settings(), ""])


if __name__ == "__main__":
    print(page(), end="")
