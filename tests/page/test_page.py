"""What the page shows and says, in Chromium, of statuses that the tests write."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any, Literal

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from loadbalancer.engine.wait import Wait
from tests.browser import PATIENCE, Witness, new_page, open_until, table, violations
from tests.page.admin import NOW, Admin, Status, app, status

SECOND = 1000
"""In milliseconds, as the page's clock counts."""

LONG = pytest.mark.faults
"""Of the variants of a test, those that `make test` leaves to `make faults`."""

HOSTILE = ("<img src=x onerror=document.title='hit'>", "__proto__", "a" * 63)


def clock(at: float) -> str:
    """The time of day so many seconds after NOW, as the page writes it."""
    return datetime.fromtimestamp(NOW + at, UTC).strftime("%H:%M:%S")


def live(answer: Status) -> str:
    """What the page says when it shows this answer, and nothing newer is due."""
    return f"Live, {clock(answer['now'] - NOW)}"


@dataclass
class Visit:
    """The page, open on the stand-in of the admin port, with a clock that only the test moves."""

    page: Page
    admin: Admin
    witness: Witness

    def see(self, answer: Status) -> None:
        """Let the page ask, and get this answer.

        It asks once, and again where that question was lost, or an earlier one still under way.
        """
        self.admin.status = answer

        def look() -> object:
            self.page.clock.run_for(SECOND)
            try:
                expect(self.text("live")).to_have_text(live(answer), timeout=5 * SECOND)
            except AssertionError as error:
                return str(error)
            return None

        Wait(timeout=120).until("the page to show its answer", look)

    def expect_live(self, answer: Status, timeout: float = PATIENCE) -> None:
        """Wait until the page shows this answer."""
        expect(self.text("live")).to_have_text(live(answer), timeout=timeout)

    def text(self, id_: str) -> Locator:
        """What stands under this id."""
        return self.page.locator(f"#{id_}")

    def split(self) -> list[list[str]]:
        """The split's rows, without the column of bars."""
        rows = table(self.page, "Configured and observed share of requests, by app")
        return [[row[0].replace("\xa0", " "), *row[2:]] for row in rows]

    def hide(self, hidden: bool) -> None:
        """Put the page to the background, or back."""
        self.page.evaluate(
            """(value) => {
                Object.defineProperty(document, "hidden", { value, configurable: true });
                document.dispatchEvent(new Event("visibilitychange"));
            }""",
            hidden,
        )

    def violations(self) -> list[str]:
        """What axe finds; it needs a clock that goes."""
        self.page.clock.resume()
        return violations(self.page)

    def expect_no_sideways_scroll(self) -> None:
        """Nothing sticks out of the window."""
        size = "[document.documentElement.scrollWidth, window.innerWidth]"
        width, window = self.page.evaluate(size)
        assert width <= window


Open = Callable[..., Visit]


PATIENT = "AbortSignal.timeout = () => new AbortController().signal"
"""This one goes by a clock that Playwright cannot stop: where the machine stalls, the page would
give up waiting, and its next question would need the test to move its clock."""


def stop_clock(page: Page) -> None:
    """Let time stand still in a page that is not open yet."""
    page.clock.install(time=0)
    page.clock.pause_at(1)
    page.add_init_script(PATIENT)


@pytest.fixture
def visit(browser: Browser, admin: Admin) -> Iterator[Open]:
    """Open the page with this answer; options are those of Playwright's contexts."""
    with ExitStack() as cleanup:

        def visit(answer: Status, **options: Any) -> Visit:
            made = new_page(browser, timezone_id="UTC", **options)
            page, witness = cleanup.enter_context(made)
            stop_clock(page)
            admin.status = answer
            opened = Visit(page, admin, witness)
            ready = partial(opened.expect_live, answer, timeout=20 * SECOND)
            open_until(page, witness, admin.url, ready)
            return opened

        yield visit


def two(
    at: float, app1: int, app2: int, *, weights: tuple[int, int] = (6, 4), **more: Any
) -> Status:
    """A status of two apps that have answered so many requests."""
    return status(app("app1", weights[0], app1), app("app2", weights[1], app2), at=at, **more)


def many(apps: int, servers: int, at: float = 0) -> Status:
    """A status of many apps, each with so many servers and one of them down."""
    states = " ".join(["up"] * (servers - 1) + ["down"])
    named = [app(f"catalogue-{n}", n + 1, int(at) * n, servers=states) for n in range(apps)]
    return status(*named, at=at)


