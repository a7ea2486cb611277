"""Log lines, as coloured text or as JSON."""

import json
from collections.abc import Callable
from typing import Any

from rich.console import Console
from rich.text import Text

from loadbalancer import formats
from loadbalancer.formats import escape_control_chars
from loadbalancer.logs.parse import Line, Request, Source

_COLOURS = ("cyan", "magenta", "blue", "green", "yellow", "bright_cyan", "bright_magenta")
_STATUS_COLOURS = {"4": "yellow", "5": "red"}
_MILLISECONDS = len("2026-01-01T00:00:00.000")


class Writer:
    """Formats lines with one colour for each container and the names in one column."""

    def __init__(self) -> None:
        self._colours: dict[Source, str] = {}
        self._width = 0

    def format(self, line: Line) -> Text:
        """Format a line: time, source, and the request or the text, without control characters.

        A request has its status, method, path, duration and ID; nginx's line ends with the apps
        that it was passed to.
        """
        source = line.source
        colour = self._colours.setdefault(source, _COLOURS[len(self._colours) % len(_COLOURS)])
        self._width = max(self._width, len(source.name))
        text = Text(no_wrap=True)
        text.append(f"{line.time[:_MILLISECONDS]}Z ", style="dim")
        text.append(f"{source.name:<{self._width}} ", style=colour)
        if line.request is None:
            return text.append(escape_control_chars(line.text))
        return text.append(_request(line.request, line.id, source))


def _request(request: Request, id_: str, source: Source) -> Text:
    code = f"{request.status:03}"
    text = Text()
    text.append(code, style=_STATUS_COLOURS.get(code[0], ""))
    took = formats.duration(request.milliseconds / 1000)
    text.append(
        f" {escape_control_chars(request.method)} {escape_control_chars(request.path)} {took} "
    )
    text.append(escape_control_chars(id_ or formats.UNKNOWN), style="dim")
    if source.app is None:
        text.append(f" -> {escape_control_chars(_passed_to(request))}")
    return text


def _passed_to(request: Request) -> str:
    """Name the app that answered; with several attempts, the app and the status of each."""
    if len(request.attempts) > 1:
        return ", ".join(f"{one.app} {one.status}" for one in request.attempts)
    return request.app or next((one.app for one in request.attempts), "no app")


def printer(console: Console) -> Callable[[Line], None]:
    """Provide a function that prints a line as text, in colour on a terminal."""
    writer = Writer()
    return lambda line: console.print(writer.format(line), soft_wrap=True)


def json_printer() -> Callable[[Line], None]:
    """Provide a function that prints a line as one JSON object."""
    return lambda line: print(json.dumps(as_object(line)), flush=True)


def as_object(line: Line) -> dict[str, Any]:
    """Describe a line; `request` is null where it logs none, and its duration is in seconds."""
    request = line.request
    return {
        "time": line.time,
        "source": line.source.name,
        "app": line.source.app,
        "id": line.id or None,
        "text": line.text,
        "request": request
        and {
            "status": request.status,
            "method": request.method,
            "path": request.path,
            "duration": request.milliseconds / 1000,
            "app": request.app or None,
            "attempts": [{"app": one.app, "status": one.status} for one in request.attempts],
        },
    }
