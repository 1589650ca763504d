"""A full house at `worldgan play`: many who play, and beside them one who sends nonsense, strangers and a deaf one."""

from __future__ import annotations

import asyncio
import itertools
import re
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from nonsense import malformed
from tabs import PATIENCE, Tab, knock, sit, status
from tally import Tally
from tiny import tiny

from worldgan import envs
from worldgan.data.collect import collect
from worldgan.play.messages import LARGEST, MOST_FUTURES
from worldgan.play.server import TRY_AGAIN_LATER, Limits
from worldgan.training.trainer import train

SECONDS, PLAYERS, MALFORMED = 600.0, 50, 100_000
PAUSE = 0.5
"""Seconds, on average, that a player looks before asking again: all of them ask half of what one thread answers."""
SOON = 0.5
"""Seconds within which 99 of 100 answers come. One thread computes for all in turn, and nobody has more than one
question under way: the longest queue is one question of each of 50, of 3 ms each on two cores that the players share,
and of up to 10 ms when the flood keeps the interpreter busy, too.
"""
TIMED = 30.0
"""Seconds of an evening from which on that is asked for: a shorter one is a sample, beside other tests."""
WARM = 10
"""Answers to each player, on average, before the server's memory is looked at."""
MORE = 32 << 20
"""Bytes that the server may grow by from the flood on: what a leak of 320 in each of 100,000 messages would take."""
WITNESSES = 5
"""Players who play the same evening again, alone."""
AT_ONCE = 25
"""Malformed messages that are sent before their answers are read."""
STILL = 100
"""Malformed messages from one step of their session, which waits its turn among the players', to the next."""
EVERY = 250
"""Malformed messages from one that ends the session, and from one visit of strangers, to the next."""
ROOT = Path(__file__).resolve().parents[2]
PLAY = "import sys; from worldgan.cli import main; sys.exit(main(sys.argv[1:]))"


def crowd(folder: Path, share: float, rng: Random) -> Tally:
    """Ten minutes, or a share of them; in the second half comes the flood."""
    seconds, amount = max(3.0, share * SECONDS), max(500, round(share * MALFORMED))
    players = min(PLAYERS, max(8, round(20 * share * PLAYERS)))  # all of them from a twentieth on
    tally = Tally(
        "a full house at worldgan play, one of it sending nonsense",
        "each malformed message is answered by an error, and its session goes on; the others get the same bytes as"
        f" without it, 99 of 100 answers within {SOON:g} s; one too many, another origin and another host are refused;"
        f" it listens on 127.0.0.1 alone; its memory grows by less than {MORE >> 20} MB",
        "nothing",
    )
    run, answers = _trained(folder), list[list[int]]()
    with tally.case("the evening"), _serving(run, players + 1, folder) as (pid, port):
        evening = Evening(port, pid, seconds, tally)
        answers += asyncio.run(evening.spend(players, amount, rng))
        _weigh(tally, evening)
    with tally.case("again, alone"), _serving(run, players + 1, folder) as (_, port):
        _compare(tally, answers, asyncio.run(_again(port, [len(each) for each in answers[:WITNESSES]])))
    return tally


