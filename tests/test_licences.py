"""docs/licences.md lists what constraints.txt does, and constraints.txt all that is needed."""

from __future__ import annotations

import re
import runpy
from email.message import Message
from importlib import metadata

import pytest
from packaging.utils import canonicalize_name
from pages import DOCS

LICENCES = runpy.run_path(str(DOCS / "licences.py"))
PINNED = LICENCES["pinned"]()
ROWS = re.findall(r"^\| (\S+) \| (\d\S*) \| (.+) \| .* \|$", (DOCS / "licences.md").read_text(), re.MULTILINE)
PAGE = {package: (version, licence) for package, version, licence in ROWS}
AGAIN = "python docs/licences.py > docs/licences.md"


def here(package: str) -> str | None:
    """The installed version, without what a build adds to it ("+cpu")."""
    try:
        return metadata.version(package).partition("+")[0]
    except metadata.PackageNotFoundError:
        return None


def test_every_pinned_package_is_on_the_page_in_its_version() -> None:
    assert {package: version for package, (version, _) in PAGE.items()} == PINNED, AGAIN


def test_licences_are_those_that_installed_packages_state() -> None:
    found = {package: LICENCES["licence"](package) for package, version in PINNED.items() if here(package) == version}
    assert len(found) > 20
    assert {package: PAGE[package][1] for package in found} == found, AGAIN


def test_what_is_fetched_from_elsewhere_is_on_the_page() -> None:
    assert list(LICENCES["rows"]())[-1] in (DOCS / "licences.md").read_text(), AGAIN


@pytest.mark.parametrize("part", LICENCES["requirements"]())
def test_what_is_needed_everywhere_and_installed_has_its_version_in_the_constraints(part: str) -> None:
    required = LICENCES["requirements"]()[part]
    missing = LICENCES["needed"](required, everywhere=True) - {canonicalize_name(package) for package in PINNED}
    assert not missing, f"put their versions into constraints.txt, then {AGAIN}"


def test_what_is_needed_is_found_through_others_and_their_extras() -> None:
    assert {"minari", "h5py", "numpy"} <= LICENCES["needed"](["minari[hdf5]"]) or here("minari") is None
    assert {"torch", "sympy", "mpmath"} <= LICENCES["needed"](["torch"])
    assert LICENCES["needed"](["no-such-package"]) == set()


def test_a_package_that_is_not_installed_is_said_to_be_so() -> None:
    assert LICENCES["licence"]("no-such-package") == LICENCES["ABSENT"]


@pytest.mark.parametrize(
    ("stated", "licence"),
    [
        ({"License-Expression": "MIT", "License": "other", "Classifier": "License :: OSI Approved :: Old"}, "MIT"),
        ({"Classifier": "License :: OSI Approved :: BSD License", "License": "other"}, "BSD License"),
        ({"License": "BSD\nCopyright", "Classifier": "Topic :: Games"}, "BSD"),
        ({}, "not stated"),
    ],
)
def test_the_most_exact_statement_counts(stated: dict[str, str], licence: str, monkeypatch: pytest.MonkeyPatch) -> None:
    about = Message()
    for key, value in stated.items():
        about[key] = value
    monkeypatch.setattr("importlib.metadata.metadata", lambda package: about)
    assert LICENCES["licence"]("any") == licence
