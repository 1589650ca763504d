"""Patience with a client: how long what was sent to it may stand still, and what is done then."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable
from typing import Any, final

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

BUFFERED = 1 << 18
"""Bytes that the system is asked to take ahead of a client; left to itself it takes megabytes. How many of them were
read nobody sees, so a client passes for deaf that reads less than about as many in its time."""


@final
class Patient(asyncio.Protocol):
    """Another protocol, whose connection is reset once nothing of what waits to be sent has left for some time.

    Closed in good order, a connection stays until the client has read everything, which may be never. All that is
    relied upon is what asyncio promises; the other protocol hears of a lost connection.
    """

    def __init__(self, inner: asyncio.Protocol, patience: float) -> None:
        """patience: seconds."""
        self._inner, self._patience = inner, patience
        self._transport: Any = None
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio, here and below."""
        self._transport = transport
        self._transport.set_write_buffer_limits(high=0)  # so that ``pause_writing`` tells of all that has to wait
        self._set(socket.SO_SNDBUF, BUFFERED)
        self._inner.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        """Forwarded."""
        self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        """Forwarded."""
        return self._inner.eof_received()

    def pause_writing(self) -> None:
        """Something waits."""
        self._wait(self._transport.get_write_buffer_size())
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        """All of it left."""
        self._stop()
        self._inner.resume_writing()

    def connection_lost(self, error: Exception | None) -> None:
        """Forwarded; who waits to write is let go, as asyncio does not resume what is lost."""
        self._stop()
        self._inner.connection_lost(error)
        self._inner.resume_writing()

    def _wait(self, unsent: int) -> None:
        self._timer = asyncio.get_running_loop().call_later(self._patience, self._judge, unsent)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _judge(self, before: int) -> None:
        """Slow is not deaf."""
        unsent = self._transport.get_write_buffer_size()
        if unsent < before:
            return self._wait(unsent)
        self._set(socket.SO_LINGER, struct.pack("ii", 1, 0))  # else the system goes on offering what it has taken
        self._transport.abort()

    def _set(self, option: int, value: int | bytes) -> None:
        self._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, option, value)


def websockets(patience: float) -> Callable[..., asyncio.Protocol]:
    """What uvicorn may call for the protocol of a connection: its own that stops reading while a message waits for its
    answer, with ``patience`` in seconds.
    """
    return lambda **given: Patient(WebSocketsSansIOProtocol(**given), patience)
