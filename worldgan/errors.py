"""The one exception that means "you asked for something that cannot be done"; the CLI prints it in a line."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager


class WorldganError(Exception):
    """What was expected, what arrived, and what to do about it, in one line. Exit code 2 on the command line."""


def unknown(what: str, name: str, valid: Iterable[str]) -> WorldganError:
    """The error for a ``name`` that is not among ``valid``, with the nearest that is."""
    choices = sorted(valid)
    folded = {choice.lower(): choice for choice in choices}
    near = difflib.get_close_matches(name.lower(), folded, n=1, cutoff=0.4)
    hint = f"did you mean {folded[near[0]]!r}?" if near else f"valid: {', '.join(choices) or 'none'}"
    return WorldganError(f"unknown {what} {name!r}: {hint}")


@contextmanager
def extra(name: str) -> Iterator[None]:
    """Turn a failed import inside into a WorldganError that names the extra to install."""
    try:
        yield
    except ImportError as error:
        reason = " ".join(str(error).split())
        raise WorldganError(
            f"the {name!r} extra is missing: run pip install -e '.[{name}]' in worldgan's folder ({reason})"
        ) from None
