"""The merged log of several containers: parsed, filtered, ordered and shown, without Docker."""

import io
import json
import threading
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from requests import ConnectionError as NoConnectionError
from rich.console import Console

from loadbalancer import engine, names
from loadbalancer.display.logs import json_printer, printer
from loadbalancer.engine import Client, EngineError, NotFound
from loadbalancer.engine.container import Container
from loadbalancer.formats import escape_control_chars
from loadbalancer.logs import stream
from loadbalancer.logs.filter import Filter, FilterError
from loadbalancer.logs.merge import Lines, Merger, Position
from loadbalancer.logs.parse import Attempt, Line, Request, Source, parse
from loadbalancer.logs.reader import LogSource, source_of
from loadbalancer.logs.stream import LogsError
from loadbalancer.state import deployment
from loadbalancer.state.deployment import Desired
from loadbalancer.state.project import Project
from loadbalancer.state.pulumi import StackNotFoundError

NGINX, APP1, APP2 = Source("nginx-1", None), Source("app1-1", "app1"), Source("app2-1", "app2")
PORTS = {5001: "app1", 5002: "app2"}
AT = "2026-11-22T15:20:28.123456789Z"
OF_NGINX = {
    "time": "2026-11-22T15:20:28+00:00",
    "id": "abc",
    "app": "app2",
    "method": "GET",
    "uri": "/a?b=c",
    "status": 200,
    "seconds": 0.012,
    "upstream": "172.18.0.3:5001, 172.18.0.2:5002",
    "upstream_status": "502, 200",
}
OF_APP = {
    "time": "2026-11-22T15:20:28.120Z",
    "app": "app2",
    "request_id": "abc",
    "method": "GET",
    "path": "/a",
    "status": 200,
    "duration_ms": 0.483,
}
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=2),
    max_leaves=3,
)
KEYS = st.sampled_from(sorted({*OF_NGINX, *OF_APP}))
TEXTS = st.one_of(
    st.text(),
    st.dictionaries(KEYS, VALUES).map(json.dumps),
    st.dictionaries(KEYS, VALUES).map(lambda odd: json.dumps({**OF_NGINX, **odd})),
)


def line(record: object, source: Source = NGINX, at: str = AT) -> Line:
    text = record if isinstance(record, str) else json.dumps(record)
    return parse(at, source, text, PORTS)


def shown(*lines: Line, **console: Any) -> list[str]:
    file = io.StringIO()
    show = printer(Console(file=file, width=40, highlight=False, **console))
    for one in lines:
        show(one)
    return file.getvalue().splitlines()


def test_a_line_of_nginx_and_one_of_an_app() -> None:
    attempts = (Attempt("app1", "502"), Attempt("app2", "200"))
    assert line(OF_NGINX).request == Request(200, "GET", "/a?b=c", 12.0, "app2", attempts)
    assert line(OF_APP, APP2).request == Request(200, "GET", "/a", 0.483, "app2")
    assert line(OF_NGINX).id == line(OF_APP, APP2).id == "abc"


@pytest.mark.parametrize(
    ("server", "status", "attempts"),
    [
        ("", "", ()),
        ("-", "-", ()),
        ("apps", "502", ()),
        ("10.0.0.1:5001, apps", "502, 502", (Attempt("app1", "502"),)),
        (
            "10.0.0.1:5001 : 10.0.0.2:5002",
            "504 : 200",
            (Attempt("app1", "504"), Attempt("app2", "200")),
        ),
        ("[::1]:5001", "-", (Attempt("app1", "-"),)),
        ("10.0.0.1:80", "200", (Attempt("10.0.0.1:80", "200"),)),
        ("unix:/tmp/socket", "200", (Attempt("unix:/tmp/socket", "200"),)),
    ],
)
def test_the_servers_that_nginx_asked(
    server: str, status: str, attempts: tuple[Attempt, ...]
) -> None:
    found = line({**OF_NGINX, "upstream": server, "upstream_status": status}).request
    assert found is not None
    assert found.attempts == attempts