def test_it_opens_quietly_and_asks_only_its_own_origin(visit: Open) -> None:
    seen = visit(two(0, 0, 0))
    seen.see(two(1, 6, 4))
    assert seen.witness.errors == []
    assert seen.witness.hosts == {seen.admin.url.split("/")[2]}
    assert {"/", "/page.css", "/page.js", "/icon.svg", "/status.json"} <= set(seen.witness.paths)


def test_the_split_is_configured_against_observed(visit: Open) -> None:
    seen = visit(two(0, 1000, 1000))
    seen.see(two(1, 1013, 1007))
    expect(seen.text("split-about")).to_have_text("Observed over the last 1 s: 20 requests")
    assert seen.split() == [
        ["app1 weight 6, 1 of 1 up", "60.0 %", "65.0 %", "13"],
        ["app2 weight 4, 1 of 1 up", "40.0 %", "35.0 %", "7"],
    ]
    widths = [
        bar.evaluate("(bar) => parseFloat(bar.style.width)")
        for bar in seen.page.locator(".track > div").all()
    ]
    assert widths == pytest.approx([60, 65, 40, 35])


def test_a_change_of_weights_is_followed_at_the_next_answer(visit: Open) -> None:
    seen = visit(two(0, 0, 0))
    seen.see(two(1, 60, 40))
    after = partial(two, weights=(7, 3), route="ba9876543210", changed=1.5)
    seen.see(after(2, 66, 44))
    assert [row[1:] for row in seen.split()] == [
        ["70.0 %", "\u2013", "0"],
        ["30.0 %", "\u2013", "0"],
    ]
    changed = f"since the route changed at {clock(1.5)}"
    expect(seen.text("split-about")).to_contain_text(f"No requests {changed}. Send some")
    expect(seen.text("route")).to_have_text(f"Route ba9876543210, changed 0 s ago ({clock(1.5)})")
    seen.see(after(3, 73, 47))
    assert [row[1:] for row in seen.split()] == [
        ["70.0 %", "70.0 %", "7"],
        ["30.0 %", "30.0 %", "3"],
    ]
    expect(seen.text("split-about")).to_have_text(f"Observed {changed}: 10 requests")


def test_a_change_of_the_route_is_marked_in_every_graph(visit: Open) -> None:
    seen = visit(two(0, 0, 0))
    expect(seen.page.locator(".change")).to_have_count(0)
    seen.see(two(30, 6, 4, route="ba9876543210", changed=0))
    marks = seen.page.locator(".plot .change")
    expect(marks).to_have_count(6)
    for mark in marks.all():
        expect(mark).to_have_text(f"route {clock(0)}")
        assert mark.evaluate("(mark) => parseFloat(mark.style.left)") == pytest.approx(90)
    expect(seen.text("graphs-about")).to_contain_text(f"the last at {clock(0)}")


def test_figures_of_each_app_and_of_all(visit: Open) -> None:
    def answer(at: int) -> Status:
        apps = (app("app1", 6, 60 * at, errors=6 * at), app("app2", 4, 40 * at))
        return status(*apps, at=at, lost=2 * at)

    seen = visit(answer(0))
    seen.see(answer(10))
    captions = [text.split() for text in seen.page.locator("figcaption").all_inner_texts()]
    times = ["3.8", "ms", "p50", "4.9", "ms", "p95", "5.0", "ms", "p99"]
    assert captions == [
        ["60.0", "requests/s"], ["10.00", "%", "errors"], times,
        ["40.0", "requests/s"], ["0.00", "%", "errors"], times,
    ]  # fmt: skip
    summary = dict(
        zip(
            seen.page.locator("#summary dt").all_inner_texts(),
            seen.page.locator("#summary dd").all_inner_texts(),
            strict=True,
        )
    )
    assert summary == {
        "Requests/s": "100.0", "Errors": "6.00 %", "Connections": "1",
        "p50": "3.8 ms", "p95": "4.9 ms", "p99": "5.0 ms",
        "Unrouted, 5 min": "20", "Unrouted, total": "20 \u00d7 503",
    }  # fmt: skip


@pytest.mark.faults
def test_failed_attempts_are_told(visit: Open) -> None:
    def answer(at: int) -> Status:
        found = two(at, 60 * at, 40 * at)
        found["apps"][1]["attempts"] |= {"connect_failed": 2 * at, "timeout": at, "aborted": at}
        return found

    seen = visit(answer(0))
    seen.see(answer(5))
    assert seen.page.locator(".who .bad").all_inner_texts() == ["", "▲ 15 failed attempts"]


