"""How a container that does not work is described."""

from typing import Any

import pytest

from loadbalancer import hints, names
from loadbalancer.engine import failure

LABELS = {names.APP: "app1", names.STACK: "dev"}
SCREEN = 24
CREATED, NOW = 1795806000, 1795806060
"""2026-11-27 at 19:00 and at 19:01, in seconds since 1970."""


@pytest.fixture(autouse=True)
def no_verb(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run outside of a verb, as providers do."""
    monkeypatch.setattr(hints, "_stack", "")


class Engine:
    """An engine whose events are given."""

    def __init__(self, *events: tuple[str, dict[str, str]]) -> None:
        self._events = events
        self.asked: dict[str, Any] = {}

    def info(self) -> dict[str, str]:
        return {"SystemTime": "2026-11-27T19:01:00.123456789Z"}

    def events(self, **options: Any) -> list[dict[str, Any]]:
        self.asked = options
        return [{"Action": a, "Actor": {"Attributes": more}} for a, more in self._events]


class Container:
    """A container as docker-py has it."""

    name = "loadbalancer-dev-app1-1-1a2b3c4"
    id = "1a2b3c4"

    def __init__(
        self,
        log: str = "",
        *,
        labels: dict[str, str] = LABELS,
        restarts: int = 0,
        events: tuple[tuple[str, dict[str, str]], ...] = (),
        **state: Any,
    ) -> None:
        self._log = log
        self.labels = labels
        self.client = Engine(*events)
        self.attrs = {
            "Created": "2026-11-27T19:00:00.123456789Z",
            "RestartCount": restarts,
            "HostConfig": {"Memory": 256 << 20},
            "State": {"Status": "exited", "ExitCode": 0, **state},
        }

    def logs(self, tail: int) -> bytes:
        return "\n".join(self._log.splitlines()[-tail:]).encode()


def ending(*arguments: Any, **options: Any) -> str:
    return failure.ending(Container(*arguments, **options))  # type: ignore[arg-type]


def describe(*arguments: Any, **options: Any) -> str:
    return failure.describe(Container(*arguments, **options), "is unhealthy")  # type: ignore[arg-type]


def health(output: str, code: int = 1) -> dict[str, Any]:
    well = {"Start": "2026-11-27T19:00:00Z", "End": "2026-11-27T19:00:01Z", "ExitCode": 0}
    return {
        "Status": "unhealthy",
        "Log": [
            {**well, "Output": "fine"},
            {
                "Start": "2026-11-27T19:00:01.100000000+01:00",
                "End": "2026-11-27T19:00:01.350000001+01:00",
                "ExitCode": code,
                "Output": output,
            },
        ],
    }


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"ExitCode": 0}, "ended with exit code 0"),
        ({"ExitCode": 3}, "ended with exit code 3"),
        ({"ExitCode": 137}, "ended with exit code 137: it was ended by SIGKILL"),
        ({"ExitCode": 139}, "ended with exit code 139: it was ended by SIGSEGV"),
        ({"ExitCode": 255}, "ended with exit code 255"),
        (
            {"ExitCode": 127},
            "ended with exit code 127: the program was not found",
        ),
        (
            {"ExitCode": 137, "OOMKilled": True},
            "ended with exit code 137: it used more memory than its limit of 256 MiB. "
            "Raise it: pulumi config set --path apps.app1.limits.memory 512 --stack dev",
        ),
        (
            {
                "ExitCode": 1,
                "log": "standard_init_linux.go:228: exec user process caused: exec format error",
            },
            "ended with exit code 1: the program is for another processor, or a script without "
            "a #! line",
        ),
        (
            {"ExitCode": 1, "log": "exec /srv/run.sh: no such file or directory"},
            "ended with exit code 1: the program, or the interpreter in its #! line, is not there",
        ),
        (
            {"ExitCode": 126, "Error": 'starting container: exec: "./x": permission denied'},
            "ended with exit code 126: the program cannot be executed, or is not permitted to; "
            'starting container: exec: "./x": permission denied; '
            "the program is a file that is not executable",
        ),
        (
            {"ExitCode": 1, "log": "open /data: permission denied"},
            "ended with exit code 1",
        ),
    ],
)
def test_the_end_of_a_program(options: dict[str, Any], expected: str) -> None:
    assert ending(**options) == expected


def test_a_container_that_was_restarted_is_described_by_its_last_end() -> None:
    events = (("die", {"exitCode": "3"}), ("die", {"exitCode": "4"}))
    expected = "ended with exit code 4 and was restarted 2 times"
    assert ending(restarts=2, events=events, Status="running") == expected


def test_a_container_that_ran_out_of_memory_before_its_restart() -> None:
    events: tuple[tuple[str, dict[str, str]], ...] = (("oom", {}), ("die", {"exitCode": "137"}))
    found = ending(restarts=1, events=events, Status="running", OOMKilled=False)
    assert found.startswith("ended with exit code 137 and was restarted once: it used more memory")


def test_events_are_asked_for_within_the_time_of_the_engine() -> None:
    container = Container(restarts=1)
    failure.ending(container)  # type: ignore[arg-type]
    assert (container.client.asked["since"], container.client.asked["until"]) == (CREATED, NOW + 1)


def test_the_description_has_probe_log_and_commands() -> None:
    log = "first\nTraceback\nRuntimeError: no database\n"
    got = "GET /healthz on port 5001: status 500 after 12 ms: no database\n"
    assert describe(log, Health=health(got)).splitlines() == [
        "container loadbalancer-dev-app1-1-1a2b3c4 is unhealthy.",
        "Its last health check:",
        "  GET /healthz on port 5001: status 500 after 12 ms: no database",
        "  It took 250 ms.",
        "Its last log lines:",
        "  first",
        "  Traceback",
        "  RuntimeError: no database",
        "All that it has logged: ./lb logs --app app1 --stack dev",
        "Correct apps/app1, then: pulumi up --stack dev",
    ]


@pytest.mark.parametrize(
    ("output", "code", "expected"),
    [
        ("", 124, "no answer in time, exit code 124"),
        ("", 22, "no output, exit code 22"),
        ("Health check exceeded timeout (20s)", -1, "Health check exceeded timeout (20s)"),
        ("curl: (7) \x1b[31mrefused\n\n", 7, r"curl: (7) \x1b[31mrefused"),
    ],
)
def test_health_checks_of_any_kind(output: str, code: int, expected: str) -> None:
    lines = describe(Health=health(output, code)).splitlines()
    assert lines[1:4] == ["Its last health check:", f"  {expected}", "  It took 250 ms."]
    assert lines[4] == "It has logged nothing."


def test_a_container_that_was_not_probed_has_no_health_check() -> None:
    assert "health check" not in describe("log", Health={"Status": "starting", "Log": []})


def test_the_description_fits_one_screen() -> None:
    long = "\n".join(f"line {number} {'x' * 10_000}" for number in range(1000))
    lines = describe(long, Health=health(long)).splitlines()
    assert len(lines) <= SCREEN - 2
    assert max(map(len, lines)) <= 2 * 82
    assert "line 999" in lines[-3]


def test_the_log_of_a_container_that_is_removed_cannot_be_read_later() -> None:
    found = failure.describe(Container("log"), "is unhealthy", kept=False)  # type: ignore[arg-type]
    assert "./lb logs" not in found
    assert found.endswith("Correct apps/app1, then: pulumi up --stack dev")


def test_a_renamed_stack_is_called_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hints, "_stack", "production")
    lines = describe("log").splitlines()
    assert lines[-2:] == [
        "All that it has logged: ./lb logs --app app1 --stack production",
        "Correct apps/app1, then: pulumi up --stack production",
    ]


def test_nginx_has_no_folder_of_an_app() -> None:
    lines = describe("log", labels={names.STACK: "dev"}).splitlines()
    assert lines[-1] == "All that it has logged: ./lb logs --stack dev"