@pytest.mark.parametrize(
    "text",
    [
        "2026/11/22 15:20:28 [notice] 1#1: exiting",
        "Traceback (most recent call last):",
        "[1]",
        '{"status": 200',
        '{"status": 200}',
        '{"status": true, "method": "GET"}',
        '{"status": 1000, "method": "GET"}',
        '{"status": "200", "method": "GET"}',
        '{"a":' * 100_000,
        '{"status": 2e2, "method": "GET"}',
        "",
    ],
)
def test_a_line_that_logs_no_request_is_text(text: str) -> None:
    assert line(text) == Line(AT, NGINX, text)


@given(TEXTS, st.sampled_from([NGINX, APP1]))
def test_no_line_can_drive_the_terminal(text: str, source: Source) -> None:
    (written,) = shown(line(text, source))
    assert written.replace("\t", "").isprintable()
    assert written.startswith(f"2026-11-22T15:20:28.123Z {source.name} ")


@given(st.text())
def test_what_is_visible_stays(text: str) -> None:
    seen = escape_control_chars(text)
    assert seen.replace("\t", "").isprintable()
    if text.isprintable():
        assert seen == text


def test_what_drives_a_terminal_is_shown_as_its_escape() -> None:
    assert escape_control_chars("\x1b]0;title\x07\r\x9b2J\u202eabc\u2028\ud800 \té") == (
        r"\x1b]0;title\x07\r\x9b2J\u202eabc\u2028\ud800" + " \té"
    )
    control = {**OF_NGINX, "uri": "/\x1b[2J", "method": "G\nET", "id": "\x07", "app": "\x1b"}
    (written,) = shown(line({**control, "upstream": ""}))
    assert written.endswith(r"200 G\nET /\x1b[2J 12.0 ms \x07 -> \x1b")


@pytest.mark.parametrize("number", [10**400, -1, float("inf"), float("nan"), "1", None, 1e300])
def test_an_invalid_duration_is_0(number: object) -> None:
    assert shown(line({**OF_APP, "duration_ms": number}, APP1))[0].endswith("/a 0.0 ms abc")


def test_how_lines_look() -> None:
    one_attempt = {**OF_NGINX, "upstream": "10.0.0.2:5002", "upstream_status": "200"}
    unanswered = {
        **one_attempt,
        "upstream": "",
        "upstream_status": "",
        "app": "",
        "status": 400,
        "id": "",
    }
    assert shown(
        line(OF_NGINX),
        line({**OF_APP, "path": "/" + "x" * 50}, APP2),
        line(one_attempt),
        line({**unanswered, "seconds": 2.5}),
        line("[bold]as it is[/bold] {}"),
    ) == [
        "2026-11-22T15:20:28.123Z nginx-1 200 GET /a?b=c 12.0 ms abc -> app1 502, app2 200",
        f"2026-11-22T15:20:28.123Z app2-1  200 GET /{'x' * 50} 0.5 ms abc",
        "2026-11-22T15:20:28.123Z nginx-1 200 GET /a?b=c 12.0 ms abc -> app2",
        "2026-11-22T15:20:28.123Z nginx-1 400 GET /a?b=c 2.50 s - -> no app",
        "2026-11-22T15:20:28.123Z nginx-1 [bold]as it is[/bold] {}",
    ]


