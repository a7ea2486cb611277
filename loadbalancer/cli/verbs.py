"""The verbs for a whole stack: up, down, status, repair, watch, logs, clean and the like.

Each verb imports what it needs when it runs, so that the others start quickly.
"""

import json
import shutil
import subprocess
import sys
from contextlib import suppress
from typing import Annotated

import typer

from loadbalancer.cli.options import FOLDER, Json, Stack, register, target
from loadbalancer.state.project import Project

DRIFT = 2
"""Exit code of `status` when the actual state differs from the desired state."""
_LONGEST_INTERVAL = 3600.0
_HIGHEST_COUNT = 9_999_999

app = typer.Typer(
    name="lb",
    help="A weighted load balancer, declared as code. docs/commands.md describes every verb.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
apps = typer.Typer(help="Work on the apps.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(apps, name="app")


def _version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        typer.echo(f"lb, with pulumi {version('pulumi')} and docker {version('docker')}")
        raise typer.Exit


@app.callback()
def _main(
    _: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the versions."),
    ] = False,
) -> None:
    """Take the options that come before a verb."""


@register(app, "up", "./lb up", "./lb up --stack staging")
def up(stack: Stack = None) -> None:
    """Bring the stack up.

    This installs what the machine lacks, and creates and selects the stack. A new stack takes its
    configuration from environments/NAME.yaml, if there is one.
    """
    project, name = target(stack)
    _up(project, name)


def _up(project: Project, name: str) -> None:
    from loadbalancer.state import deployment
    from loadbalancer.state.pulumi import Pulumi

    config = project.stack_file(name)
    template = project.folder / "environments" / f"{name.rpartition('/')[2]}.yaml"
    if template.exists() and not config.exists():
        shutil.copy(template, config)
    pulumi = Pulumi(project.folder)
    pulumi.run("stack", "select", "--create", name)
    images = [sys.executable, "-m", "toolchain", "config", name]
    configured = subprocess.run(images, cwd=project.folder, check=False)
    if configured.returncode:
        raise typer.Exit(configured.returncode)
    pulumi.show("up", "--yes", "--skip-preview", stack=name)
    typer.echo(f"Live: {deployment.read(project, name).url}")
    typer.echo('To use plain `pulumi` in this shell: eval "$(./lb env)"')


@register(app, "down", "./lb down", "./lb down --stack staging")
def down(stack: Stack = None) -> None:
    """Destroy the stack; its configuration stays."""
    project, name = target(stack)
    _down(project, name)


def _down(project: Project, name: str) -> None:
    from loadbalancer.state.pulumi import Pulumi

    Pulumi(project.folder).show("destroy", "--yes", "--skip-preview", stack=name)


@register(app, "recreate", "./lb recreate")
def recreate(stack: Stack = None) -> None:
    """Destroy the stack and bring it up again."""
    project, name = target(stack)
    _down(project, name)
    _up(project, name)


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
    from loadbalancer.drift import status as drift

    project, name = target(stack)
    found = drift.look(project, name)
    if as_json:
        typer.echo(json.dumps(display.as_object(found)))
    else:
        display.show(found, all=all_)
    if found.drift:
        raise typer.Exit(DRIFT)


@register(app, "repair", "./lb repair", "./lb repair --stack staging --force")
def repair(
    stack: Stack = None,
    force: Annotated[
        bool, typer.Option("--force", help="Release the lock even if an update may be running.")
    ] = False,
) -> None:
    """Restore the desired state of the stack.

    Use it after an interrupted update or manual changes. It releases a stale lock, removes
    orphans, repairs containers in place where it can, and updates the stack.
    """
    from loadbalancer.drift import repair as drift

    project, name = target(stack)
    drift.repair(project, name, typer.echo, force=force)


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

    chosen = Filter.parse(app=app_, status=status_, request=request)
    project, name = target(stack)
    show = display.json_printer() if as_json else display.printer(Console(highlight=False))
    with suppress(KeyboardInterrupt):
        stream.logs(project, name, chosen, show, tail=tail, follow=follow)


@register(apps, "new", "./lb app new app3")
def app_new(name: Annotated[str, typer.Argument(help="Name of the app, a DNS label.")]) -> None:
    """Create the folder of a new app from apps/_new."""
    from loadbalancer.config import apps

    made = apps.create(FOLDER / "apps", name).relative_to(FOLDER)
    typer.echo(f"Created {made}. To send it requests, set its weight and bring the stack up:")
    typer.echo(f"pulumi config set --path weights.{name} 1 && ./lb up")


@register(app, "env", 'eval "$(./lb env)"')
def env() -> None:
    """Print the environment for plain `pulumi`.

    With it, `pulumi` in this shell uses the CLI, backend and passphrase of this folder.
    """
    # The launcher does it, since it also works before the virtual environment exists.
    raise typer.Exit(subprocess.run([FOLDER / "lb", "env"], check=False).returncode)


@register(app, "clean", "./lb clean", "./lb clean --yes")
def clean(yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False) -> None:
    """Destroy every stack, and the backend.

    This is about the embedded backend in .state/; another backend stays as it is.
    """
    from loadbalancer.state import clean as cleaning

    if not cleaning.clean(Project.find(FOLDER), confirmed=yes):
        raise typer.Exit(1)
