"""A browser, pools to look at, and pages that must not complain."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Playwright, expect, sync_playwright

from samples import pdf, png, wav
from served import PROGRAM, Served

expect.set_options(timeout=15_000)


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as it:
        yield it


@pytest.fixture(scope="session")
def browser(playwright: Playwright) -> Iterator[Browser]:
    program = os.environ.get("RCLONEPOOL_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    assert program, "Chromium is missing: install it (Debian: apt-get install chromium)"
    # As root its sandbox cannot start; what it is shown here is ours.
    args = ["--no-sandbox"] if os.getuid() == 0 else []
    it = playwright.chromium.launch(executable_path=program, args=args)
    yield it
    it.close()


@pytest.fixture(scope="session")
def make() -> Iterator[Callable[..., Served]]:
    """Makes pools that are served until the end."""
    assert PROGRAM.exists(), f"{PROGRAM} is missing: cargo build -p rclonepool-cli"
    made: list[Served] = []

    def one(**keys: Any) -> Served:
        made.append(Served(Path(tempfile.mkdtemp(prefix="rclonepool-ui.")), **keys))
        return made[-1]

    yield one
    for served in made:
        served.close()


@pytest.fixture(scope="session")
def pool(make: Callable[..., Served]) -> Served:
    """A pool that tests only add to, each in a folder of its own."""
    served = make()
    served.put("/show/picture.png", png(), "image/png")
    served.put("/show/words.txt", b"Words of the pool\n" * 20, "text/plain")
    served.put("/show/page.pdf", pdf(), "application/pdf")
    served.put("/show/tone.wav", wav(), "audio/wav")
    served.put("/show/deep/er/needle in hay.txt", b"found", "text/plain")
    served.put("/show/big.bin", os.urandom(5 << 20))
    return served


@pytest.fixture
def fresh(make: Callable[..., Served]) -> Iterator[Served]:
    """A pool that a test may break."""
    served = make()
    yield served
    served.close()


class Watch:
    """What a page must not do: complain, or ask another host."""

    def __init__(self) -> None:
        self.complaints: list[str] = []
        self.foreign: list[str] = []
        self.host = ""
        # Of a failed request the browser itself writes a line.
        self.tolerates = ("Failed to load resource", "WebSocket connection to")

    def attach(self, page: Page, url: str) -> None:
        self.host = urlsplit(url).netloc
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", lambda m: self.complaints.append(m.text) if m.type in ("error", "warning") else None)
        page.on("request", lambda request: self.asked(request.url))

    def asked(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme in ("http", "https", "ws", "wss") and parts.netloc != self.host:
            self.foreign.append(url)

    def check(self) -> None:
        assert not self.foreign, self.foreign
        real = [one for one in self.complaints if not one.startswith(self.tolerates)]
        assert not real, real


@pytest.fixture
def look(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Opens the page of a pool."""
    contexts: list[BrowserContext] = []
    watches: list[Watch] = []

    def one(served: Served, at: str = "", *, phone: bool = False, **how: Any) -> Page:
        size = {"width": 360, "height": 740} if phone else {"width": 1280, "height": 860}
        context = browser.new_context(viewport=size, accept_downloads=True, **how)  # type: ignore[arg-type]
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(15_000)
        watch = Watch()
        watches.append(watch)
        watch.attach(page, served.url)
        page.goto(f"{served.url}#/{at}")
        return page

    yield one
    for context in contexts:
        context.close()
    for watch in watches:
        watch.check()
