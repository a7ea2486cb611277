"""How a line of the logs looks."""

from collections.abc import Callable

from rich.console import Console
from rich.text import Text

from loadbalancer import formats
from loadbalancer.formats import escape_control_chars
from loadbalancer.logs.parse import Line, Request, Source

_COLOURS = ("cyan", "magenta", "blue", "green", "yellow", "bright_cyan", "bright_magenta")
_STATUS_COLOURS = {"4": "yellow", "5": "red"}
_MILLISECONDS = len("2026-01-01T00:00:00.000")


class Writer:
    """Writes lines with one colour for each container, their names in one column."""

    def __init__(self) -> None:
        self._colours: dict[Source, str] = {}
        self._width = 0

    def write(self, line: Line) -> Text:
        """Lay out a line: time, source, and the request or the text; without a control character.

        A request has its status, method, path, time taken and id; in nginx's line follow the apps
        that were asked.
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
        text.append(f" -> {escape_control_chars(_asked(request))}")
    return text


def _asked(request: Request) -> str:
    """Say which app was asked, and where there was more than one try what became of each."""
    if len(request.tries) > 1:
        return ", ".join(f"{one.app} {one.status}" for one in request.tries)
    return request.app or next((one.app for one in request.tries), "no app")


def printer(console: Console) -> Callable[[Line], None]:
    """Give a function that prints lines, in colour on a terminal, and each as one line."""
    writer = Writer()
    return lambda line: console.print(writer.write(line), soft_wrap=True)