def test_a_restart_draws_no_spike(visit: Open) -> None:
    seen = visit(two(0, 10**6, 10**6))
    for at in range(1, 8):
        seen.see(two(at, 10**6 + 10 * at, 10**6))
    for at in range(8, 16):
        seen.see(two(at, 10 * (at - 7), 0))
    ticks = seen.page.locator("article").first.locator(".plot").first.locator(".tick")
    assert ticks.all_inner_texts() == ["0", "5", "10"]
    assert not seen.page.locator(".line.rate").first.evaluate(
        "(line) => line.getAttribute('d').match(/[ML][^ML]*/g).some((at) => at.split(' ')[1] > 0.1)"
    )


@pytest.mark.faults
def test_history_outlives_a_reload(visit: Open) -> None:
    seen = visit(two(0, 0, 0))
    seen.see(two(1, 6, 4))
    seen.admin.status = two(3, 18, 12)
    seen.page.reload()
    seen.expect_live(seen.admin.status)
    expect(seen.text("split-about")).to_have_text("Observed over the last 3 s: 30 requests")


@pytest.mark.faults
def test_what_is_kept_of_another_page_does_no_harm(visit: Open) -> None:
    seen = visit(two(0, 0, 0))
    for kept in ("{", "null", '"text"', "[1]", '[{"at": 0, "apps": 3}]'):
        seen.page.evaluate("(kept) => addEventListener('unload', () => {"
                           "sessionStorage.setItem('readings-1', kept) })", kept)  # fmt: skip
        seen.page.reload()
        seen.expect_live(seen.admin.status)


def test_a_hidden_page_does_not_ask_and_catches_up_without_a_spike(visit: Open) -> None:
    seen = visit(two(0, 0, 0))
    seen.see(two(1, 10, 0))
    seen.hide(True)
    seen.page.clock.run_for(30 * SECOND)
    asked = seen.admin.asked
    seen.page.clock.run_for(30 * SECOND)
    assert seen.admin.asked == asked
    seen.admin.status = two(41, 410, 0)
    seen.hide(False)
    seen.expect_live(seen.admin.status)
    expect(seen.text("stale")).to_be_empty()
    assert table_of(seen, "app1") == [
        [clock(at), "10.0", "0.00 %", "3.8 ms", "4.9 ms", "5.0 ms"] for at in range(40, 0, -5)
    ]


@pytest.mark.faults
def test_a_page_back_in_front_has_time_to_ask_before_it_calls_its_data_old(visit: Open) -> None:
    seen = visit(two(0, 0, 0))
    seen.hide(True)
    seen.page.clock.run_for(60 * SECOND)
    seen.admin.held.clear()
    seen.hide(False)
    seen.page.clock.run_for(2 * SECOND)
    expect(seen.text("stale")).to_be_empty()
    seen.page.clock.run_for(2 * SECOND)
    expect(seen.text("stale")).to_contain_text("Data is 64 s old")


def table_of(seen: Visit, name: str) -> list[list[str]]:
    """Open the table of an app and read it."""
    seen.page.get_by_role("button", name=f"Table of {name}", exact=True).click()
    return table(seen.page, f"{name} over the last 5 minutes")


@pytest.mark.faults
def test_rows_of_a_table_stay_as_they_are(visit: Open) -> None:
    seen = visit(two(0, 0, 0))
    seen.see(two(11, 110, 0))
    assert [row[0] for row in table_of(seen, "app1")] == [clock(10), clock(5)]
    row = seen.page.locator("tbody tr", has_text=clock(10)).element_handle()
    seen.see(two(16, 990, 0))
    rows = table(seen.page, "app1 over the last 5 minutes")
    assert [row[0] for row in rows] == [clock(15), clock(10), clock(5)]
    assert row.evaluate("(row) => row.isConnected && row.previousElementSibling !== null")


def test_old_data_says_so_until_it_is_fresh_again(visit: Open) -> None:
    seen = visit(two(0, 0, 0))
    seen.admin.broken = True
    seen.page.clock.run_for(2 * SECOND)
    expect(seen.text("stale")).to_be_empty()
    seen.page.clock.run_for(2 * SECOND)
    warning = seen.page.get_by_role("status")
    expect(warning).to_have_text(
        "Data is 4 s old: nginx does not respond. ./lb status shows what is wrong, ./lb repair "
        "fixes it. This page keeps trying."
    )
    expect(seen.text("live")).to_have_text(f"Old, {clock(0)}")
    seen.page.clock.run_for(60 * SECOND)
    expect(warning).to_contain_text("Data is 64 s old")
    seen.admin.broken = False
    seen.see(two(70, 6, 4))
    expect(warning).to_be_empty()


