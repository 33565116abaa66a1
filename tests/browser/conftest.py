"""A headless Chromium for the tests of the live page, and what it complains of.

The browser is the machine's own; nothing is downloaded. Where there is none, a test is skipped on a laptop and fails
under ``CI``. It runs for one file of tests at a time: while Playwright's loop runs in this thread, no other does.

``EMBEDSTREAM_SCREENSHOTS=docs/images`` has the tests write the pictures of the documentation.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from deployed_stream import Stream
from playwright.sync_api import Browser, Page, expect, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
PATIENCE_MS = 30_000


def _unavailable(sentence: str) -> None:
    if os.environ.get("CI"):
        pytest.fail(sentence)
    pytest.skip(sentence)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The machine's Chromium. It gives it no sandbox of its own: the pages are ours, and root may have none."""
    path = next((found for found in map(shutil.which, NAMES) if found), None)
    if path is None:
        _unavailable("There is no Chromium on this machine; install Debian's package chromium.")
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=path, timeout=2 * PATIENCE_MS)
        yield opened
        opened.close()


@dataclass
class Visit:
    """A page that is open, and what it must not do."""

    page: Page
    origin: str
    asked: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def violations(self) -> list[str]:
        """Of the content security policy, since the page was loaded."""
        return list(self.page.evaluate("window.violations"))

    def foreign(self) -> list[str]:
        """Requests to whoever else than the service."""
        return [url for url in self.asked if not url.startswith((f"{self.origin}/", "data:"))]

    def blameless(self) -> None:
        assert (self.errors, self.violations(), self.foreign()) == ([], [], [])
        assert self.asked, "nothing was asked of the service"


@pytest.fixture
def visit(browser: Browser) -> Iterator[Callable[..., Visit]]:
    """``visit(url)``: the live page of that service in a window of its own. Options are Playwright's of a context."""
    with ExitStack() as opened:

        def open_page(url: str, place: str = "/", **options: Any) -> Visit:
            context = browser.new_context(**{"viewport": {"width": 1200, "height": 900}, **options})
            opened.callback(context.close)
            page = context.new_page()
            page.set_default_timeout(PATIENCE_MS)
            visited = Visit(page, url.rstrip("/"))
            page.on("request", lambda request: visited.asked.append(request.url))
            page.on("pageerror", lambda error: visited.errors.append(str(error)))
            page.on(
                "console",
                lambda told: visited.errors.append(told.text) if told.type in {"error", "warning"} else None,
            )
            page.add_init_script(
                "window.violations = []; document.addEventListener('securitypolicyviolation', "
                "event => window.violations.push(`${event.violatedDirective}: ${event.blockedURI}`));"
            )
            page.goto(f"{visited.origin}{place}")
            return visited

        yield open_page


@pytest.fixture
def picture() -> Callable[[Page, str], None]:
    """``picture(page, name)`` writes it for the documentation, where that was asked for."""
    asked = os.environ.get("EMBEDSTREAM_SCREENSHOTS")

    def take(page: Page, name: str) -> None:
        if asked:
            path = Path(asked) / f"page-{name}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            page.screenshot(path=path, animations="disabled")

    return take


@pytest.fixture
def new_stream(kafka: str) -> Iterator[Callable[..., Stream]]:
    """``new_stream(sources, table={…})``: a deployment with topics, groups and an index of its own."""
    made: list[Stream] = []

    def make(*arguments: Any, **tables: Any) -> Stream:
        made.append(Stream(kafka, *arguments, **tables))
        return made[-1]

    yield make
    for stream in made:
        stream.close()
