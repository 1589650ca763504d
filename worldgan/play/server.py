"""The page's server: who may come in, who sits where, and one thread for all that computes."""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import socket
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch
import uvicorn
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.responses import FileResponse, PlainTextResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from worldgan.errors import WorldganError
from worldgan.play import messages, replies
from worldgan.play.patience import websockets
from worldgan.play.session import Session

T = TypeVar("T")
STATIC = Path(__file__).parent / "static"
THREADS = 2
"""At most, for the computing: a batch of one has no work for more."""
TRY_AGAIN_LATER = 1013  # of the registered WebSocket close codes
POLICY = {
    "content-security-policy": "default-src 'self'; img-src 'self' data: blob:; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-cache",
}
"""No page but this one, and nothing from elsewhere in it."""


@dataclass(frozen=True)
class Limits:
    """sessions: tabs that can play at once.    patience: seconds in which a client may read nothing of what waits."""

    sessions: int = 6
    patience: float = 10.0

    def __post_init__(self) -> None:
        """Raises WorldganError for limits that let nobody play."""
        if self.sessions < 1 or self.patience <= 0:
            raise WorldganError(f"expected sessions and patience above 0, got {self.sessions} and {self.patience}")


class Club:
    """The open sessions. Each asks for one thing at a time, so one thread serves all of them in turn."""

    def __init__(self, build: Callable[[int], Session], note: str, limits: Limits) -> None:
        """build: a session from its number; called, as all that computes, in the one thread."""
        self.seated, self.limits = 0, limits
        self._build, self._note, self._count = build, note, 0
        self._thread = ThreadPoolExecutor(1, "play", initializer=_few_threads)

    async def visit(self, websocket: WebSocket) -> None:
        """One tab from coming to going."""
        await websocket.accept()
        if self.seated >= self.limits.sessions:
            reason = f"All {self.limits.sessions} seats are taken. Close a tab that plays, then load this page again."
            return await self._turn_away(websocket, reason)
        self.seated += 1
        self._count += 1
        try:
            session = await self._compute(self._build, self._count)
            try:
                await self._converse(websocket, session)
            finally:
                await self._compute(session.close)
        except WorldganError as error:
            await self._turn_away(websocket, str(error))
        finally:
            self.seated -= 1

    async def _turn_away(self, websocket: WebSocket, reason: str) -> None:
        with suppress(WebSocketDisconnect):
            await websocket.send_bytes(replies.refusal(reason, kind="full"))
            await websocket.close(TRY_AGAIN_LATER)

    async def _converse(self, websocket: WebSocket, session: Session) -> None:
        """Answer until the connection is lost: the client left, or did not read for too long.

        The next message is read when the last reply is on its way, so that nothing piles up for anybody.
        """
        with suppress(WebSocketDisconnect):
            await websocket.send_bytes(replies.hello(session, self._note))
            await websocket.send_bytes(replies.present(session))
            while (message := await websocket.receive())["type"] == "websocket.receive":
                await websocket.send_bytes(await self._answer(session, message.get("text")))

    async def _answer(self, session: Session, text: str | None) -> bytes:
        """The reply to one message, whatever it is."""
        try:
            if text is None:
                raise WorldganError("expected a message in JSON, got bytes")
            asked = messages.parse(text)
            if isinstance(asked, messages.Save):  # takes seconds, in which others go on playing
                return await asyncio.to_thread(replies.video, list(session.kept), asked.format)
            return await self._compute(replies.answer, session, asked)
        except WorldganError as error:
            return replies.refusal(str(error))

    async def _compute(self, work: Callable[..., T], *arguments: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, *arguments)


class Doorkeeper:
    """Lets in what was sent to this server by its own page.

    A page of another site can reach a server on the same machine: by its address, and then says its own origin, or
    by a name of its own that it lets point here (DNS rebinding), and then asks for a host of that name.
    """

    def __init__(self, app: ASGIApp, hosts: Iterable[str], *, any_address: bool) -> None:
        """hosts: names this server goes by.    any_address: whether every IP address is one."""
        self._app, self._hosts, self._any_address = app, {host.lower() for host in hosts}, any_address

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if self.admits(Headers(scope=scope), browsing=scope["type"] == "http"):
            await self._app(scope, receive, _with_headers(send))
        elif scope["type"] == "http":
            await PlainTextResponse("This server answers its own page alone.\n", 403)(scope, receive, send)
        else:
            await receive()
            await send({"type": "websocket.close"})  # before it is accepted: answered with 403

    def admits(self, headers: Headers, *, browsing: bool) -> bool:
        """Whether Host is a name of this server and Origin is that host; browsing alone needs no Origin."""
        host, origin = headers.get("host", ""), headers.get("origin")
        same = origin == f"http://{host}" or (origin is None and browsing)
        return same and self._is_ours(host)

    def _is_ours(self, host: str) -> bool:
        name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
        name = name.strip("[]").lower()
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            return name in self._hosts
        return self._any_address or name in self._hosts or address.is_loopback


def _with_headers(send: Send) -> Send:
    async def add(message: Message) -> None:
        if message["type"] == "http.response.start":
            more = [(key.encode(), value.encode()) for key, value in POLICY.items()]
            message = {**message, "headers": [*message["headers"], *more]}
        await send(message)

    return add


def application(club: Club, host: str) -> ASGIApp:
    """The page, its files and its socket, behind a ``Doorkeeper``. host: that the server is bound to."""
    app = Starlette(
        routes=[
            Route("/", lambda request: FileResponse(STATIC / "index.html")),
            WebSocketRoute("/play", club.visit),
            Mount("/static", StaticFiles(directory=STATIC)),
        ]
    )
    return Doorkeeper(app, [host, "localhost", socket.gethostname()], any_address=not _is_loopback(host))


def bind(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes any free one. Raises WorldganError if the place is taken or not ours."""
    if not 0 <= port < 1 << 16:  # getaddrinfo takes the rest for another port
        raise WorldganError(f"expected a port from 0 to 65535, got {port}")
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except OSError as error:
        raise WorldganError(f"cannot listen on port {port} of {host}: {error}") from None
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(64)
    except OSError as error:
        listening.close()
        if error.errno == errno.EADDRINUSE:
            raise WorldganError(
                f"port {port} of {host} is in use: choose another with --port, or --port 0 for any that is free"
            ) from None
        raise WorldganError(f"cannot listen on port {port} of {host}: {error}") from None
    return listening


def server(club: Club, host: str) -> uvicorn.Server:
    """The server, ready to ``run(sockets=[...])``."""
    return uvicorn.Server(
        uvicorn.Config(
            application(club, host),
            ws=websockets(club.limits.patience),  # type: ignore[arg-type]  # called as the class would be, no more
            ws_max_size=messages.LARGEST,
            ws_per_message_deflate=False,
            limit_concurrency=256,
            lifespan="off",
            log_level="warning",
            server_header=False,
            timeout_graceful_shutdown=3,
        )
    )


def _few_threads() -> None:
    torch.set_num_threads(min(THREADS, torch.get_num_threads()))


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
