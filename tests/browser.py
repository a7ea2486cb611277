"""Real Chromium, with the page that nginx's admin port serves opened in it."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import (
    Browser,
    ConsoleMessage,
    Error,
    Page,
    Request,
    expect,
    sync_playwright,
)

from loadbalancer.engine.wait import WaitTimeoutError

PATIENCE = 60_000
"""Milliseconds: a browser beside other tests may take long for what a page does at once."""

expect.set_options(timeout=PATIENCE)


@contextmanager
def chromium() -> Iterator[Browser]:
    """Run this machine's Chromium.

    Close it before anything else needs an event loop: Playwright keeps one running in this thread.
    """
    program = shutil.which("chromium")
    assert program, "chromium is missing: python3 -m toolchain --dev"
    with sync_playwright() as playwright:
        # Its sandbox needs more rights than a container or root gives it.
        browser = playwright.chromium.launch(
            executable_path=program, args=["--no-sandbox"], timeout=2 * PATIENCE
        )
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Witness:
    """What a page asked for and complained of."""

    hosts: set[str] = field(default_factory=set)
    paths: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def watch(self, page: Page) -> None:
        """Listen to a page, before it is opened."""

        def hear(message: ConsoleMessage) -> None:
            if message.type in ("error", "warning"):
                self.errors.append(message.text)

        def see(request: Request) -> None:
            address = urlsplit(request.url)
            self.hosts.add(address.netloc)
            self.paths.append(address.path)

        page.on("console", hear)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("request", see)


def open_until(page: Page, witness: Witness, url: str, ready: Callable[[], object]) -> None:
    """Open a page, again if `ready` fails or waits in vain.

    Chromium drops what it is loading whenever the host gets or loses a network, as it does with
    every stack that another test brings up or destroys (net::ERR_NETWORK_CHANGED). What the
    witness has heard is of the last opening alone.
    """
    for left in reversed(range(5)):
        page.goto("about:blank")  # where nothing goes on that could complain any more
        witness.errors.clear()
        try:
            page.goto(url)
            ready()
            return
        except (Error, AssertionError, WaitTimeoutError):
            if not left:
                raise


@contextmanager
def new_page(browser: Browser, **options: Any) -> Iterator[tuple[Page, Witness]]:
    """Make a page in a profile of its own; `options` are those of Playwright's contexts."""
    context = browser.new_context(**options)
    context.set_default_timeout(PATIENCE)
    try:
        page, witness = context.new_page(), Witness()
        witness.watch(page)
        yield page, witness
    finally:
        context.close()


def violations(page: Page) -> list[str]:
    """List the rules of axe that a page breaks, each with the elements that do."""
    return [
        f"{rule['id']}: {node['html']}"
        for rule in Axe().run(page).response["violations"]
        for node in rule["nodes"]
    ]


def table(page: Page, name: str) -> list[list[str]]:
    """Read the rows of the table that a screen reader knows by this name."""
    rows = page.get_by_role("table", name=name).locator("tbody tr").all()
    return [row.locator("th, td").all_inner_texts() for row in rows]
