"""The logs of a real stack's containers, as one."""

import re
import uuid
from collections import Counter
from collections.abc import Collection
from urllib.parse import unquote

import pytest
import requests

from tests.stack.deployment import Deployment
from tests.stack.failing import kill_inside, wait_until_back, wait_until_shared
from tests.stack.terminal import PATIENCE, Running, run, running

REQUEST = re.compile(
    r"(?P<time>\S{23}Z) (?P<source>(?P<of>nginx|app\d)-\S+) +(?P<status>\d{3}) (?P<method>\S+) "
    r"(?P<path>\S+) [\d.]+ m?s (?P<id>\S+)(?: -> (?P<asked>.+))?"
)


@pytest.fixture
def logging_stack(changing_stack: Deployment) -> Deployment:
    """A stack whose apps log every request, as nginx does."""
    changing_stack.set("requestLog", "all")
    if changing_stack.applied != changing_stack.source():
        changing_stack.up()
    return changing_stack


def logs(stack: Deployment, *arguments: str) -> list[str]:
    """Run `logs`, which must succeed; returns its lines."""
    code, out, err = run(stack, "logs", *arguments)
    assert (code, err) == (0, "")
    return out.splitlines()


def ask(stack: Deployment, path: str = "/", id_: str = "") -> str:
    """Send a request, and return its id."""
    given = {"X-Request-ID": id_} if id_ else {}
    return str(requests.get(stack.url + path, headers=given, timeout=60).headers["X-Request-ID"])


def parts(line: str) -> dict[str, str]:
    """Read a line that tells of a request."""
    found = REQUEST.fullmatch(line)
    assert found, line
    return found.groupdict()


def of_request(stack: Deployment, id_: str) -> list[dict[str, str]]:
    """Find the lines of a request, as soon as both nginx and the app have logged it."""
    found: list[str] = []

    def look() -> object:
        found[:] = logs(stack, "--request", id_)
        return None if len(found) == 2 else found

    PATIENCE.until("both lines of a request", look)
    return [parts(line) for line in found]


def test_a_request_is_found_in_the_logs_of_nginx_and_of_the_app(
    logging_stack: Deployment,
) -> None:
    stack = logging_stack
    given = f"given-by/the.client={uuid.uuid4().hex}"
    made = ask(stack, "/nowhere?a=b")
    assert ask(stack, "/nowhere?a=b", given) == given
    containers = stack.output("containers")
    for id_ in (given, made):
        by = {one["of"]: one for one in of_request(stack, id_)}
        (app,) = by.keys() - {"nginx"}
        (name,) = containers["apps"][app]
        assert containers["nginx"].endswith(f"-{by['nginx']['source']}")
        assert name.endswith(f"-{by[app]['source']}")
        assert (by["nginx"]["path"], by[app]["path"]) == ("/nowhere?a=b", "/nowhere")
        assert by["nginx"]["asked"] == app
        assert not by[app]["asked"]
        assert {one["status"] for one in by.values()} == {"404"}


@pytest.mark.faults
def test_filters(logging_stack: Deployment) -> None:
    stack = logging_stack
    ids = {path: [ask(stack, path) for _ in range(10)] for path in ("/", "/nowhere")}
    missing: list[dict[str, str]] = []

    def look() -> object:
        lines = logs(stack, "--status", "404", "--tail", "20")
        missing[:] = [parts(line) for line in lines]
        found = {one["id"] for one in missing}
        return None if found == set(ids["/nowhere"]) else found

    PATIENCE.until("the newest 20 to be both lines of each request", look)
    assert [one["status"] for one in missing] == ["404"] * 20
    assert [one["time"] for one in missing] == sorted(one["time"] for one in missing)

    of_app1 = [parts(line) for line in logs(stack, "--app", "app1", "--status", "2xx,404")]
    assert {one["of"] for one in of_app1} == {"app1", "nginx"}
    # What other tests did to app1 may be there too: "app1 502, app2 200".
    assert all("app1" in (one["asked"] or one["of"]) for one in of_app1)

    assert len(logs(stack, "--tail", "7")) == 7
    assert any("[notice]" in line for line in logs(stack, "--tail", "100000"))
    assert not logs(stack, "--tail", "0")

    # A log cannot drive the terminal.
    id_ = ask(stack, "/%1b]0;title%07%0a%e2%80%ae")
    paths = {one["path"] for one in of_request(stack, id_)}
    assert r"/\x1b]0;title\x07\n\u202e" in paths
    assert {unquote(path) for path in paths} > {"/\x1b]0;title\x07\n\u202e"}

    for arguments, said in (
        (("--status", "6xx"), "Examples: 404, 5xx or 200,404"),
        (("--app", "app9"), "Valid apps: app1, app2"),
        (("--tail", "some"), "is not a valid int"),
    ):
        code, out, err = run(stack, "logs", *arguments)
        assert (code, out) == (2, "")
        assert said in err


