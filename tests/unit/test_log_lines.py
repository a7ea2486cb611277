"""A line of a log: parsed, and shown as text or JSON."""

import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from loadbalancer.display.logs import json_printer, printer
from loadbalancer.formats import escape_control_chars
from loadbalancer.logs.parse import Attempt, Line, Request, Source
from tests.loglines import APP1, APP2, AT, NGINX, OF_APP, OF_NGINX, line

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
