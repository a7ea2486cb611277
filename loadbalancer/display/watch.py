"""Watching a stack: its live figures in the terminal, until they are no longer wanted."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pulumi import automation
from rich.console import Console
from rich.live import Live
from rich.text import Text

from loadbalancer import metrics
from loadbalancer.display.figures import Figures, lines, table
from loadbalancer.metrics import MetricsError
from loadbalancer.metrics.history import History
from loadbalancer.metrics.reading import Reading


class WatchError(RuntimeError):
    """There is nothing to watch; the message holds the command that mends it."""


def admin_url(workspace: automation.Workspace, stack: str) -> str:
    """Find the address of a stack's admin port; changes nothing, not even the selected stack.

    Raises:
        StackNotFoundError: when the backend has no such stack.
        WatchError: when the stack is not up, or has no admin port.
    """
    outputs = workspace.stack_outputs(stack)
    if not outputs:
        raise WatchError(f"stack {stack} is not up. Bring it up: make up STACK={stack}")
    if "adminUrl" not in outputs:
        raise WatchError(
            f"stack {stack} was brought up without an admin port. "
            f"Bring it up to date: make up STACK={stack}"
        )
    return str(outputs["adminUrl"].value)


def watch(
    url: str,
    console: Console,
    *,
    interval: float = 1.0,
    count: int | None = None,
    read: Callable[[str], Reading] = metrics.read,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Read the counters again and again and show the figures; while they cannot be had, the last.

    Args:
        url: the stack's output `adminUrl`.
        console: where to show them: a table that changes on a terminal, plain lines elsewhere.
        interval: seconds from one reading to the next.
        count: how many intervals to show; None goes on until Ctrl-C.
        read: reads the counters.
        sleep: waits so many seconds.

    Raises:
        MetricsError: when the count is full and there was no reading at all.
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
    """Give a function that shows figures on a console."""
    if not console.is_terminal or console.is_dumb_terminal:

        def write(figures: Figures) -> None:
            # Text, since rich would read brackets as markup.
            for line in lines(figures):
                console.print(Text(line), soft_wrap=True)

        yield write
        return
    with Live(console=console, auto_refresh=False) as screen:
        yield lambda figures: screen.update(table(figures, console.width), refresh=True)
