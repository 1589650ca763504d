"""Something of worldgan that reads a file, and ways to make wrong ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

TB10 = 10 * 2**40


@dataclass(frozen=True)
class Reader:
    """name: of the kind of file.    read: bytes -> anything, or WorldganError.    make: a wrong file.
    huge: files that declare some 10 TB, which are to be refused at once.
    """

    name: str
    read: Callable[[bytes], Any]
    make: Callable[[Random], bytes]
    huge: tuple[bytes, ...] = ()
