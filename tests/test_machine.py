"""Telling the allocator to keep memory works here or says that it does not apply."""

from __future__ import annotations

import os
import platform

import pytest
import torch

from worldgan.machine import keep_memory, processors


def test_it_applies_to_glibc_and_memory_still_works() -> None:
    assert keep_memory() == (platform.libc_ver()[0] == "glibc") == keep_memory()
    assert float(torch.ones(2_000_000).sum()) == 2_000_000


def test_elsewhere_nothing_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    monkeypatch.setattr("ctypes.CDLL", lambda name: pytest.fail("there is no such library"))
    assert keep_memory() is False


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="the system cannot take cores from a process")
def test_cores_that_others_were_given_do_not_count() -> None:
    before = os.sched_getaffinity(0)
    assert processors() == len(before)
    try:
        os.sched_setaffinity(0, {min(before)})
        assert processors() == 1
    finally:
        os.sched_setaffinity(0, before)


def test_where_nobody_says_all_cores_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("os.sched_getaffinity", raising=False)
    monkeypatch.setattr("os.cpu_count", lambda: 3)
    assert processors() == 3
