"""The live page of a real stack, in Chromium: what it shows is what nginx counts and serves by."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

import pytest
import requests
from playwright.sync_api import Browser, Page, expect

from loadbalancer.engine.wait import Wait
from loadbalancer.metrics import window
from loadbalancer.metrics.reading import Reading
from tests.browser import Witness, chromium, new_page, open_until, table
from tests.stack.counters import read, settled
from tests.stack.deployment import Deployment

PATIENCE = Wait(timeout=120)


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

    def expect_live(self) -> None:
        """Wait for a reading, for a while: a page that could not load all of itself has none."""
        expect(self.page.get_by_text("Live, ")).to_be_visible(timeout=20_000)

    def split(self) -> dict[str, list[str]]:
        """Configured share, observed share and requests, as they stand there."""
        rows = table(self.page, "Configured and observed share of requests, by app")
        return {row[0].split()[0]: row[2:] for row in rows}

    def counted(self, before: Reading, sent: int) -> dict[str, int]:
        """Requests of each app by /metrics since then, once all that were sent are counted."""

        def look() -> object:
            found = window.since(before, read(self.stack))
            every = found.requests + sum(found.unrouted.values())
            return None if every == sent else f"{every} of {sent} requests"

        PATIENCE.until("every request to be counted", look)
        found = window.since(before, read(self.stack))
        return {name: app.requests for name, app in found.apps.items()}

    def servers(self) -> dict[str, str]:
        """The state that is shown of each server, by its container's name."""
        items = [item.inner_text().split() for item in self.page.locator("#servers li").all()]
        return {address.partition(":")[0]: state for state, address in items}

    def wait_for_servers(self, expected: dict[str, str]) -> None:
        """Wait until these states are shown."""

        def look() -> object:
            seen = self.servers()
            return None if seen == expected else seen

        PATIENCE.until(f"the page to show {expected}", look)

    def wait_for_requests(self, *expected: Mapping[str, int]) -> None:
        """Wait until the observed share rests on so many requests of each app."""

        def look() -> object:
            seen = {app: int(row[2]) for app, row in self.split().items()}
            return None if seen in expected else seen

        PATIENCE.until(f"the page to count {expected}", look)

    def wait_for_history(self, seconds: int) -> None:
        """Wait until the page has readings of so many seconds more.

        A rate is taken over the time that there are readings of: the shorter that is, the higher.
        """

        def shown() -> int:
            clock = self.page.locator("#live").inner_text().split()[-1]  # Live, 12:34:56
            parts = [int(part) for part in clock.split(":")]
            return 3600 * parts[0] + 60 * parts[1] + parts[2]

        begun = shown()

        def look() -> object:
            passed = (shown() - begun) % 86400
            return None if passed >= seconds else f"{passed} s"

        PATIENCE.until(f"readings of {seconds} s", look)


@pytest.fixture
def seen(stack: Deployment, browser: Browser) -> Iterator[Seen]:
    """The page, once it has shown its first reading, in which all earlier requests are counted."""
    settled(stack)
    with new_page(browser) as (page, witness):
        found = Seen(stack, str(stack.output("adminUrl")), page, witness)
        open_until(page, witness, found.url, found.expect_live)
        yield found


def test_it_opens_quietly_and_asks_nobody_else(seen: Seen) -> None:
    seen.stack.answers(5)
    expect(seen.page.locator("#split-about")).to_contain_text("5 requests")

    def quiet() -> None:
        seen.expect_live()
        seen.wait_for_history(1)
        assert seen.witness.errors == []

    # Again, since Chromium itself may have complained of a network that came or went.
    open_until(seen.page, seen.witness, seen.url, quiet)
    assert seen.witness.hosts == {urlsplit(seen.url).netloc}


