"""The exported page plays in a browser that reaches nothing but the folder it was served from."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from statistics import median
from threading import Thread

import pytest
from playwright.sync_api import Browser, Page, Request
from untrained import untrained

from worldgan.export import product, web
from worldgan.training.checkpoint import Run


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def served(run: Run, out: Path) -> Iterator[str]:
    """The address of its page."""
    web.save(product.produce(run, seconds=0.01), out)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(out)))
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def site(paddle_run: Run, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with served(paddle_run, tmp_path_factory.mktemp("site")) as address:
        yield address


@pytest.fixture
def asked() -> list[str]:
    """Addresses that the page asked for and should not have, and errors it made."""
    return []


@pytest.fixture
def page(browser: Browser, site: str, asked: list[str]) -> Iterator[Page]:
    page = browser.new_page(viewport={"width": 375, "height": 740})

    def note(request: Request) -> None:
        if not request.url.startswith((site, "data:", "blob:")):
            asked.append(request.url)

    page.on("request", note)
    page.on("pageerror", lambda error: asked.append(str(error)))
    page.on("console", lambda message: asked.append(message.text) if message.type == "error" else None)
    page.route(lambda url: not url.startswith(site), lambda route: route.abort())
    page.goto(site)
    yield page
    page.close()


def picture(page: Page) -> str:
    return str(page.evaluate("document.getElementById('screen').toDataURL()"))


def wait_for_steps(page: Page, count: int) -> None:
    """Asked from outside: the page forbids scripts made of text, which playwright's own waiting is."""
    deadline = time.monotonic() + 60
    while number(page, "steps") <= count:
        assert time.monotonic() < deadline, page.inner_text("#status")
        page.wait_for_timeout(50)


def number(page: Page, name: str) -> float:
    return float(page.inner_text(f"#{name}"))


def test_it_plays_offline(page: Page, asked: list[str]) -> None:
    wait_for_steps(page, 0)
    page.keyboard.press("p")
    page.keyboard.press("r")
    assert number(page, "steps") == 0
    first = picture(page)
    page.keyboard.down("ArrowRight")
    page.select_option("#speed", "0")
    page.keyboard.press("p")
    wait_for_steps(page, 2)
    assert picture(page) != first
    assert number(page, "rate") > 0
    assert page.locator("#choices button").nth(2).get_attribute("aria-pressed") == "true"
    assert page.inner_text("#status") == ""
    assert asked == []


def test_speed(browser: Browser, tmp_path: Path) -> None:
    """Printed, not judged: a machine at other work would fail it. A page that is stuck makes less than a frame."""
    with served(untrained(tmp_path / "run"), tmp_path / "site") as address:
        page = browser.new_page()
        page.goto(address)
        wait_for_steps(page, 0)
        page.select_option("#speed", "0")
        rates, costs = [], []
        for _ in range(8):
            page.wait_for_timeout(1000)
            rates.append(number(page, "rate"))
            costs.append(number(page, "cost"))
        page.close()
    found = f"median {median(rates):.0f} frames/s, best second {max(rates):.0f}, {min(costs):.1f} ms a step"
    print(f"\nexported page at 64x64, one thread: {found}", file=sys.stderr)
    assert max(rates) > 1


def test_a_phone_need_not_scroll_sideways(page: Page) -> None:
    page.wait_for_selector("#choices button", timeout=60_000)
    assert page.evaluate("document.documentElement.scrollWidth") <= 375