def test_a_colour_for_each_container_on_a_terminal_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    lines = [line("one", source) for source in (NGINX, APP1, NGINX)]
    terminal = {"force_terminal": True, "color_system": "standard"}
    nginx, app1, again = shown(*lines, **terminal)
    colours = [one.split("nginx-1")[0].split("app1-1")[0][-5:] for one in (nginx, app1, again)]
    assert colours[0] == colours[2] != colours[1]
    assert all(colour.startswith("\x1b[3") for colour in colours)
    assert "\x1b" not in "".join(shown(*lines))
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[3" not in "".join(shown(*lines, **terminal))


FAILED = line({**OF_NGINX, "status": 502})
ELSEWHERE = line({**OF_NGINX, "upstream": "10.0.0.2:5002", "upstream_status": "200", "id": "d"})
NOT_FOUND = line({**OF_APP, "status": 404}, APP1)
OTHER = line({**OF_APP, "request_id": "abcd"}, APP2)
TRACEBACK, NOTICE = line("Traceback", APP1), line("exiting", NGINX)
EVERY = [FAILED, ELSEWHERE, NOT_FOUND, OTHER, TRACEBACK, NOTICE]


@pytest.mark.parametrize(
    ("app", "status", "request_", "matching"),
    [
        (None, None, None, EVERY),
        # nginx's lines for requests that the app was asked, even if another answered.
        ("app1", None, None, [FAILED, NOT_FOUND, TRACEBACK]),
        ("app2", None, None, [FAILED, ELSEWHERE, OTHER]),
        (None, "5xx", None, [FAILED]),
        (None, "404", None, [NOT_FOUND]),
        (None, "200, 4XX", None, [ELSEWHERE, NOT_FOUND, OTHER]),
        (None, "200,404,502", None, [FAILED, ELSEWHERE, NOT_FOUND, OTHER]),
        (None, "5xx", "abcd", []),
        (None, None, "abc", [FAILED, NOT_FOUND]),
        (None, None, "abcd", [OTHER]),
        ("app1", "404", "abc", [NOT_FOUND]),
    ],
)
def test_which_lines_match(
    app: str | None, status: str | None, request_: str | None, matching: Sequence[Line]
) -> None:
    chosen = Filter.parse(app=app, status=status, request=request_)
    assert [one for one in EVERY if chosen.matches(one)] == list(matching)
    for one in matching:
        assert chosen.reads(one.source)
    assert chosen.takes_all == (len(matching) == len(EVERY))


def test_another_apps_containers_are_not_read() -> None:
    assert [Filter(app="app1").reads(one) for one in (NGINX, APP1, APP2)] == [True, True, False]


@pytest.mark.parametrize(
    "status", ["", "6xx", "20", "2000", "5x", "ok", ",", "404,", "404 500", "٤٠٤"]
)
def test_an_invalid_status(status: str) -> None:
    with pytest.raises(FilterError, match=r"^--status: .* Examples: 404, 5xx or 200,404$"):
        Filter.parse(app=None, status=status, request=None)


@pytest.mark.parametrize("request_", ["", "a b", "é", "x" * 129, "\x1b"])
def test_an_invalid_request_id(request_: str) -> None:
    with pytest.raises(FilterError, match=r"^--request: .* 1 to 128 visible ASCII characters"):
        Filter.parse(app=None, status=None, request=request_)


def test_lines_before_a_time_are_left_out() -> None:
    line = parse("2026-01-31T12:00:00.123456789Z", APP1, "text", {})
    for since, matches in (
        ("2026-01-31T12:00:00Z", True),
        ("2026-01-31T13:00:00.123456+01:00", True),
        ("2026-01-31T12:00:01Z", False),
        ("10min", False),
        ("99999h", True),
    ):
        chosen = Filter.parse(since=since)
        assert chosen.matches(line) is matches, since
        assert chosen.takes_all  # so that only as many lines are read as are shown


@pytest.mark.parametrize("since", ["", "yesterday", "10 parsecs", "9" * 99])
def test_an_invalid_time_is_refused(since: str) -> None:
    with pytest.raises(FilterError, match=r"^--since: .* Examples: 10min, 2h or 2026-01-31T12"):
        Filter.parse(since=since)


def test_an_app_without_a_container() -> None:
    Filter(app="app1").check(["app1"])
    Filter().check([])
    with pytest.raises(FilterError, match=r"^--app: 'app3' has no .* Valid apps: app1, app2$"):
        Filter(app="app3").check(["app2", "app1"])


def stamp(number: int) -> str:
    """A time of Docker's: so many tenths of a second after another."""
    return f"2026-11-22T15:{20 + number // 600:02}:{number // 10 % 60:02}.{number % 10}00000000Z"


@given(
    st.lists(st.text(st.characters(exclude_categories=["Cs", "Cc"])), max_size=5),
    st.lists(st.integers(1, 5), min_size=1),
    st.randoms(use_true_random=False),
)
def test_long_lines_are_put_together(texts: list[str], sizes: list[int], random: Any) -> None:
    """Each text is cut into pieces, and the pieces of all come in turns."""
    remaining: dict[str, list[bytes]] = {}
    for number, text in enumerate(texts):
        data = f"{text}\n".encode()
        pieces: list[bytes] = []
        while data:
            size = sizes[len(pieces) % len(sizes)]
            pieces.append(f"{stamp(number)} ".encode() + data[:size])
            data = data[size:]
        remaining[stamp(number)] = pieces
    lines, found = Lines(), []
    while remaining:
        at = random.choice(sorted(remaining))
        found += list(lines.add(remaining[at].pop(0)))
        if not remaining[at]:
            del remaining[at]
    assert sorted(found) == [(stamp(number), text) for number, text in enumerate(texts)]
    assert not list(lines.rest())


def test_lines_without_end_or_time_are_not_lost() -> None:
    lines = Lines()
    assert not list(lines.add(f"{AT} cut ".encode()))
    assert list(lines.rest()) == [(AT, "cut ")]
    assert not list(lines.rest())
    assert list(lines.add(b"Error grabbing logs: EOF\n")) == [(AT, "Error grabbing logs: EOF")]
    assert list(lines.add(f"{AT} \xff\r\n".encode("latin-1"))) == [(AT, "\ufffd")]
    endless = f"{AT} ".encode() + b"x" * 16384
    assert [len(text) for _ in range(65) for _, text in lines.add(endless)] == [1 << 20]


@given(
    st.lists(st.integers(0, 60), unique=True).map(sorted),
    st.integers(1, 10),
    st.integers(0, 60),
    st.integers(0, 60),
)
def test_a_log_is_read_on_without_gap_or_repetition(
    times: list[int], tail: int, once: int, again: int
) -> None:
    position = Position()

    def read(upto: int, tail: int | None = None) -> list[str]:
        """Read as Docker gives it: the last lines, or all from a second on."""
        since = position.resume() or 0
        there = [stamp(number) for number in times if number <= upto]
        there = [one for one in there if datetime.fromisoformat(one).timestamp() >= since]
        return [one for one in (there[-tail:] if tail else there) if position.passes(one)]

    first = read(once, tail)
    rest = [*read(once), *read(max(once, again)), *read(60)]
    every = [stamp(number) for number in times]
    assert first == [one for one in every if one <= stamp(once)][-tail:]
    assert first + rest == [one for one in every if not first or one >= first[0]]


@given(st.lists(st.tuples(st.integers(0, 600), st.integers(0, 3)), max_size=30))
def test_lines_that_come_in_time_come_out_in_order(lines: list[tuple[int, int]]) -> None:
    """Each is written at some tenth of a second, and comes up to 3 tenths later."""
    merger, found = Merger(hold=0.31), []
    for written, late in sorted(lines, key=sum):
        now = (written + late) / 10
        found += list(merger.due(now))
        merger.add(Line(stamp(written), NGINX, ""), now)
    found += list(merger.due(1000))
    assert [one.time for one in found] == sorted(stamp(written) for written, _ in lines)
    assert not merger


def test_a_line_is_held_no_longer_than_needed() -> None:
    merger = Merger(hold=1)
    late, early = Line(stamp(2), NGINX, ""), Line(stamp(1), NGINX, "")
    merger.add(late, 10.0)
    assert not list(merger.due(10.9))
    merger.add(early, 10.9)
    assert list(merger.due(11.9)) == [early, late]
    assert not list(merger.due(20.0))


def container(source: Source, *, runs: bool = True) -> Container:
    labels = {names.APP: source.app} if source.app else {}
    status = "running" if runs else "exited"
    return Container(source.name, source.name, status, None, "", labels)


class FakeReader:
    """Reads what a test has written; `follow` waits for no more, as at a container's end."""

    def __init__(self) -> None:
        self.written: defaultdict[str, list[Line]] = defaultdict(list)
        self.asked: list[tuple[str, int | None, bool]] = []

    def __call__(self, container: Container, *, tail: int | None, follow: bool) -> Iterator[Line]:
        self.asked.append((container.id, tail, follow))
        lines = self.written[container.id]
        while lines:
            yield lines.pop(0)


def of_request(number: int, source: Source, status: int = 200) -> Line:
    return line({**OF_APP, "status": status}, source, stamp(number))


def test_the_newest_of_all_by_time() -> None:
    read = FakeReader()
    read.written["nginx-1"] = [line("n", NGINX, stamp(number)) for number in (1, 4, 5)]
    read.written["app1-1"] = [line("a", APP1, stamp(number)) for number in (2, 3, 6)]
    found = stream.newest([container(NGINX), container(APP1)], read, Filter(), 4)
    assert [one.time for one in found] == [stamp(number) for number in (3, 4, 5, 6)]
    assert read.asked == [("nginx-1", 4, False), ("app1-1", 4, False)]


def test_with_a_tail_of_0_the_position_to_continue_from_is_known() -> None:
    read = FakeReader()
    read.written["nginx-1"] = [line("n")]
    assert stream.newest([container(NGINX)], read, Filter(), 0) == []
    assert read.asked == [("nginx-1", 1, False)]
    assert not read.written["nginx-1"]


def test_a_filter_looks_through_the_whole_log() -> None:
    read = FakeReader()
    codes = [404, 404, 404, 200, 200]
    read.written["app1-1"] = [of_request(n, APP1, code) for n, code in enumerate(codes)]
    every = [container(NGINX), container(APP1), container(APP2)]
    found = stream.newest(every, read, Filter(app="app1", statuses=frozenset({"4xx"})), 2)
    assert [one.time for one in found] == [stamp(1), stamp(2)]
    assert read.asked == [("nginx-1", None, False), ("app1-1", None, False)]


class EnoughError(Exception):
    """Ends what does not end by itself."""


def followed(
    look: Callable[[], list[Container]],
    read: stream.Reader,
    count: int,
    chosen: Filter | None = None,
) -> list[Line]:
    """Follow until so many lines were shown."""
    found: list[Line] = []

    def show(one: Line) -> None:
        found.append(one)
        if len(found) == count:
            raise EnoughError

    with pytest.raises(EnoughError):
        stream.go_on(look, read, chosen or Filter(), show)
    return found


def readers_come_to_rest() -> None:
    """Wait until every reader has put down what there is; `FakeReader` then ends."""
    for thread in threading.enumerate():
        if thread.name.startswith("log of "):
            thread.join()


class Clock:
    """A time that goes on a little at each look at it, and never while a reader is at work.

    So what was written is there before its time is over, however slow the machine is.
    """

    def __init__(self) -> None:
        self._now = 0.0

    def monotonic(self) -> float:
        readers_come_to_rest()
        self._now += 0.002
        return self._now


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look often, and hold lines briefly, by a clock that no stall can put forward."""
    monkeypatch.setattr(stream, "_LOOK", 0.01)
    monkeypatch.setattr(stream, "_HOLD", 0.05)
    monkeypatch.setattr(stream, "time", Clock())


@pytest.mark.usefixtures("quick")
def test_followed_lines_are_in_order_and_new_containers_are_followed() -> None:
    read, looks = FakeReader(), 0
    read.written["nginx-1"] = [line("n", NGINX, stamp(number)) for number in (0, 3)]
    read.written["app1-1"] = [line("a", APP1, stamp(number)) for number in (1, 2)]

    def look() -> list[Container]:
        nonlocal looks
        looks += 1
        if looks == 1:
            return [container(NGINX), container(APP1)]
        if looks == 8:
            read.written["app2-1"] = [line("b", APP2, stamp(4))]
        return [container(NGINX), container(APP2)] if looks >= 8 else [container(NGINX)]

    found = followed(look, read, 5)
    assert [one.time for one in found] == [stamp(number) for number in range(5)]
    # One that still runs is followed again after its log was cut off.
    assert sum(id_ == "nginx-1" for id_, _, _ in read.asked) > 1
    assert all(tail is None and follow for _, tail, follow in read.asked)


@pytest.mark.usefixtures("quick")
def test_a_stopped_container_is_read_once_more_and_again_after_a_start() -> None:
    read, states = FakeReader(), [True, False, False, False, True, False, False]
    asked: list[int] = []

    def look() -> list[Container]:
        readers_come_to_rest()
        asked.append(len(read.asked))
        if not states:
            raise EnoughError
        return [container(APP1, runs=states.pop(0))]

    with pytest.raises(EnoughError):
        stream.go_on(look, read, Filter(), print)
    assert asked == [0, 1, 2, 2, 2, 3, 4, 4]


@pytest.mark.usefixtures("quick")
def test_only_matching_lines_are_followed() -> None:
    read = FakeReader()
    read.written["app1-1"] = [of_request(1, APP1), of_request(2, APP1, 500)]
    every = [container(NGINX), container(APP1), container(APP2)]
    chosen = Filter(app="app1", statuses=frozenset({"5xx"}))
    assert [one.time for one in followed(lambda: every, read, 1, chosen)] == [stamp(2)]
    assert {id_ for id_, _, _ in read.asked} == {"nginx-1", "app1-1"}


NAMES = {names.PROJECT: "loadbalancer", names.STACK: "dev"}
SUMMARIES = [
    {
        "Id": "1",
        "Names": ["/loadbalancer-dev-nginx-a1"],
        "Labels": {**NAMES, names.NETWORK: "ours"},
        "State": "running",
    },
    {
        "Id": "2",
        "Names": ["/loadbalancer-dev-app1-1-b2"],
        "Labels": {**NAMES, names.APP: "app1", names.NETWORK: "ours"},
        "State": "exited",
    },
    {
        "Id": "345678901234567",
        "Names": None,
        "Labels": {**NAMES, names.APP: "app2", names.NETWORK: "theirs"},
        "State": "paused",
    },
]


class FakeEngine:
    """Docker's API as far as logs need it; an error in place of an answer is raised."""

    def __init__(self, containers: object = (), pieces: Sequence[object] = ()) -> None:
        self.asked: list[dict[str, Any]] = []
        self._containers = containers
        self._pieces = pieces

    @property
    def client(self) -> Client:
        return cast(Client, SimpleNamespace(api=self))

    def containers(self, **arguments: Any) -> object:
        self.asked.append(arguments)
        return _or_raise(self._containers)

    def logs(self, id_: str, **arguments: Any) -> Iterator[object]:
        self.asked.append({"id": id_, **arguments})
        return (_or_raise(piece) for piece in self._pieces)


def _or_raise(found: object) -> object:
    if isinstance(found, Exception):
        raise found
    return found


def ours(networks: Collection[str]) -> Collection[str]:
    return {"ours"}.intersection(networks)


def test_containers_are_found_by_the_stacks_networks() -> None:
    fake = FakeEngine(SUMMARIES)
    found = LogSource(fake.client, ours).containers()
    assert [(one.id, source_of(one), one.stopped) for one in found] == [
        ("1", Source("nginx-a1", None), False),
        ("2", Source("app1-1-b2", "app1"), True),
    ]
    found = LogSource(fake.client, lambda networks: networks).containers()
    assert [one.id for one in found] == ["1", "2", "345678901234567"]
    assert fake.asked == [{"all": True, "filters": {"label": [names.NETWORK]}}] * 2


def test_no_engine_is_an_error_that_the_command_line_knows() -> None:
    source = LogSource(FakeEngine(NoConnectionError("refused")).client, ours)
    with pytest.raises(EngineError, match="refused"):
        source.containers()


@pytest.mark.parametrize("end", [NotFound("gone"), NoConnectionError("cut"), OSError("cut")])
def test_a_log_ends_quietly_with_its_container(end: Exception) -> None:
    port = names.listening_ports(["app1"])["app1"]
    record = {**OF_NGINX, "upstream": f"10.0.0.1:{port}", "upstream_status": "200"}
    pieces = [f"{AT} {json.dumps(record)}\n".encode(), f"{stamp(0)} cut".encode(), end]
    fake = FakeEngine(SUMMARIES, pieces)
    source = LogSource(fake.client, ours)
    nginx, app1 = source.containers()
    found = list(source.read(nginx, tail=3, follow=False))
    assert [one.text for one in found] == [json.dumps(record), "cut"]
    assert found[0].request is not None
    assert found[0].request.attempts == (Attempt("app1", "200"),)
    assert list(source.read(nginx, tail=None, follow=True)) == []
    assert list(source.read(app1, tail=None, follow=True))
    common = {"timestamps": True, "stream": True}
    assert fake.asked[1:] == [
        {"id": "1", "tail": 3, "follow": False, "since": None, **common},
        {"id": "1", "tail": "all", "follow": True, "since": 1795360828, **common},
        {"id": "2", "tail": "all", "follow": True, "since": None, **common},
    ]


PROJECT = Project(Path(), "loadbalancer", "file://.")


def test_a_stack_of_the_same_name_in_another_checkout_is_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pieces = [f"{AT} hello\n".encode()]
    monkeypatch.setattr(engine, "connect", lambda: FakeEngine(SUMMARIES, pieces).client)
    monkeypatch.setattr(deployment, "read", lambda *_: Desired(known=frozenset({"ours"})))
    found: list[Line] = []
    stream.logs(PROJECT, "dev", Filter(), found.append, tail=9, follow=False)
    assert [one.source.name for one in found] == ["nginx-a1", "app1-1-b2"]
    with pytest.raises(FilterError, match=r"Valid apps: app1$"):
        stream.logs(PROJECT, "dev", Filter(app="app2"), found.append, tail=9, follow=False)


def test_a_stack_without_containers(monkeypatch: pytest.MonkeyPatch) -> None:
    # Nor is one of the same name in another checkout shown in its place.
    monkeypatch.setattr(engine, "connect", lambda: FakeEngine(SUMMARIES).client)
    monkeypatch.setattr(deployment, "read", lambda *_: Desired())
    with pytest.raises(LogsError, match=r"Bring it up: \./lb up --stack dev$"):
        stream.logs(PROJECT, "dev", Filter(), print, tail=9, follow=False)


def test_a_checkout_without_the_stack_shows_no_logs_of_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "connect", lambda: FakeEngine(SUMMARIES).client)
    project = Project(tmp_path, "loadbalancer", tmp_path.as_uri())
    with pytest.raises(StackNotFoundError):
        stream.logs(project, "dev", Filter(), print, tail=9, follow=False)


