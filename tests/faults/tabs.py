"""Tabs of a browser at a play server, without a browser."""

from __future__ import annotations

import asyncio
import json
import time
import zlib
from contextlib import AsyncExitStack, suppress
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from worldgan.play.messages import MOST_FUTURES

PATIENCE = 60.0
"""Seconds after which an answer will not come."""


class Tab:
    """step: where its session is, for whoever keeps it up to date.    choices: what can be done in the env."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection, self.step = connection, 0
        self.choices: list[Any] = []

    async def hear(self) -> tuple[dict[str, Any], int]:
        """The next answer's header, and a checksum of all of the answer but how long it took."""
        async with asyncio.timeout(PATIENCE):
            data = await self.connection.recv()
        assert isinstance(data, bytes), data
        size = 4 + int.from_bytes(data[:4], "little")
        header = json.loads(data[4:size])
        same = json.dumps({key: value for key, value in header.items() if key != "ms"})
        return header, zlib.crc32(data[size:], zlib.crc32(same.encode()))

    async def ask(self, message: str | bytes) -> tuple[dict[str, Any], int]:
        """Send it and hear."""
        await self.connection.send(message)
        return await self.hear()

    async def play(self, wish: dict[str, Any]) -> int:
        """The checksum of an answer, which has to be what was asked for."""
        header, checksum = await self.ask(json.dumps(wish))
        assert header["type"] == ("futures" if wish["type"] == "futures" else "moment"), header
        return checksum

    async def closed(self) -> int | None:
        """The code with which the server ends it."""
        with suppress(ConnectionClosed):
            raise AssertionError(f"it was answered: {(await self.hear())[0]}")
        return self.connection.close_code

    async def pester(self) -> None:
        """Ask for the longest answers, and read none."""
        while True:
            await self.connection.send(json.dumps({"type": "futures", "count": MOST_FUTURES}))
            await asyncio.sleep(0.01)


def knock(port: int, host: str = "", origin: str = "") -> connect:
    """As the server's own page does, unless told otherwise."""
    host = host or f"127.0.0.1:{port}"
    address = {"host": "127.0.0.1", "port": port, "proxy": None, "ping_interval": None}
    return connect(f"ws://{host}/play", origin=origin or f"http://{host}", compression=None, **address)


async def status(port: int, host: str = "", origin: str = "") -> int:
    """The HTTP status that answers it."""
    try:
        async with knock(port, host, origin):
            return 101
    except InvalidStatus as refused:
        return refused.response.status_code


async def sit(port: int, stack: AsyncExitStack, within: float = PATIENCE) -> Tab:
    """A seat, when one is free. Raises TimeoutError if none is ``within`` so many seconds."""
    ends = time.monotonic() + within
    while True:
        tab = Tab(await stack.enter_async_context(knock(port)))
        hello, _ = await tab.hear()
        if hello["type"] == "hello":
            tab.choices = hello["choices"]
            await tab.hear()
            return tab
        if time.monotonic() > ends:
            raise TimeoutError(hello["message"])
        await asyncio.sleep(0.05)