@pytest.mark.faults
def test_a_screen_reader_is_told_once_that_data_is_old(visit: Open) -> None:
    seen = visit(two(0, 0, 0))
    seen.admin.broken = True
    seen.page.clock.run_for(4 * SECOND)
    expect(seen.page.get_by_role("status")).not_to_be_empty()
    seen.page.evaluate("""() => {
        window.told = 0;
        const tell = (changes) => changes.forEach(({ target }) => {
            const element = target.nodeType === 1 ? target : target.parentElement;
            if (!element.closest("[aria-hidden]")) window.told += 1;
        });
        const all = { childList: true, characterData: true, subtree: true };
        new MutationObserver(tell).observe(document.getElementById("stale"), all);
    }""")
    seen.page.clock.run_for(10 * SECOND)
    expect(seen.page.get_by_role("status")).to_contain_text("14 s")
    assert seen.page.evaluate("window.told") == 0


def test_an_nginx_that_never_answered(browser: Browser, admin: Admin) -> None:
    admin.broken = True
    with new_page(browser) as (page, _):
        stop_clock(page)
        page.goto(admin.url)
        page.clock.run_for(5 * SECOND)
        expect(page.get_by_role("status")).to_contain_text("No data yet: nginx does not respond")


COUNTED_QUESTIONS = """
let flying = 0;
const ask = window.fetch;
window.most = 0;
window.fetch = async (...question) => {
  window.most = Math.max(window.most, ++flying);
  try { return await ask(...question); } finally { flying--; }
};
"""
"""Counts how many questions are under way at most; the browser tells of them in any order."""


def test_never_two_questions_at_once(browser: Browser, admin: Admin) -> None:
    admin.held.clear()
    with new_page(browser) as (page, witness):
        page.add_init_script(COUNTED_QUESTIONS)

        def asked() -> object:
            return None if page.evaluate("most") else "no question"

        asks = partial(Wait(timeout=20).until, "the page to ask", asked)
        open_until(page, witness, admin.url, asks)

        def look() -> object:
            page.evaluate("null")  # lets Playwright hear of requests
            return None if admin.asked >= 3 else admin.asked

        Wait(timeout=120).until("the page to give up waiting twice", look)
        assert page.evaluate("most") == 1
        admin.held.set()
        expect(page.get_by_text("Live, ")).to_be_visible()


@pytest.mark.faults
def test_a_late_answer_does_not_put_off_the_next_question(visit: Open) -> None:
    seen = visit(two(0, 0, 0))
    asked = seen.admin.asked

    def wait_for_questions(number: int) -> None:
        def look() -> object:
            more = seen.admin.asked - asked
            return None if more == number else more

        Wait(timeout=60).until(f"{number} more questions", look)

    seen.admin.held.clear()
    seen.page.clock.run_for(SECOND)
    wait_for_questions(1)
    seen.page.clock.run_for(1500)
    seen.admin.status = two(1, 6, 4)
    seen.admin.held.set()
    seen.expect_live(seen.admin.status)
    seen.page.clock.run_for(1)
    wait_for_questions(2)


def test_no_app_yet(visit: Open) -> None:
    seen = visit(status(route="", changed=0))
    expect(seen.text("route")).to_have_text("No route yet")
    expect(seen.text("split-about")).to_contain_text("No apps yet. The first pulumi up adds them")
    assert seen.page.locator("section:visible").count() == 1
    seen.see(two(1, 0, 0))
    assert len(seen.split()) == 2


def test_no_traffic_yet(visit: Open) -> None:
    seen = visit(two(0, 0, 0))
    seen.see(two(10, 0, 0))
    expect(seen.text("split-about")).to_contain_text("No requests yet. Send some to the address")
    assert (
        seen.page.locator(".plot p").all_inner_texts()
        == ["", *["no requests in this time"] * 2] * 2
    )


def test_no_traffic_lately(visit: Open) -> None:
    seen = visit(two(0, 60, 40))
    seen.see(two(10, 60, 40))
    expect(seen.text("split-about")).to_contain_text("No requests in the last 10 s. Send some")