@pytest.mark.parametrize(("backend", "reads"), [("file://.", 4), ("s3://bucket", 3)])
def test_a_network_that_is_created_meanwhile_is_the_stacks_own(
    monkeypatch: pytest.MonkeyPatch, backend: str, reads: int
) -> None:
    states = [Desired(known=frozenset(known)) for known in ({"a"}, {"a"}, {"b"}, {"b", "c"})]
    made: list[bool] = []

    def read(*_: object) -> Desired:
        made.append(True)
        return states[len(made) - 1]

    monkeypatch.setattr(deployment, "read", read)
    own = stream.OwnNetworks(Project(Path(), "loadbalancer", backend), "dev")
    assert own({"a"}) == {"a"}
    assert own({"a", "foreign"}) == {"a"}
    assert own({"a", "b", "foreign"}) == {"a", "b"}
    assert own({"foreign"}) == frozenset()
    assert len(made) == reads


def test_lines_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    show = json_printer()
    show(line(OF_NGINX))
    show(line("Traceback \x1b", APP1))
    nginx, app1 = map(json.loads, capsys.readouterr().out.splitlines())
    assert nginx == {
        "time": AT,
        "source": "nginx-1",
        "app": None,
        "id": "abc",
        "text": json.dumps(OF_NGINX),
        "request": {
            "status": 200,
            "method": "GET",
            "path": "/a?b=c",
            "duration": 0.012,
            "app": "app2",
            "attempts": [{"app": "app1", "status": "502"}, {"app": "app2", "status": "200"}],
        },
    }
    assert (app1["app"], app1["text"], app1["request"]) == ("app1", "Traceback \x1b", None)
