"""Valid files made invalid: bits, bytes, lengths, numbers and whole parts of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from random import Random

EXTREMES = (0, 1, 2**7, 2**8 - 1, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1, 10**13, 2**63 - 1, 2**63, 2**64 - 1)
TOKENS = (
    *(b"null", b"true", b"[]", b"{}", b'""', b'"x"', b"NaN", b"Infinity", b"-Infinity", b"1e999", b"-1", b"0", b"1.5"),
    *(b"10000000000000", b"1" + b"0" * 400, b"[" * 3000, b'{"a":' * 2000, b'"\\ud800"', b"[[1]]", b"\xff\xfe", b"\0"),
    *(b"!!int ''", b"!!bool x", b"!!timestamp x", b"&a [*a]", b"? [1]", b"<<: *a", b"2026-13-01", b".nan", b".inf"),
)
_NUMBER = re.compile(rb"-?\d+(\.\d+)?")
_TOKEN = re.compile(rb'"[^"]*"|-?\d+(\.\d+)?|true|false|null|\[[^\[\]]*\]|\{[^{}]*\}')


def mutate(data: bytes, others: Sequence[bytes], rng: Random) -> bytes:
    """One to four changes, each of a kind of its own."""
    for _ in range(rng.choice((1, 1, 1, 2, 3, 4))):
        data = rng.choice(CHANGES)(data, rng.choice(others), rng)
    return data


def _flip(data: bytes, other: bytes, rng: Random) -> bytes:
    return _put(data, _at(data, rng), lambda byte: byte ^ (1 << rng.randrange(8)))


def _byte(data: bytes, other: bytes, rng: Random) -> bytes:
    return _put(data, _at(data, rng), lambda byte: rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256))))


def _cut(data: bytes, other: bytes, rng: Random) -> bytes:
    return data[: _at(data, rng)]


def _drop(data: bytes, other: bytes, rng: Random) -> bytes:
    start = _at(data, rng)
    return data[:start] + data[start + rng.choice((1, 2, 4, 8, 64)) :]


def _repeat(data: bytes, other: bytes, rng: Random) -> bytes:
    start = _at(data, rng)
    part = data[start : start + rng.choice((1, 4, 16, 256))]
    return data[:start] + part * rng.choice((2, 3, 50)) + data[start:]


def _splice(data: bytes, other: bytes, rng: Random) -> bytes:
    return data[: _at(data, rng)] + other[_at(other, rng) :]


def _length(data: bytes, other: bytes, rng: Random) -> bytes:
    """An extreme integer over 2, 4 or 8 bytes, as lengths are written."""
    size, start = rng.choice((2, 4, 8)), _at(data, rng)
    number = rng.choice(EXTREMES) % 2 ** (8 * size)
    return data[:start] + number.to_bytes(size, rng.choice(("little", "big"))) + data[start + size :]


def _number(data: bytes, other: bytes, rng: Random) -> bytes:
    """An extreme number for one that is written out."""
    return _replace(_NUMBER, data, str(rng.choice((1, -1)) * rng.choice(EXTREMES)).encode(), rng)


def _token(data: bytes, other: bytes, rng: Random) -> bytes:
    """Something else for a word, a number, a short list."""
    return _replace(_TOKEN, data, rng.choice(TOKENS), rng)


CHANGES = (_flip, _byte, _cut, _drop, _repeat, _splice, _length, _number, _token, _number, _token)


def _at(data: bytes, rng: Random) -> int:
    return rng.randrange(len(data) + 1)


def _put(data: bytes, place: int, change: Callable[[int], int]) -> bytes:
    part = data[place : place + 1]
    return data[:place] + bytes([change(part[0])]) + data[place + 1 :] if part else data


def _replace(pattern: re.Pattern[bytes], data: bytes, by: bytes, rng: Random) -> bytes:
    start = _at(data, rng)
    found = pattern.search(data, start) or pattern.search(data)
    return data[: found.start()] + by + data[found.end() :] if found else data
