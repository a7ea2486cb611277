"""The verbs that only read: status, watch and logs.

Each verb imports what it needs when it runs, so that the others start quickly.
"""

import json
from contextlib import suppress
from typing import Annotated

import typer

from loadbalancer.cli.options import Json, Stack, register, target
from loadbalancer.cli.verbs import app
from loadbalancer.state.project import Project

DRIFT = 2
"""Exit code of `status` when the actual state differs from the desired state."""
_LONGEST_INTERVAL = 3600.0
_HIGHEST_COUNT = 9_999_999


@register(
    app, "status", "./lb status", "./lb status --all --json", codes={2: "drift, or wrong usage"}
)
def status(
    stack: Stack = None,
    as_json: Json = False,
    all_: Annotated[
        bool, typer.Option("--all", help="Show also the resources without drift.")
    ] = False,
) -> None:
    """Compare the actual with the desired state.

    This changes nothing, and prints the resources that differ.
    """
    from loadbalancer.display import status as display
    from loadbalancer.drift import lost
    from loadbalancer.drift import status as drift
    from loadbalancer.state.pulumi import StackNotFoundError

    project, name = target(stack)
    try:
        found = drift.look(project, name)
    except StackNotFoundError as error:
        raise _lost_or(error, project, name) from error
    if as_json:
        typer.echo(json.dumps(display.as_object(found)))
    else:
        display.show(found, all=all_)
    if left := lost.find(project, name):
        typer.echo(lost.describe(left, name), err=True)
    if found.drift:
        raise typer.Exit(DRIFT)


def _lost_or(error: Exception, project: Project, name: str) -> Exception:
    """Say what a stack that does not exist has left on the engine, if it has left anything."""
    from loadbalancer.drift import lost

    left = lost.find(project, name)
    return lost.LostError(lost.describe(left, name)) if left else error


def _interval(seconds: float) -> float:
    if not 0 < seconds <= _LONGEST_INTERVAL:
        raise typer.BadParameter(
            f"{seconds:g} is not a number of seconds above 0, to {_LONGEST_INTERVAL:g}"
        )
    return seconds


@register(app, "watch", "./lb watch", "./lb watch --interval 5 --count 12")
def watch(
    stack: Stack = None,
    interval: Annotated[
        float, typer.Option(callback=_interval, help="Seconds between two readings.")
    ] = 1.0,
    count: Annotated[
        int | None,
        typer.Option(min=0, max=_HIGHEST_COUNT, help="End after this number of intervals."),
    ] = None,
) -> None:
    """Show live request rates, shares and durations.

    Ctrl-C ends it.
    """
    from rich.console import Console

    from loadbalancer.display import watch as display

    project, name = target(stack)
    with suppress(KeyboardInterrupt):
        url = display.admin_url(project, name)
        display.watch(url, Console(highlight=False), interval=interval, count=count)


@register(
    app,
    "logs",
    "./lb logs --follow",
    "./lb logs --app app1 --status 5xx --tail 1000",
    "./lb logs --request 3f2a9c0b",
)
def logs(
    stack: Stack = None,
    app_: Annotated[
        str | None,
        typer.Option("--app", metavar="NAME", help="Only this app and its requests in nginx."),
    ] = None,
    status_: Annotated[
        str | None,
        typer.Option("--status", metavar="CODES", help="Only these codes: 404, 5xx or 200,404."),
    ] = None,
    request: Annotated[
        str | None, typer.Option(metavar="ID", help="Only the request with this ID.")
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Only since then: 10min, 2h or a date."),
    ] = None,
    tail: Annotated[
        int, typer.Option(min=0, max=_HIGHEST_COUNT, help="Number of newest lines to start with.")
    ] = 200,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until Ctrl-C.")] = False,
    as_json: Json = False,
) -> None:
    """Show the logs of nginx and the apps by time."""
    from rich.console import Console

    from loadbalancer.display import logs as display
    from loadbalancer.logs import stream
    from loadbalancer.logs.filter import Filter

    chosen = Filter.parse(app=app_, status=status_, request=request, since=since)
    project, name = target(stack)
    show = display.json_printer() if as_json else display.printer(Console(highlight=False))
    with suppress(KeyboardInterrupt):
        stream.logs(project, name, chosen, show, tail=tail, follow=follow)
