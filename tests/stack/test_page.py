"""The live page of a real stack, in Chromium: what it shows is what nginx counts and serves by."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from urllib.parse import urlsplit

import pytest
import requests
from playwright.sync_api import Browser, Page, expect

from loadbalancer.waiting import Wait
from tests.browser import Witness, chromium, new_page, open_until, table
from tests.stack.deployment import Deployment

SECOND = 1000
"""In milliseconds, as Playwright counts."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium; for this file alone, since other tests want its event loop gone."""
    with chromium() as browser:
        yield browser


@dataclass
class Seen:
    """The page of a stack's admin port, open and live."""

    stack: Deployment
    url: str
    page: Page
    witness: Witness

    def split(self) -> dict[str, list[str]]:
        """Configured share, observed share and requests, as they stand there."""
        rows = table(self.page, "Configured and observed share of requests, by app")
        return {row[0].split()[0]: row[2:] for row in rows}

    def counted(self) -> dict[str, int]:
        """Requests of each app by /metrics."""
        text = requests.get(f"{self.url}/metrics", timeout=10).text
        line = re.compile(r'^loadbalancer_requests_total\{app="(\w+)",code="\d+"\} (\d+)$', re.M)
        found: dict[str, int] = {}
        for app, count in line.findall(text):
            found[app] = found.get(app, 0) + int(count)
        return found

    def servers(self) -> dict[str, str]:
        """The state that is shown of each server, by its container's name."""
        items = [item.inner_text().split() for item in self.page.locator("#servers li").all()]
        return {address.partition(":")[0]: state for state, address in items}

    def wait_for_servers(self, expected: dict[str, str]) -> None:
        """Wait until these states are shown."""

        def look() -> object:
            seen = self.servers()
            return None if seen == expected else seen

        Wait(timeout=20).until(f"the page to show {expected}", look)

    def wait_for_requests(self, *expected: dict[str, int]) -> None:
        """Wait until the observed share rests on so many requests of each app."""

        def look() -> object:
            seen = {app: int(row[2]) for app, row in self.split().items()}
            return None if seen in expected else seen

        Wait(timeout=10).until(f"the page to count {expected}", look)


@pytest.fixture
def seen(shared_stack: Deployment, browser: Browser) -> Iterator[Seen]:
    """The page, once it has shown its first reading."""
    with new_page(browser) as (page, witness):
        url = str(shared_stack.output("adminUrl"))
        live = expect(page.get_by_text("Live, "))
        open_until(page, witness, url, partial(live.to_be_visible, timeout=5 * SECOND))
        yield Seen(shared_stack, url, page, witness)


def test_it_opens_quietly_and_asks_nobody_else(seen: Seen) -> None:
    seen.stack.answers(5)
    expect(seen.page.locator("#split-about")).to_contain_text("5 requests")
    assert seen.witness.errors == []
    assert seen.witness.hosts == {urlsplit(seen.url).netloc}


def test_shares_are_those_that_nginx_counts(seen: Seen) -> None:
    before = seen.counted()
    seen.stack.answers(100)
    after = seen.counted()
    sent = {app: after[app] - before.get(app, 0) for app in after}
    assert sent == {"app1": 60, "app2": 40}
    seen.wait_for_requests(sent)
    assert seen.split() == {
        "app1": ["60.0 %", "60.0 %", "60"],
        "app2": ["40.0 %", "40.0 %", "40"],
    }


def test_a_change_of_weights_is_shown_within_three_seconds(stack: Deployment, seen: Seen) -> None:
    stack.answers(10)
    seen.wait_for_requests({"app1": 6, "app2": 4})
    stack.set_weights(app1=7, app2=3)
    stack.up()
    configured = seen.page.locator("#split-apps td:nth-child(3)")
    expect(configured).to_have_text(["70.0 %", "30.0 %"], timeout=3 * SECOND)
    version = requests.get(f"{seen.url}/status.json", timeout=10).json()["route"]["version"]
    expect(seen.page.locator("#route")).to_contain_text(f"Route {version}, changed")
    expect(seen.page.locator(".plot .change:last-child")).to_have_count(6)
    seen.stack.answers(100)
    seen.wait_for_requests({"app1": 70, "app2": 30})


def test_each_server_is_shown_with_its_state(seen: Seen) -> None:
    apps = seen.stack.output("containers")["apps"]
    up = {name: "up" for names in apps.values() for name in names}
    seen.wait_for_servers(up)
    (name,) = apps["app2"]
    container = seen.stack.containers()[name]
    container.pause()
    try:
        seen.wait_for_servers(up | {name: "down"})
        expect(seen.page.locator("#split-apps .bad")).to_contain_text("▲ 0 of 1 up")
    finally:
        container.unpause()
    seen.wait_for_servers(up)


def test_a_restart_of_nginx_is_told_and_draws_no_spike(stack: Deployment, seen: Seen) -> None:
    stack.answers(50)
    seen.wait_for_requests({"app1": 30, "app2": 20})
    nginx = stack.nginx()
    nginx.stop()
    try:
        expect(seen.page.get_by_role("status")).to_contain_text("old: nginx gives no fresh answer")
    finally:
        nginx.start()
    expect(seen.page.get_by_role("status")).to_be_empty(timeout=20 * SECOND)
    seen.stack.answers(5)
    # With those before the restart, unless they are more than a minute ago by now.
    seen.wait_for_requests({"app1": 33, "app2": 22}, {"app1": 3, "app2": 2})
    highest = seen.page.locator("article").first.locator(".plot").first.locator(".tick").last
    assert float(highest.inner_text()) <= 50
