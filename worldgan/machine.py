"""What the machine needs to be told before it is fast."""

from __future__ import annotations

import ctypes
import os
import platform

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = -1, -2, -4


def keep_memory() -> bool:
    """Let glibc keep large freed blocks instead of returning them to the kernel; returns whether it applies.

    Otherwise every large convolution page-faults its output in again, which costs up to two thirds of the
    throughput. Memory already claimed is then kept until the process ends.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    return all(mallopt(*option) for option in ((M_MMAP_MAX, 0), (M_TRIM_THRESHOLD, 2**31 - 1), (M_TOP_PAD, 64 << 20)))


def processors() -> int:
    """Cores that this process may use: fewer than the machine has under ``taskset``, SLURM or in a container."""
    allowed = getattr(os, "sched_getaffinity", None)  # not on macOS and Windows
    return len(allowed(0)) if allowed else os.cpu_count() or 1
