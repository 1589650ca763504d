"""The server answers its own page, refuses everybody else, and holds no more than it said it would."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from play_fakes import Serving, serving, untaught
from starlette.datastructures import Headers
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from worldgan import cli
from worldgan.errors import WorldganError
from worldgan.play.messages import LARGEST
from worldgan.play.patience import Patient
from worldgan.play.server import STATIC, Doorkeeper, server
from worldgan.play.session import AHEAD
from worldgan.training.checkpoint import Run


@pytest.fixture(scope="module")
def served() -> Iterator[Serving]:
    with serving(sessions=2) as running:
        yield running


def knock(served: Serving, *, origin: str | None = "", host: str | None = None) -> Any:
    """A socket as a page of ``origin`` opens it, "" for the server's own; for a ``with``."""
    own = f"http://127.0.0.1:{served.port}" if origin == "" else origin
    address = ("127.0.0.1", served.port)
    uri = f"ws://{host or f'127.0.0.1:{served.port}'}/play"
    return connect(uri, origin=own, sock=socket.create_connection(address), proxy=None)


class Tab:
    """What a page does, without a page."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.hello, _ = self.hear()
        self.first = self.hear() if self.hello["type"] == "hello" else None

    def hear(self) -> tuple[dict[str, Any], bytes]:
        data = self.socket.recv(timeout=20)
        assert isinstance(data, bytes)
        length = int.from_bytes(data[:4], "little")
        return json.loads(data[4 : 4 + length]), data[4 + length :]

    def ask(self, message: Any) -> tuple[dict[str, Any], bytes]:
        self.socket.send(message if isinstance(message, str | bytes) else json.dumps(message))
        return self.hear()


@contextmanager
def open_tab(served: Serving) -> Iterator[Tab]:
    with knock(served) as socket:
        yield Tab(socket)


def soon(holds: Callable[[], bool]) -> bool:
    """Whether something comes true, if need be after a while."""
    end = time.monotonic() + 60
    while not holds() and time.monotonic() < end:
        time.sleep(0.01)
    return holds()


@pytest.fixture(autouse=True)
def left(served: Serving) -> Iterator[None]:
    """Nobody stays behind."""
    yield
    assert soon(lambda: served.club.seated == 0)


def test_a_tab_is_told_what_there_is(served: Serving) -> None:
    with open_tab(served) as tab:
        assert [model["name"] for model in tab.hello["models"]] == ["two", "one"]
        assert (tab.hello["width"], tab.hello["note"]) == (8, "not in a test")
        assert [choice["label"] for choice in tab.hello["choices"]] == ["stay", "up", "down", "left", "right"]
        assert tab.hello["agents"] == ["shooting", "cem", "icem", "mcts", "actor"]


def test_play(served: Serving) -> None:
    with open_tab(served) as tab:
        moment, pixels = tab.ask({"type": "step", "action": 1})
        assert (moment["type"], moment["step"], len(pixels)) == ("moment", 1, 8 * 8 * 3)
        fan, pictures = tab.ask({"type": "futures", "count": 2})
        assert (len(fan["probability"]), len(pictures)) == (5, 10 * len(pixels))
        _, there = tab.ask({"type": "go", "choice": 4, "outcome": 0})
        assert there == pictures[8 * len(pixels) : 9 * len(pixels)]
        assert tab.ask({"type": "rewind", "steps": 1})[1] == pixels
        assert tab.ask({"type": "switch", "model": "one"})[0]["model"] == "one"
        assert tab.ask({"type": "reset", "start": "anywhere"})[0]["step"] == 0
        for name in tab.hello["agents"]:
            planned, images = tab.ask({"type": "agent", "name": name})
            assert len(images) == (1 + len(planned["plan"])) * len(pixels)
            assert planned["planning"] > 0
        assert tab.ask({"type": "record", "on": True})[0]["recording"]
        tab.ask({"type": "step", "action": 1})
        file, data = tab.ask({"type": "save", "format": "gif"})
        assert (file["name"], data[:4]) == ("play.gif", b"GIF8")


def test_two_tabs_share_nothing(served: Serving) -> None:
    with open_tab(served) as one, open_tab(served) as other:
        for _ in range(3):
            one.ask({"type": "step", "action": 1})
        moment, pixels = other.ask({"type": "step", "action": 0})
        assert moment["step"] == 1
        assert other.first is not None
        assert pixels == other.first[1]


@pytest.mark.parametrize(
    "message",
    [
        "",
        "}",
        '{"type": "quit"}',
        b"\x00\x01",
        '{"type": "step", "action": 5}',
        '{"type": "step", "action": [0]}',
        '{"type": "go", "choice": 0, "outcome": 0}',
        '{"type": "reset", "start": "real"}',
        "[" * LARGEST,
    ],
    ids=lambda message: str(message)[:40],
)
def test_what_cannot_be_done_is_answered_and_play_goes_on(message: str | bytes, served: Serving) -> None:
    with open_tab(served) as tab:
        header, _ = tab.ask(message)
        assert header["type"] == "error"
        assert 10 < len(header["message"]) < 400
        assert tab.ask({"type": "step", "action": 0})[0]["step"] == 1


def test_a_message_too_large_ends_the_session(served: Serving) -> None:
    with open_tab(served) as tab, pytest.raises(ConnectionClosed) as caught:
        tab.ask("x" * (LARGEST + 1))
    assert caught.value.rcvd is not None
    assert caught.value.rcvd.code == 1009


@pytest.mark.parametrize("origin", ["http://evil.example", "null", None, "https://127.0.0.1", "http://127.0.0.1:1"])
def test_pages_of_another_origin_are_refused(origin: str | None, served: Serving) -> None:
    with pytest.raises(InvalidStatus) as caught, knock(served, origin=origin):
        pass
    assert caught.value.response.status_code == 403


def test_a_name_that_was_bent_to_point_here_is_refused(served: Serving) -> None:
    host = f"evil.example:{served.port}"
    with pytest.raises(InvalidStatus) as caught, knock(served, origin=f"http://{host}", host=host):
        pass
    assert caught.value.response.status_code == 403
    request = urllib.request.Request(f"http://127.0.0.1:{served.port}/", headers={"Host": host})
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request)
    assert refused.value.code == 403
    refused.value.close()


ADMITTED = [
    ("127.0.0.1:8700", False, True),
    ("localhost:8700", False, True),
    ("LOCALHOST", False, True),
    ("[::1]:8700", False, True),
    ("[::1]", False, True),
    ("192.168.0.9:8700", False, False),
    ("192.168.0.9:8700", True, True),
    ("evil.example", True, False),
    ("127.0.0.1.evil.example", False, False),
    ("localhost.evil.example:8700", True, False),
    ("", True, False),
]


@pytest.mark.parametrize(("host", "open_to_all", "admitted"), ADMITTED)
def test_names_of_this_server(host: str, open_to_all: bool, admitted: bool) -> None:
    door = Doorkeeper(None, ["localhost"], any_address=open_to_all)  # type: ignore[arg-type]
    assert door.admits(Headers({"host": host}), browsing=True) is admitted
    assert door.admits(Headers({"host": host, "origin": f"http://{host}"}), browsing=False) is admitted
    assert not door.admits(Headers({"host": host}), browsing=False)
    assert not door.admits(Headers({"host": host, "origin": "http://other"}), browsing=True)


def test_the_page_and_nothing_from_elsewhere(served: Serving) -> None:
    for path in ("/", *(f"/static/{file.name}" for file in STATIC.iterdir())):
        with urllib.request.urlopen(f"http://127.0.0.1:{served.port}{path}") as page:
            assert "default-src 'self'" in page.headers["content-security-policy"]
            text = page.read().decode()
        assert not [word for word in ("https://", "//cdn", "@import") if word in text]
    with pytest.raises(urllib.error.HTTPError) as missing:
        urllib.request.urlopen(f"http://127.0.0.1:{served.port}/static/../server.py")
    assert missing.value.code == 404
    missing.value.close()


def test_seats_are_limited_and_freed(served: Serving) -> None:
    with open_tab(served), open_tab(served):
        with open_tab(served) as third:
            assert third.hello["type"] == "full"
            assert "All 2 seats are taken" in third.hello["message"]
        assert served.club.seated == 2
    assert soon(lambda: served.club.seated == 0)
    with open_tab(served) as again:
        assert again.hello["type"] == "hello"


def frame(message: Any) -> bytes:
    """A message as a client sends it: one masked text frame; the mask is zero."""
    text = json.dumps(message).encode()
    return bytes([0x81, 0x80 | len(text), 0, 0, 0, 0]) + text


def deaf_client(served: Serving) -> socket.socket:
    """One that takes a seat and reads nothing."""
    deaf = socket.socket()
    deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    deaf.settimeout(60)
    deaf.connect(("127.0.0.1", served.port))
    host, before = f"127.0.0.1:{served.port}", served.club.seated
    deaf.sendall(
        f"GET /play HTTP/1.1\r\nHost: {host}\r\nOrigin: http://{host}\r\nUpgrade: websocket\r\n".encode()
        + b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    assert soon(lambda: served.club.seated == before + 1)
    return deaf


def read_all(connection: socket.socket) -> None:
    """Until the other side ends it in good order."""
    while connection.recv(1 << 20):
        pass


def test_clients_that_stop_reading_are_dropped_with_all_that_they_left_unread() -> None:
    with serving(size=64, sessions=4, patience=0.2) as running:
        crowd = [deaf_client(running) for _ in range(4)]
        for deaf in crowd:
            deaf.sendall(frame({"type": "futures", "count": 4}) * 20)  # 5 MB of answers, more than a system would keep
        assert soon(lambda: running.club.seated == 0)
        assert soon(lambda: running.connections() == 0)
        for deaf in crowd:
            with pytest.raises(ConnectionResetError):  # the rest, which the system had taken, is not kept for it
                read_all(deaf)
            deaf.close()
        with open_tab(running) as other:  # the seats are free
            assert other.hello["type"] == "hello"


class Pipe(asyncio.Transport):
    """A transport from which so much is unsent, at one look after another."""

    def __init__(self, *unsent: int) -> None:
        super().__init__({"socket": socket.socket()})
        self.unsent, self.aborted = list(unsent), asyncio.Event()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        assert high == 0

    def get_write_buffer_size(self) -> int:
        return self.unsent.pop(0)

    def abort(self) -> None:
        self.aborted.set()
        self.get_extra_info("socket").close()


def test_a_slow_client_has_time_and_a_deaf_one_has_none() -> None:
    async def play() -> None:
        for unsent in ([9, 9], [9, 5, 4, 1, 1], [9, 8, 10]):
            pipe, protocol = Pipe(*unsent), Patient(asyncio.Protocol(), patience=0.001)
            protocol.connection_made(pipe)
            protocol.pause_writing()
            await pipe.aborted.wait()
            assert not pipe.unsent
        pipe, protocol = Pipe(9), Patient(asyncio.Protocol(), patience=0.001)
        protocol.connection_made(pipe)
        protocol.pause_writing()
        protocol.resume_writing()
        await asyncio.sleep(0.01)
        assert not pipe.aborted.is_set()
        pipe.abort()

    asyncio.run(play())


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    def run(*arguments: object) -> str:
        assert cli.main(["play", *map(str, arguments)]) == 2
        line = capsys.readouterr().err
        assert line.count("\n") == 1
        return line

    return run


def test_a_port_in_use(refused: Callable[..., str], served: Serving, paddle_run: Run) -> None:
    assert f"port {served.port} of 127.0.0.1 is in use" in refused(paddle_run.path, "--port", served.port)
    assert "expected a port from 0 to 65535, got 99999" in refused(paddle_run.path, "--port", 99999)
    assert "cannot listen on port 0 of 203.0.113.9" in refused(paddle_run.path, "--port", 0, "--host", "203.0.113.9")


def test_only_this_machine_is_served_unless_told(refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    def bind(host: str, port: int) -> Any:
        raise WorldganError(f"asked for {host}")

    monkeypatch.setattr("worldgan.play.server.bind", bind)
    assert "asked for 127.0.0.1" in refused("run")
    assert "asked for 0.0.0.0" in refused("run", "--host", "0.0.0.0")


@pytest.mark.parametrize("package", ["starlette", "uvicorn", "websockets"])
def test_a_missing_extra(
    package: str, refused: Callable[..., str], paddle_run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    assert "the 'play' extra is missing: run pip install -e '.[play]'" in refused(paddle_run.path)


def test_runs_that_cannot_be_played(refused: Callable[..., str], paddle_run: Run, tmp_path: Path) -> None:
    assert "expected a run at" in refused(tmp_path / "none", "--port", 0)
    assert "expected different runs" in refused(paddle_run.path, os.path.relpath(paddle_run.path), "--port", 0)
    assert "expected sessions and patience above 0" in refused(paddle_run.path, "--port", 0, "--sessions", 0)


def test_a_run_whose_env_is_not_here_is_played_without_it(
    paddle_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run, info = Run(shutil.copytree(paddle_run.path, tmp_path / "run")), paddle_run.info()
    gone = replace(info.spec, id="gone/Paddle-v0")
    run.write_info(replace(info, spec=gone))
    line = ["play", str(run.path), "--port", "0", "--agents", str(untaught(tmp_path / "agent", gone))]
    begun: list[tuple[Any, Any]] = []

    def started(club: Any, host: str) -> Any:
        begun.append((club, server(club, host)))
        return begun[0][1]

    monkeypatch.setattr("worldgan.play.server.server", started)
    codes: list[int] = []
    thread = threading.Thread(target=lambda: codes.append(cli.main(line)))
    thread.start()
    try:
        assert soon(lambda: bool(codes) or (bool(begun) and begun[0][1].started))
        assert not codes, capsys.readouterr().err
        [(club, serve)] = begun
        with open_tab(Serving(club, serve.servers[0].sockets[0].getsockname()[1], serve)) as tab:
            assert (tab.hello["env"], tab.hello["real"]) == ("gone/Paddle-v0", {"here": False})
            assert "gone" in tab.hello["note"]
            moment, pixels = tab.ask({"type": "step", "action": 0})
            assert (moment["real"], len(pixels)) == (None, 3 * tab.hello["height"] * tab.hello["width"])
            assert len(tab.ask({"type": "agent", "name": "actor"})[0]["plan"]) == AHEAD - 1
            assert "start from the data" in tab.ask({"type": "reset", "start": "real"})[0]["message"]
    finally:
        for _, serve in begun:
            serve.should_exit = True
        thread.join()
    assert codes == [0]
    assert f"without the real env beside it: {tab.hello['note']}\n" in capsys.readouterr().out
