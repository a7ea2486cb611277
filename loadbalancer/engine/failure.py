"""Why a container does not work: how it ended, what its probe got, its last log lines.

Reads only, changes nothing.
"""

import re
import signal
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from loadbalancer import hints, names
from loadbalancer.engine.client import ENGINE_ERRORS, Handle
from loadbalancer.formats import duration, escape_control_chars

_LOG_LINES = 10
_PROBE_LINES = 4
_LONGEST_LINE = 160
_CUT = " ..."
_TIMED_OUT = 124
"""Exit code of timeout(1), by which resources/healthcheck.py limits the probe."""
_SIGNALLED = 128
"""What a shell, and so Docker, adds to the number of the signal that ended a program."""
_CODES = {
    126: "the program cannot be executed, or is not permitted to",
    127: "the program was not found",
}
_START_ERRORS = {
    "exec format error": "the program is for another processor, or a script without a #! line",
    "permission denied": "the program is a file that is not executable",
    "no such file or directory": "the program, or the interpreter in its #! line, is not there",
}
"""What the kernel says of a program that cannot be started, and what that means."""
_START_ERROR = re.compile(rf"\bexec\b[^\n]*({'|'.join(_START_ERRORS)})", re.IGNORECASE)


def describe(container: Handle, what: str, *, kept: bool = True) -> str:
    """Explain in a few lines what is wrong with a container, and which commands help.

    Args:
        container: the container, as it was read last.
        what: what it did not do, to follow its name.
        kept: whether it stays, so that its log can be read later.
    """
    app, labelled = (container.labels.get(key) for key in (names.APP, names.STACK))
    # The label is the name with which the stack was created.
    stack = hints.option() or (f" --stack {labelled}" if labelled else "")
    lines = [f"container {container.name} {what}."]
    lines += _section("Its last health check", _probe(container))
    lines += _section("Its last log lines", _log(container)) or ["It has logged nothing."]
    if stack and kept:
        of_app = f" --app {app}" if app else ""
        lines.append(f"All that it has logged: ./lb logs{of_app}{stack}")
    if app:
        lines.append(f"Correct apps/{app}, then: pulumi up{stack}")
    return "\n".join(lines)


def again(container: Handle) -> str:
    """Say that a version which failed in an update is deployed once more, and why it failed.

    Args:
        container: the container that failed, as it was read last.
    """
    app = container.labels.get(names.APP, "nginx")
    what = find(container) or "is not healthy"
    return (
        f"This version of {app} failed in an update before, and is tried once more. "
        f"It failed since {describe(container, what)}"
    )


def find(container: Handle) -> str | None:
    """Say why a container cannot become ready any more, to follow its name; None while it may.

    Args:
        container: the container, as it was read last.
    """
    state = container.attrs["State"]
    if container.attrs["RestartCount"] or state["Status"] in {"exited", "dead", "restarting"}:
        return ending(container)
    if state["Status"] == "created" and state.get("Error"):
        return ending(container).replace("ended", "did not start, and ended", 1)
    return "is unhealthy" if state.get("Health", {}).get("Status") == "unhealthy" else None


def ending(container: Handle) -> str:
    """Describe how a container's program ended, also where Docker has started it again since.

    Args:
        container: the container, as it was read last.
    """
    state = container.attrs["State"]
    code, out_of_memory = int(state["ExitCode"]), bool(state.get("OOMKilled"))
    restarts = container.attrs["RestartCount"]
    if restarts:
        # Each start sets the state back.
        for event in _events(container):
            out_of_memory = out_of_memory or event["Action"] == "oom"
            code = int(event["Actor"]["Attributes"].get("exitCode", code))
    words = f"ended with exit code {code}"
    if restarts:
        words += f" and was restarted {'once' if restarts == 1 else f'{restarts} times'}"
    reasons = [_out_of_memory(container)] if out_of_memory else list(_reasons(code))
    error = str(state.get("Error") or "")
    if error:
        reasons.append(escape_control_chars(error)[:_LONGEST_LINE])
    found = _START_ERROR.search(f"{error}\n{_text(container)}")
    if found:
        reasons.append(_START_ERRORS[found[1].lower()])
    return words + (f": {'; '.join(reasons)}" if reasons else "")


def _reasons(code: int) -> Iterator[str]:
    if code in _CODES:
        yield _CODES[code]
    elif code > _SIGNALLED:
        try:
            yield f"it was ended by {signal.Signals(code - _SIGNALLED).name}"
        except ValueError:
            return


def _out_of_memory(container: Handle) -> str:
    limit, app = container.attrs["HostConfig"].get("Memory") or 0, container.labels.get(names.APP)
    if not limit or not app:
        return "the kernel ended it for lack of memory"
    limit >>= 20
    stack = container.labels.get(names.STACK)
    option = f" --stack {stack}" if stack else ""
    fix = f"pulumi config set --path apps.{app}.limits.memory {2 * limit}{option}"
    return f"it used more memory than its limit of {limit} MiB. Raise it: {fix}"


def _events(container: Handle) -> list[dict[str, Any]]:
    """List the ends of a container, and where it had too little memory, oldest first."""
    client = container.client
    assert client is not None  # noqa: S101 - a container that came from an engine has one
    try:
        # The engine's own clock: without an end the events would go on.
        found = client.events(
            since=int(_time(container.attrs["Created"]).timestamp()),
            until=int(_time(client.info()["SystemTime"]).timestamp()) + 1,
            filters={"container": container.id, "event": ["die", "oom"]},
            decode=True,
        )
        return [event for event in found if event["Action"] in {"die", "oom"}]
    except ENGINE_ERRORS:
        return []


def _probe(container: Handle) -> list[str]:
    """Say what the last run of the health check got, and how long it took."""
    runs = (container.attrs["State"].get("Health") or {}).get("Log") or []
    failed = [run for run in runs if run["ExitCode"]]
    if not failed:
        return []
    run = failed[-1]
    took = duration((_time(run["End"]) - _time(run["Start"])).total_seconds())
    lines = _lines(run["Output"])[:_PROBE_LINES]
    if not lines:
        said = "no answer in time" if run["ExitCode"] == _TIMED_OUT else "no output"
        lines = [f"{said}, exit code {run['ExitCode']}"]
    return [*lines, f"It took {took}."]


def _log(container: Handle) -> list[str]:
    return _lines(_text(container))[-_LOG_LINES:]


def _text(container: Handle) -> str:
    try:
        return bytes(container.logs(tail=_LOG_LINES)).decode(errors="replace")
    except ENGINE_ERRORS as error:
        return f"(its log cannot be read: {error})"


def _lines(text: str) -> list[str]:
    """Return the lines of a text, each short enough and without control characters."""
    lines = [line.rstrip() for line in text.splitlines() if line.strip()]
    shown = (escape_control_chars(line) for line in lines)
    cut = _LONGEST_LINE - len(_CUT)
    return [line if len(line) <= _LONGEST_LINE else line[:cut] + _CUT for line in shown]


def _section(title: str, lines: list[str]) -> list[str]:
    return [f"{title}:", *(f"  {line}" for line in lines)] if lines else []


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)
