"""Writes docs/licences.md from what installed packages say of themselves: python docs/licences.py > docs/licences.md"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from worldgan.export import npm

ROOT = Path(__file__).parents[1]

HEAD = """\
# Licences

worldgan has the [MIT licence](../LICENSE). This is what it and its extras need, in the versions of
[constraints.txt](../constraints.txt), and the licence that each states in its metadata: no legal advice, and a package
may contain files under others. `pip install worldgan` installs those of "worldgan" alone,
`pip install 'worldgan[atari]'` those of the extra `atari` too. Systems differ: some need packages that are not here,
such as NVIDIA's libraries for builds of torch with CUDA, which have licences of their own.
Made by `python docs/licences.py > docs/licences.md`.

| package | version | licence | comes with |
| --- | --- | --- | --- |"""

ABSENT = "not installed where this page was made"
PLATFORM = ("platform", "os_name")
"""What markers of requirements contain that do not hold on every system."""


def pinned() -> dict[str, str]:
    """Package -> version, as constraints.txt has them."""
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    return dict(line.split("==") for line in lines if not line.startswith("#"))


def licence(package: str) -> str:
    """What an installed package states: an SPDX expression, else classifiers, else the first line of its own words."""
    try:
        about = metadata.metadata(package)
    except metadata.PackageNotFoundError:
        return ABSENT
    expression, text = about.get("License-Expression"), about.get("License") or ""
    classifiers = [each for each in about.get_all("Classifier", []) if each.startswith("License ::")]
    named = ", ".join(each.rpartition(" :: ")[2] for each in classifiers)
    return expression or named or text.partition("\n")[0] or "not stated"


def requirements() -> dict[str, list[str]]:
    """Of worldgan itself and of each of its extras."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return {"worldgan": project["dependencies"], **project["optional-dependencies"]}


def needed(required: Iterable[str], *, everywhere: bool = False) -> set[str]:
    """Canonical names of installed packages that are required, that those require, and so on.

    everywhere: without those that are required on some systems only.
    """
    seen, todo = set[tuple[str, str]](), [Requirement(each) for each in required]
    while todo:
        each = todo.pop()
        name = canonicalize_name(each.name)
        for extra in {"", *each.extras} if _installed(name) else ():
            if (name, extra) not in seen:
                seen.add((name, extra))
                further = map(Requirement, metadata.requires(name) or [])
                todo += [one for one in further if _applies(one, extra, everywhere)]
    return {name for name, _ in seen}


def _installed(name: str) -> bool:
    return any(metadata.distributions(name=name))


def _applies(requirement: Requirement, extra: str, everywhere: bool) -> bool:
    marker = requirement.marker
    if marker is None:
        return True
    return marker.evaluate({"extra": extra}) and not (everywhere and any(word in str(marker) for word in PLATFORM))


def rows() -> Iterator[str]:
    """A line for each package, and for what is fetched from elsewhere."""
    found = {part: needed(required) for part, required in requirements().items()}
    for name, version in pinned().items():
        parts = [part for part, names in found.items() if canonicalize_name(name) in names]
        origin = "worldgan" if "worldgan" in parts else ", ".join(parts)
        yield f"| {name} | {version} | {licence(name)} | {origin} |"
    yield f"| onnxruntime-web, of npm | {npm.VERSION} | MIT | pages of `worldgan export --web`, with its notices |"


def page() -> str:
    """All of docs/licences.md."""
    return "\n".join([HEAD, *rows(), ""])


if __name__ == "__main__":
    print(page(), end="")
