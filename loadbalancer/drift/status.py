"""How a stack is: declared against real, in one table."""

from dataclasses import dataclass

from pulumi import automation
from rich.console import Console
from rich.table import Table
from rich.text import Text

from loadbalancer import engine
from loadbalancer.drift import actual, compare
from loadbalancer.drift.compare import Row
from loadbalancer.state import deployment


@dataclass(frozen=True)
class Status:
    """A stack, where it answers, and everything that is declared or there."""

    stack: str
    url: str
    rows: tuple[Row, ...]

    @property
    def drift(self) -> tuple[Row, ...]:
        """What is not as declared."""
        return tuple(row for row in self.rows if row.difference)


def look(workspace: automation.Workspace, stack: str) -> Status:
    """Compare a stack's state with the engine; changes nothing, not even which stack is selected.

    Args:
        workspace: where the project is.
        stack: the stack's name.

    Raises:
        StackNotFoundError: when the backend has no such stack.
        DockerException: when no engine answers.
    """
    project = workspace.project_settings().name
    wanted = deployment.read(workspace, stack)
    found = actual.read(engine.connect(), project, stack, wanted)
    return Status(stack, wanted.url, tuple(compare.compare(wanted, found)))


def show(status: Status, console: Console | None = None) -> None:
    """Print the table, and the command that mends what differs.

    On a terminal long words are folded; elsewhere every row is one plain line, however long.
    """
    console = console or Console(soft_wrap=False, highlight=False)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("", "declared", "real", "difference"):
        table.add_column(heading, overflow="fold")
    for row in status.rows:
        # Text, since rich would read brackets as markup, and a route may have some.
        cells = (Text(cell) for cell in (row.what, row.declared, row.real, row.difference))
        table.add_row(*cells, style="red" if row.difference else None)
    if not console.is_terminal:
        unlimited = console.options.update(max_width=10_000)
        console.width = console.measure(table, options=unlimited).maximum
    if status.rows:
        console.print(table)
        console.print()
    console.print(_verdict(status), markup=False, soft_wrap=True)


def _verdict(status: Status) -> str:
    differ, every = len(status.drift), len(status.rows)
    if not every:
        return f"{status.stack} declares nothing yet. Bring it up: make up STACK={status.stack}"
    if not differ:
        where = f" and answers at {status.url}" if status.url else ""
        return f"{status.stack} is as declared{where}."
    return (
        f"{status.stack} is not as declared: {differ} of {every} differ. "
        f"Mend it: make repair STACK={status.stack}"
    )
