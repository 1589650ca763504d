"""Retakes the pictures in docs/play and docs/export: python docs/shots.py demo/gan demo/mse

The runs are those of `make demo`; the first is exported too. It takes Chromium and `pip install -e '.[browser]'`.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

from playwright.sync_api import Browser, Page, sync_playwright

from worldgan.export import product, web
from worldgan.play.run import serve
from worldgan.training.checkpoint import Run

DOCS = Path(__file__).parent
DESKTOP, PHONE = (1240, 900), (360, 880)
HOST, PORT, SEED = "127.0.0.1", 8791, 5
STEPS = 16
"""Played before a picture is taken, so that curves and scores show something."""
KEYS = 8
"""To be answered before a picture is taken."""
ENDED = "!document.getElementById('ended').hidden"
VIEWS = [
    (f"{name}-{scheme}", size, scheme)
    for name, size in (("desktop", DESKTOP), ("phone", PHONE))
    for scheme in ("light", "dark")
]


def main() -> None:
    """Take them all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="+", type=Path)
    runs = parser.parse_args().runs
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        Thread(target=serve, args=(runs, HOST, PORT, 6, SEED), daemon=True).start()
        play(browser, f"http://{HOST}:{PORT}")
        web.save(product.produce(Run(runs[0])), Path(folder))
        with served(folder) as address:
            exported(browser, address)
        browser.close()


def play(browser: Browser, address: str) -> None:
    """An agent has played, then a hand, and what could happen next is shown."""
    for name, size, scheme in VIEWS:
        with opened(browser, address, size, scheme) as page:
            watched(page)
            played(page)
            page.screenshot(path=DOCS / "play" / f"{name}.png", full_page=size == DESKTOP)


def watched(page: Page) -> None:
    """An agent plays."""
    until(page, "document.body.dataset.state === 'ready'")
    page.keyboard.press("g")
    until(page, f"Number(document.body.dataset.step) >= {STEPS} || {ENDED}")


def played(page: Page) -> None:
    """Keys are held in turn, at the page's 15 steps a second, so that the speeds shown are those of playing; then time
    stands still.
    """
    for key in ("ArrowLeft", "ArrowRight") * 20:
        if page.evaluate(f"Number(document.getElementById('latency').dataset.count) >= {KEYS}"):
            break
        if page.evaluate(ENDED):
            page.keyboard.press("r")
            until(page, f"!({ENDED})")
        page.keyboard.down(key)
        page.wait_for_timeout(200)
        page.keyboard.up(key)
    page.keyboard.press("b")  # time stands still from here
    until(page, "document.querySelectorAll('.branch').length > 0")
    page.wait_for_timeout(500)  # the curves are drawn ten times a second


def exported(browser: Browser, address: str) -> None:
    """A key is held for a while."""
    for name, size, scheme in VIEWS:
        with opened(browser, address, size, scheme) as page:
            until(page, "Number(document.getElementById('steps').textContent) >= 1")
            page.keyboard.down("ArrowLeft")
            until(page, f"Number(document.getElementById('steps').textContent) >= {STEPS // 4}")
            page.screenshot(path=DOCS / "export" / f"{name}.png")


@contextmanager
def opened(browser: Browser, address: str, size: tuple[int, int], scheme: str) -> Iterator[Page]:
    """A tab of its own."""
    width, height = size
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme="dark" if scheme == "dark" else "light",
        device_scale_factor=2 if size == PHONE else 1,
        has_touch=size == PHONE,
    )
    page = context.new_page()
    for _ in range(200):  # the server begins when the models are read
        try:
            page.goto(address)
            break
        except Exception:  # playwright's own, of no narrower class
            time.sleep(0.1)
    yield page
    context.close()


@contextmanager
def served(folder: str) -> Iterator[str]:
    """The address of a folder of static files."""
    server = ThreadingHTTPServer((HOST, 0), partial(SimpleHTTPRequestHandler, directory=folder))
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://{HOST}:{server.server_port}/"
    server.shutdown()
    server.server_close()


def until(page: Page, condition: str) -> None:
    """Asked from outside: the pages forbid scripts made of text, which playwright's own waiting is."""
    end = time.monotonic() + 120
    while not page.evaluate(condition):
        assert time.monotonic() < end, condition
        page.wait_for_timeout(50)


if __name__ == "__main__":
    main()
