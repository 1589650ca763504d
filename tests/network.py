"""Tests reach this machine alone: whatever else is asked of Python's sockets is refused.

What opens sockets in C is not seen: gloo, and the processes of Ray.
"""

from __future__ import annotations

import os
import socket
import sys
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

NAMES = {None, "", "localhost", socket.gethostname()}
SENDING = {"socket.connect", "socket.sendto", "socket.sendmsg"}


class Refused(BaseException):
    """No Exception: who makes do without a network must not hide that it was asked for."""


def refuse() -> None:
    """In this process, for good: an audit hook sees also who kept ``connect`` from before, and cannot be removed."""
    sys.addaudithook(_watch)
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # which a process of Ray's own would send
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"  # as worldgan.hub does, but Minari may import huggingface_hub before


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "socket.getaddrinfo" and not _number(arguments[0]):  # numbers are looked up nowhere
        host = arguments[0]
    elif event in SENDING and isinstance(arguments[1], tuple):  # the addresses of unix sockets are none
        host = arguments[1][0]
    else:
        return
    if not _is_here(host):
        raise Refused(f"expected no network to be used, got {event} of {host}")


def _is_here(host: str | None) -> bool:
    number = _number(host)
    return host in NAMES or (number is not None and (number.is_loopback or number.is_unspecified))


def _number(host: str | None) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None