def test_shares_are_those_that_nginx_counts(seen: Seen) -> None:
    before = read(seen.stack)
    seen.stack.answers(100)
    sent = seen.counted(before, 100)
    assert sent == {"app1": 60, "app2": 40}
    seen.wait_for_requests(sent)
    assert seen.split() == {
        "app1": ["60.0 %", "60.0 %", "60"],
        "app2": ["40.0 %", "40.0 %", "40"],
    }


NOTE_ANSWERS = """() => {
    const ask = window.fetch;
    const cells = () => [...document.querySelectorAll("#split-apps td:nth-child(3)")];
    window.answers = [];
    window.fetch = async (...question) => {
        // What the answer before has said is shown by now.
        if (answers.length) answers.at(-1).shown = cells().map((cell) => cell.textContent);
        const answer = await ask(...question);
        answers.push({ told: (await answer.clone().json()).apps.map(({ share }) => share) });
        return answer;
    };
}"""
"""Notes the shares of each answer, and those that the page shows when it asks for the next."""


@pytest.mark.faults
def test_a_change_of_weights_is_shown_with_the_next_answer(stack: Deployment, seen: Seen) -> None:
    stack.answers(10)
    seen.wait_for_requests({"app1": 6, "app2": 4})
    seen.page.evaluate(NOTE_ANSWERS)
    stack.set_weights(app1=7, app2=3)
    stack.up()
    # It asks each second, and shows what it is told before it asks again; an answer on which it had
    # given up when the machine stalled is told once more.
    right = {"told": [0.7, 0.3], "shown": ["70.0 %", "30.0 %"]}

    def look() -> object:
        answers = seen.page.evaluate("answers")
        return None if right in answers else answers[-2:]

    PATIENCE.until("the page to show what it was told", look)
    version = requests.get(f"{seen.url}/status.json", timeout=60).json()["route"]["version"]
    expect(seen.page.locator("#route")).to_contain_text(f"Route {version}, changed")
    expect(seen.page.locator(".plot .change:last-child")).to_have_count(6)
    seen.stack.answers(100)
    seen.wait_for_requests({"app1": 70, "app2": 30})


@pytest.mark.faults
def test_each_server_is_shown_with_its_state(seen: Seen) -> None:
    apps = seen.stack.output("containers")["apps"]
    up = {name: "up" for names in apps.values() for name in names}
    seen.wait_for_servers(up)
    (name,) = apps["app2"]
    container = seen.stack.containers()[name]
    container.pause()
    try:
        seen.wait_for_servers(up | {name: "down"})
        row = seen.page.locator("#split-apps tr", has_text="app2")
        expect(row.locator(".bad")).to_contain_text("▲ 0 of 1 up")
    finally:
        container.unpause()
    seen.wait_for_servers(up)


@pytest.mark.faults
def test_a_restart_of_nginx_is_told_and_draws_no_spike(stack: Deployment, seen: Seen) -> None:
    seen.wait_for_history(2)
    stack.answers(50)
    seen.wait_for_requests({"app1": 30, "app2": 20})
    seen.wait_for_history(2)
    nginx = stack.nginx()
    nginx.stop()
    try:
        expect(seen.page.get_by_role("status")).to_contain_text("old: nginx does not respond")
    finally:
        nginx.start()
    expect(seen.page.get_by_role("status")).to_be_empty()
    seen.wait_for_history(2)
    before, sent = read(stack), 0

    def look() -> object:
        nonlocal sent
        requests.get(stack.url, timeout=60)  # which may come before nginx has found the apps
        sent += 1
        counts = seen.counted(before, sent)
        return None if all(counts.values()) else counts

    Wait(60, 0.2).until("both apps to be asked", look)
    since = seen.counted(before, sent)
    # With those before the restart, unless they are more than a minute ago by now.
    seen.wait_for_requests({"app1": 30 + since["app1"], "app2": 20 + since["app2"]}, since)
    highest = seen.page.locator("article").first.locator(".plot").first.locator(".tick").last
    assert float(highest.inner_text()) <= 50