@dataclass
class Evening:
    """One server's.    stage: 0 before the flood, 1 in it, 2 after.    waits: seconds for answers to players, by stage.

    sizes: bytes of the server before the flood and in the end.
    """

    port: int
    pid: int
    seconds: float
    tally: Tally
    stage: int = 0
    over: bool = False
    waits: tuple[list[float], ...] = field(default_factory=lambda: ([], [], []))
    sizes: list[int] = field(default_factory=list)

    async def spend(self, players: int, amount: int, rng: Random) -> list[list[int]]:
        """For each player, a checksum of each answer. amount: of malformed messages."""
        async with AsyncExitStack() as stack:
            tabs = [await sit(self.port, stack) for _ in range(players)]  # one by one: a session's seed is its number
            playing = [asyncio.create_task(self._play(tab, number)) for number, tab in enumerate(tabs)]
            try:
                await self._trouble(WARM * players, amount, rng)
            finally:
                self.over = True
                heard = await asyncio.gather(*playing, return_exceptions=True)
        for number, each in enumerate(heard):
            with self.tally.case(f"player {number}"):
                if isinstance(each, BaseException):
                    raise each
        self.tally.count("players", players)
        self.tally.count("answers to them", sum(map(len, self.waits)))
        return [each for each in heard if isinstance(each, list)]

    async def _play(self, tab: Tab, number: int) -> list[int]:
        looks, heard = Random(number), []
        for wish in _wishes(tab, number):
            await asyncio.sleep(looks.uniform(0, 2 * PAUSE))
            if self.over:
                break
            began = time.perf_counter()
            heard.append(await tab.play(wish))
            self.waits[self.stage].append(time.perf_counter() - began)
        return heard

    async def _trouble(self, warm: int, amount: int, rng: Random) -> None:
        """Nothing for half of the evening; the flood; then somebody who asks and does not read."""
        ends = time.monotonic() + self.seconds
        await asyncio.sleep(self.seconds / 2)
        async with asyncio.timeout(PATIENCE):
            while len(self.waits[0]) < warm:
                await asyncio.sleep(0.05)
        self.sizes.append(_resident(self.pid))
        self.stage = 1
        await self._flood(amount, rng)
        self.stage = 2
        if self.seconds > 2 * Limits.patience:
            with self.tally.case("one who does not read"):
                await self._deaf()
                self.tally.count("dropped for not reading")
        await asyncio.sleep(ends - time.monotonic())
        self.sizes.append(_resident(self.pid))

    async def _flood(self, amount: int, rng: Random) -> None:
        """As fast as answers come, until the first that is wrong: what follows would say the same."""
        async with AsyncExitStack() as stack:
            tab = await sit(self.port, stack)
            for number in range(0, amount, AT_ONCE):
                await self._nonsense(tab, [malformed(rng) for _ in range(AT_ONCE)])
                if number % STILL == 0:
                    await self._still(tab)
                if number % EVERY == 0:
                    await self._strangers()
                    await self._rude(tab, number // EVERY)
                    tab = await sit(self.port, stack)
                if self.tally.failed:
                    return
                self.tally.count("malformed messages", AT_ONCE)

    async def _nonsense(self, tab: Tab, messages: list[str | bytes]) -> None:
        for message in messages:
            await tab.connection.send(message)
        for message in messages:
            with self.tally.case(f"message {message[:200]!r}"):
                header, _ = await tab.hear()
                assert header["type"] == "error", header

    async def _still(self, tab: Tab) -> None:
        tab.step += 1
        with self.tally.case("its session goes on"):
            header, _ = await tab.ask('{"type": "step", "action": 1}')
            assert header["step"] == tab.step, header

    async def _rude(self, tab: Tab, number: int) -> None:
        """What is too long, or no text, ends the session."""
        message, expected = ((b"x" * (LARGEST + 1), 1009), (b"\xff", 1007))[number % 2]
        with self.tally.case(f"what ends a session with {expected}"):
            await tab.connection.send(message, text=True)
            code = await tab.closed()
            assert code == expected, code
            self.tally.count("sessions ended for what was sent")

    async def _strangers(self) -> None:
        """While all seats are taken."""
        with self.tally.case("one too many"):
            async with knock(self.port) as connection:
                tab = Tab(connection)
                header, _ = await tab.hear()
                assert header["type"] == "full", header
                code = await tab.closed()
                assert code == TRY_AGAIN_LATER, code
        with self.tally.case("another origin"):
            code = await status(self.port, origin="http://evil.example")
            assert code == 403, code
        with self.tally.case("another host"):
            code = await status(self.port, host=f"evil.example:{self.port}")
            assert code == 403, code
        self.tally.count("refused at the door", 3)

    async def _deaf(self) -> None:
        """It sits until its time is up, and then another has its seat."""
        async with AsyncExitStack() as stack:
            tab = await sit(self.port, stack)
            asking = asyncio.create_task(tab.pester())
            with suppress(TimeoutError):
                await sit(self.port, stack, within=0)
                raise AssertionError("its seat was free from the beginning")
            await sit(self.port, stack)
            asking.cancel()
            tab.connection.transport.abort()


def _wishes(tab: Tab, number: int) -> Iterator[dict[str, Any]]:
    """What a player asks for, always the same. One in five never begins anew, and so has the longest past there is."""
    rng = Random(f"player {number}")
    while True:
        yield rng.choices(
            (
                {"type": "step", "action": rng.choice(tab.choices)["action"]},
                {"type": "futures", "count": rng.randint(1, MOST_FUTURES // 2)},
                {"type": "rewind", "steps": rng.randint(1, 5)},
                {"type": "reset", "start": rng.choice(("real", "beginning", "anywhere"))},
            ),
            (80, 10, 8, 2 if number % 5 else 0),
        )[0]


async def _again(port: int, amounts: list[int]) -> list[list[int]]:
    """So many answers to the first players, who do not pause."""

    async def play(tab: Tab, number: int, amount: int) -> list[int]:
        return [await tab.play(wish) for wish in itertools.islice(_wishes(tab, number), amount)]

    async with AsyncExitStack() as stack:
        tabs = [await sit(port, stack) for _ in amounts]
        return await asyncio.gather(*(play(tab, *each) for tab, each in zip(tabs, enumerate(amounts), strict=True)))


def _compare(tally: Tally, answers: list[list[int]], alone: list[list[int]]) -> None:
    for number, (one, other) in enumerate(zip(answers, alone, strict=False)):
        with tally.case(f"player {number} again"):
            differ = [place for place, pair in enumerate(zip(one, other, strict=True)) if pair[0] != pair[1]]
            assert not differ, f"answer {differ[0]} of {len(one)} is another"
            tally.count("answers compared", len(one))


def _weigh(tally: Tally, evening: Evening) -> None:
    """Memory and time."""
    before, after = evening.sizes
    tally.count("MB before the flood", before >> 20)
    tally.count("MB in the end", after >> 20)
    with tally.case("memory"):
        assert after - before < MORE, f"it grew by {after - before:,} bytes"
    if evening.seconds < TIMED:
        return
    for when, waits in zip(("before the flood", "in the flood"), evening.waits, strict=False):
        half, most = (sorted(waits)[int(part * len(waits))] for part in (0.5, 0.99))
        tally.count(f"ms to half of the answers {when}", round(1000 * half))
        tally.count(f"ms to 99 of 100 {when}", round(1000 * most))
        with tally.case(f"time {when}"):
            assert most < SOON, f"{most:.2f} s"


def _resident(pid: int) -> int:
    """Bytes of memory that a process has."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * resource.getpagesize()


def _trained(folder: Path) -> Path:
    """A gan that knows little, and steps as any other does."""
    env = "worldgan/Paddle-v0"
    data = collect(lambda: envs.make(env), envs.spec(env), folder / "data", steps=300, num_envs=4).path
    return train(data, tiny("gan", "training.steps=3"), folder / "gan").path


@contextmanager
def _serving(run: Path, seats: int, folder: Path) -> Iterator[tuple[int, int]]:
    """Process and port of a server, which listens on this machine alone without being told, and ends in peace."""
    told = folder / "told"
    command = [sys.executable, "-c", PLAY, "play", str(run), "--port", "0", "--sessions", str(seats), "--seed", "0"]
    with told.open("w") as errors:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True, cwd=ROOT)
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        found = re.search(r" at http://127\.0\.0\.1:(\d+) ", line)
        assert found, line + told.read_text()
        port = int(found[1])
        with suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.2", port)):
            raise AssertionError("it listens on more than 127.0.0.1")
        yield process.pid, port
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 0, told.read_text()
        assert "Exception in ASGI" not in told.read_text(), told.read_text()
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