def test_each_server_has_its_state(visit: Open) -> None:
    seen = visit(status(app("app1", 6, servers="up down up"), app("app2", 4), at=0))
    groups = [
        [item.inner_text().split() for item in group.get_by_role("listitem").all()]
        for group in seen.page.locator(".group").all()
    ]
    assert groups == [
        [
            ["down", "stack-app1-1:31000"],
            ["up", "stack-app1-0:31000"],
            ["up", "stack-app1-2:31000"],
        ],
        [["up", "stack-app2-0:31000"]],
    ]
    assert [row[0] for row in seen.split()] == [
        "app1 weight 6, ▲ 2 of 3 up",
        "app2 weight 4, 1 of 1 up",
    ]


def test_an_ejected_server_has_its_reason(visit: Open) -> None:
    one = app("app1", servers="up down", ejected="connect_failed")
    seen = visit(status(one, app("app2"), at=0))
    servers = seen.page.locator("#servers li")
    expect(servers.first).to_have_text("down stack-app1-1:31000 ejected: no connection")
    expect(servers.nth(1)).to_have_text("up stack-app1-0:31000")


def test_an_app_that_leaves_the_route_leaves_the_page(visit: Open) -> None:
    seen = visit(two(0, 0, 0))
    seen.see(status(app("app2"), app("app3"), at=1, route="ba9876543210", changed=1))
    assert [row[0].split()[0] for row in seen.split()] == ["app2", "app3"]
    assert seen.page.get_by_role("heading", level=3).all_inner_texts()[:2] == ["app2", "app3"]


def test_hostile_names_stay_text(visit: Open) -> None:
    first, second = (
        status(*(app(name, 1, 30 * at) for name in HOSTILE), at=at, route="<b>route</b>")
        for at in (0, 10)
    )
    seen = visit(first)
    seen.see(second)
    assert [row[0] for row in seen.split()] == [f"{name} weight 1, 1 of 1 up" for name in HOSTILE]
    assert [row[3] for row in seen.split()] == ["300"] * 3
    for name in HOSTILE:
        assert table_of(seen, name)[0][1] == "30.0"
    expect(seen.text("route")).to_contain_text("<b>route</b>")
    assert seen.page.locator("img, #route b").count() == 0
    assert seen.page.title() == "Weighted load balancer"
    assert seen.witness.errors == []


@pytest.mark.parametrize("width", [320, *(pytest.param(w, marks=LONG) for w in (640, 1024, 1600))])
@pytest.mark.parametrize("apps", [2, 30])
def test_nothing_sticks_out_at_any_width(visit: Open, width: int, apps: int) -> None:
    seen = visit(many(apps, 5), viewport={"width": width, "height": 800})
    seen.see(many(apps, 5, at=59))
    seen.page.get_by_role("button", name="Table of catalogue-1", exact=True).click()
    seen.admin.broken = True
    seen.page.clock.run_for(5 * SECOND)
    expect(seen.page.get_by_role("status")).not_to_be_empty()
    seen.expect_no_sideways_scroll()


@pytest.mark.faults
def test_the_longest_names_do_not_stick_out(visit: Open) -> None:
    first = status(*(app(name) for name in HOSTILE))
    visit(first, viewport={"width": 320, "height": 800}).expect_no_sideways_scroll()


@pytest.mark.faults
def test_a_hundred_servers_are_all_there(visit: Open) -> None:
    seen = visit(many(3, 100))
    expect(seen.page.locator("#servers li")).to_have_count(300)
    assert [row[0].split(", ")[1] for row in seen.split()] == ["▲ 99 of 100 up"] * 3


def focus_order(page: Page) -> list[str]:
    """Press Tab through the page once; return the names of what gets the focus."""
    name = "(document.activeElement.ariaLabel ?? document.activeElement.textContent).trim()"
    found: list[str] = []
    page.locator("h1").click()  # so that the first Tab goes into the page
    while len(found) < 100:
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement === document.body"):
            break
        assert page.evaluate("document.activeElement.matches(':focus-visible')")
        found.append(page.evaluate(name))
    return found


def test_the_keyboard_reaches_every_control_and_table(visit: Open) -> None:
    seen = visit(two(0, 0, 0), viewport={"width": 1280, "height": 800})
    seen.see(two(11, 60, 40))
    buttons, links = ["Table of app1", "Table of app2"], ["metrics", "status.json"]
    assert focus_order(seen.page) == [*buttons, *links]
    for name in buttons:
        button = seen.page.get_by_role("button", name=name)
        button.focus()
        seen.page.keyboard.press("Enter")
        expect(button).to_have_attribute("aria-expanded", "true")
    regions = [region.evaluate("(one) => one.ariaLabel")
               for region in seen.page.get_by_role("region", name="Table of").all()]  # fmt: skip
    assert regions == buttons
    assert focus_order(seen.page) == [
        *(name for pair in zip(buttons, regions, strict=True) for name in pair),
        *links,
    ]
    seen.see(two(12, 66, 44))
    expect(seen.page.get_by_role("region", name="Table of app2")).to_be_visible()
    seen.page.get_by_role("button", name="Table of app1").press("Space")
    expect(seen.page.get_by_role("region", name="Table of app1")).to_be_hidden()