def test_an_app_logs_no_request_that_succeeds(stack: Deployment) -> None:
    """By default: nginx's line says it already."""
    # An app writes its lines in batches of 4 KiB; these would fill several.
    ids = [ask(stack) for _ in range(100)]
    names = [name for names in stack.output("containers")["apps"].values() for name in names]
    written = b"".join(stack.containers()[name].logs(stderr=False) for name in names)
    assert [id_ for id_ in ids if id_.encode() in written] == []


def test_failed_attempts_are_in_the_line_of_nginx(stack: Deployment) -> None:
    name = stack.output("containers")["apps"]["app1"][0]
    app1 = stack.containers()[name]
    with running(stack, "logs", "--follow", "--tail", "0", "--app", "app1") as log:
        # The log is followed as soon as a request shows up in it.
        PATIENCE.until("a line of app1", lambda: None if log.printed else ask(stack))
        started = ""

        def kill() -> None:
            nonlocal started
            app1.reload()
            started = app1.attrs["State"]["StartedAt"]
            kill_inside(app1)

        def look() -> object:
            if re.search(r"-> app1 \S+, app2 200$", log.printed, re.M):
                return None
            if "App1" in requests.get(stack.url, timeout=60).text:
                kill()  # the first time, or once more: it was back before anybody asked it in vain
            return log.printed

        PATIENCE.until("a request that app1 did not answer", look)
        # What it writes after its restart is there too.
        log.wait_for("Serving app1 on port")
        wait_until_back(app1, started)
        wait_until_shared(stack)
    assert log.code == 0
    assert not re.search(r" app2-\S+ ", log.printed)


def ids_in(log: Running, wanted: Collection[str]) -> list[str]:
    """The ids of the requests that a log tells of, of those that are wanted."""
    found = [match["id"] for line in log.lines if (match := REQUEST.fullmatch(line))]
    return [id_ for id_ in found if id_ in wanted]


def wait_for_both_lines(log: Running, wanted: Collection[str]) -> None:
    """Wait until a log tells of these requests twice: as nginx has them, and the apps."""

    def look() -> object:
        missing = Counter([*wanted, *wanted]) - Counter(ids_in(log, wanted))
        return sorted(missing.elements()) or None

    PATIENCE.until("both lines of each request", look)


@pytest.mark.faults
def test_following_is_in_order_and_goes_with_containers_that_come_and_go(
    logging_stack: Deployment,
) -> None:
    stack = logging_stack
    ask(stack, id_="before")
    of_request(stack, "before")
    during = [f"during-{number}" for number in range(20)]
    with running(stack, "logs", "--follow") as log:
        wait_for_both_lines(log, ["before"])
        stack.set("apps.app1.replicas", 2)
        stack.up()
        newcomer = stack.output("containers")["apps"]["app1"][1].partition("-app1-")[2]
        for id_ in during:
            ask(stack, id_=id_)
        # Before the newcomer goes, whose log nobody can read after that.
        wait_for_both_lines(log, during)
        stack.set("apps.app1.replicas", 1)
        stack.up()
        ask(stack, id_="after")
        wait_for_both_lines(log, ["after"])
    assert log.code == 0
    assert "Traceback" not in log.printed
    assert "error:" not in log.printed
    sent = ["before", *during, "after"]
    assert sorted(ids_in(log, sent)) == sorted([*sent, *sent])
    every = [match.groupdict() for line in log.lines if (match := REQUEST.fullmatch(line))]
    # nginx logs as well how a newcomer answers its probe before it gets requests.
    found = [one for one in every if one["id"] in sent]
    # Lines of several containers are in order as far as none comes too late for that.
    for source in {one["source"] for one in found}:
        times = [one["time"] for one in found if one["source"] == source]
        assert times == sorted(times)
    assert [one["id"] for one in found[:2] + found[-2:]] == ["before"] * 2 + ["after"] * 2
    newcomers = [one["source"] for one in found if one["source"] == f"app1-{newcomer}"]
    assert len(newcomers) >= 4
