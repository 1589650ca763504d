"""Telling the allocator to keep memory works here or says that it does not apply."""

from __future__ import annotations

import platform

import pytest
import torch

from worldgan.machine import keep_memory


def test_it_applies_to_glibc_and_memory_still_works() -> None:
    assert keep_memory() == (platform.libc_ver()[0] == "glibc") == keep_memory()
    assert float(torch.ones(2_000_000).sum()) == 2_000_000


def test_elsewhere_nothing_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    monkeypatch.setattr("ctypes.CDLL", lambda name: pytest.fail("there is no such library"))
    assert keep_memory() is False
