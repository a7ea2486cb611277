"""The live figures of a stack in the terminal, until Ctrl-C."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live
from rich.text import Text

from loadbalancer import metrics
from loadbalancer.display.figures import Figures, lines, table
from loadbalancer.metrics import MetricsError
from loadbalancer.metrics.history import History
from loadbalancer.metrics.reading import Reading
from loadbalancer.state import deployment
from loadbalancer.state.project import Project


class WatchError(RuntimeError):
    """There is nothing to watch; the message holds the fix command."""


def admin_url(project: Project, stack: str) -> str:
    """Find the address of a stack's admin port in its outputs. Does not select the stack.

    Raises:
        StackNotFoundError: when the backend has no such stack.
        WatchError: when the stack is not up, or has no admin port.
    """
    outputs = deployment.outputs(project, stack)
    if not outputs:
        raise WatchError(f"stack {stack} is not up. Bring it up: ./lb up --stack {stack}")
    if "adminUrl" not in outputs:
        raise WatchError(
            f"stack {stack} has no output adminUrl: it was brought up by an older version. "
            f"Update it: ./lb up --stack {stack}"
        )
    return str(outputs["adminUrl"])


def watch(
    url: str,
    console: Console,
    *,
    interval: float = 1.0,
    count: int | None = None,
    read: Callable[[str], Reading] = metrics.read,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Read the counters at an interval and show the figures, or the last ones while reading fails.

    Args:
        url: the stack's output `adminUrl`.
        console: where to show them: a table that changes on a terminal, plain lines elsewhere.
        interval: seconds between two readings.
        count: number of intervals to show; None continues until Ctrl-C.
        read: reads the counters.
        sleep: waits for a number of seconds.

    Raises:
        MetricsError: when `count` is reached without any reading.
    """
    history, trouble = History(), ""

    def look() -> Figures:
        nonlocal trouble
        try:
            history.add(read(url))
            trouble = ""
        except MetricsError as error:
            trouble = str(error)
        return Figures(url, time.time(), history.last, history.window(), trouble)

    with _screen(console) as show:
        show(look())
        at, shown = time.monotonic(), 0
        while count is None or shown < count:
            at = max(at + interval, time.monotonic())
            sleep(max(0.0, at - time.monotonic()))
            show(look())
            shown += 1
    if history.last is None:
        raise MetricsError(trouble)


@contextmanager
def _screen(console: Console) -> Iterator[Callable[[Figures], None]]:
    """Provide a function that shows figures on a console."""
    if not console.is_terminal or console.is_dumb_terminal:

        def write(figures: Figures) -> None:
            # Text, since rich would read brackets as markup.
            for line in lines(figures):
                console.print(Text(line), soft_wrap=True)

        yield write
        return
    with Live(console=console, auto_refresh=False) as screen:
        yield lambda figures: screen.update(table(figures, console.width), refresh=True)