@pytest.mark.faults
def test_the_focus_stays_while_the_page_goes_on(visit: Open) -> None:
    seen = visit(two(0, 0, 0))
    button = seen.page.get_by_role("button", name="Table of app2")
    button.focus()
    seen.see(status(app("app0"), app("app2"), at=1, route="ba9876543210", changed=1))
    expect(button).to_be_focused()


@pytest.mark.faults
def test_every_graph_has_a_name_and_a_table(visit: Open) -> None:
    seen = visit(two(0, 0, 0))
    seen.see(two(10, 60, 40))
    names = [graph.evaluate("(graph) => graph.ariaLabel")
             for graph in seen.page.get_by_role("img").all()]  # fmt: skip
    times = "3.8 ms p50, 4.9 ms p95, 5.0 ms p99"
    assert names == [
        "Requests per second of app1, now 6.0 requests/s",
        "Error rate of app1, now 0.00 % errors",
        f"Response times of app1, now {times}",
        "Requests per second of app2, now 4.0 requests/s",
        "Error rate of app2, now 0.00 % errors",
        f"Response times of app2, now {times}",
    ]
    for name in ("app1", "app2"):
        table_of(seen, name)
        found = seen.page.get_by_role("table", name=f"{name} over the last 5 minutes")
        heads = found.get_by_role("columnheader").all_inner_texts()
        assert heads == ["time", "requests/s", "errors", "p50", "p95", "p99"]


@pytest.mark.parametrize("scheme", ["light", pytest.param("dark", marks=LONG)])
@pytest.mark.parametrize("width", [320, 1280])
def test_axe_finds_nothing(visit: Open, scheme: Literal["light", "dark"], width: int) -> None:
    seen = visit(
        status(app("app1", 6, servers="up down"), app("app2", 4)),
        color_scheme=scheme,
        viewport={"width": width, "height": 800},
    )
    answer = status(app("app1", 6, 600, servers="up down"), app("app2", 4, 400), at=11, changed=5)
    answer["apps"][0]["attempts"]["timeout"] = 40
    seen.see(answer)
    assert seen.violations() == []
    table_of(seen, "app1")
    seen.admin.broken = True
    seen.page.clock.run_for(5 * SECOND)
    expect(seen.page.get_by_role("status")).not_to_be_empty()
    assert seen.violations() == []


@pytest.mark.faults
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_where_there_is_nothing(
    visit: Open, scheme: Literal["light", "dark"]
) -> None:
    assert visit(status(route="", changed=0), color_scheme=scheme).violations() == []


@pytest.mark.faults
def test_light_and_dark_differ(visit: Open) -> None:
    grounds = [
        visit(two(0, 0, 0), color_scheme=scheme).page.evaluate(
            "getComputedStyle(document.body).backgroundColor"
        )
        for scheme in ("light", "dark")
    ]
    assert len(set(grounds)) == 2


@pytest.mark.faults
def test_lines_differ_in_more_than_colour(visit: Open) -> None:
    seen = visit(two(0, 0, 0))
    dashes = {
        seen.page.locator(f".line.{key}").first.evaluate(
            "(it) => getComputedStyle(it).strokeDasharray"
        )
        for key in ("p50", "p95", "p99")
    }
    assert len(dashes) == 3


@pytest.mark.faults
def test_nothing_moves_for_whoever_wants_that(visit: Open) -> None:
    duration = "getComputedStyle(document.querySelector('.track .observed')).transitionDuration"
    assert visit(two(0, 0, 0)).page.evaluate(duration) == "0.3s"
    assert visit(two(0, 0, 0), reduced_motion="reduce").page.evaluate(duration) == "0s"


@pytest.mark.faults
def test_bars_are_there_in_forced_colours(visit: Open) -> None:
    seen = visit(two(0, 0, 0), forced_colors="active")
    colours = {
        seen.page.locator(bar).first.evaluate("(it) => getComputedStyle(it).backgroundColor")
        for bar in (".track .configured", ".track .observed", "body")
    }
    assert len(colours) == 3
