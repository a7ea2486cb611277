"""The verbs that change something: up, down, recreate, repair, clean, and those for a checkout.

Each verb imports what it needs when it runs, so that the others start quickly.
"""

import subprocess
from contextlib import suppress
from typing import Annotated

import typer

from loadbalancer.cli.options import (
    FOLDER,
    Choice,
    Orphans,
    Stack,
    register,
    target,
    this_project,
)
from loadbalancer.state.project import Project

SET_ENVIRONMENT = 'eval "$(./lb env)"'

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

    This installs what the machine lacks, and creates and selects the stack. Its configuration is
    in Pulumi.NAME.yaml.
    """
    project, name = target(stack)
    _up(project, name)


def _up(project: Project, name: str) -> None:
    from loadbalancer import engine
    from loadbalancer.drift import restore
    from loadbalancer.state import deployment, passphrase
    from loadbalancer.state.pulumi import Pulumi, PulumiError

    pulumi = Pulumi(project.folder)
    _create(project, name, "select", "--create")
    try:
        pulumi.show("up", "--yes", "--skip-preview", stack=name)
        desired = deployment.read(project, name)
        # Pulumi has compared with its state alone, in which they run.
        restore.start(engine.connect(), desired, typer.echo)
        typer.echo(f"Live: {desired.url}")
    except PulumiError:
        _explain_failure(project, name)
        raise
    finally:  # also for the commands in the message of an error
        typer.echo(f"To use plain `pulumi` in this shell: {SET_ENVIRONMENT}")
    passphrase.tidy(project, name)


def _explain_failure(project: Project, name: str) -> None:
    """Print what the update itself could not say: why containers were not started."""
    from loadbalancer.drift import failed
    from loadbalancer.engine import ENGINE_ERRORS

    with suppress(*ENGINE_ERRORS):
        for text in failed.not_started(project, name):
            typer.echo(text, err=True)


def _create(project: Project, name: str, *command: str) -> None:
    """Create a stack with its configuration, by `pulumi stack` and a command for it."""
    from loadbalancer.state import passphrase
    from loadbalancer.state.pulumi import PassphraseError, Pulumi, StackNotFoundError

    if project.former(name):
        raise StackNotFoundError(f"no stack named {name!r} found", stack=name)
    pulumi = Pulumi(project.folder)
    try:
        pulumi.run("stack", *command, name)
    except PassphraseError:
        # Of a stack that exists the passphrase is not asked for.
        if not project.embedded or not passphrase.drop_unused_salt(project, name):
            raise
        file = project.stack_file(name).name
        typer.echo(f"{file}: removed its salt, which is of another passphrase")
        pulumi.run("stack", *command, name)


@register(app, "down", "./lb down", "./lb down --stack staging", "./lb down --orphans remove")
def down(stack: Stack = None, orphans: Orphans = None) -> None:
    """Destroy the stack; its configuration stays."""
    project, name = target(stack)
    _down(project, name, orphans)


def _down(project: Project, name: str, choice: Choice | None = None) -> None:
    from loadbalancer.drift import lost
    from loadbalancer.state import deployment, passphrase
    from loadbalancer.state.pulumi import Pulumi, StackNotFoundError

    if choice is Choice.ADOPT:
        raise lost.adoption_error(name)
    missing = None
    try:
        deployment.load(project, name)
        Pulumi(project.folder).show("destroy", "--yes", "--skip-preview", stack=name)
        passphrase.tidy(project, name)
    except StackNotFoundError as error:
        missing = error
    left = lost.find(project, name)
    if left and choice is Choice.REMOVE:
        lost.remove(left, typer.echo)
    elif left and missing:
        raise lost.LostError(lost.describe(left, name, "down"))
    elif left:
        typer.echo(lost.describe(left, name, "down"), err=True)
    elif missing:
        raise missing


@register(app, "recreate", "./lb recreate")
def recreate(stack: Stack = None) -> None:
    """Destroy the stack and bring it up again."""
    project, name = target(stack)
    _down(project, name)
    _up(project, name)


@register(app, "repair", "./lb repair", "./lb repair --stack staging --force")
def repair(
    stack: Stack = None,
    force: Annotated[
        bool, typer.Option("--force", help="Release the lock even if an update may be running.")
    ] = False,
    orphans: Orphans = None,
) -> None:
    """Restore the desired state of the stack.

    Use it after an interrupted update or manual changes. It releases a stale lock, removes
    orphans, repairs containers in place where it can, and updates the stack. Where the state was
    lost, `--orphans remove` brings up a new stack, which takes over from the containers that are
    left, and removes them.
    """
    from loadbalancer.drift import lost
    from loadbalancer.drift import repair as drift
    from loadbalancer.state import deployment, passphrase
    from loadbalancer.state.pulumi import PulumiError, StackNotFoundError

    project, name = target(stack)
    if orphans is Choice.ADOPT:
        raise lost.adoption_error(name)
    left = lost.find(project, name)
    exists = empty = True
    try:
        empty = not deployment.read(project, name).recorded
    except StackNotFoundError:
        if not left:
            raise
        exists = False
    if left and empty:
        if orphans is None:
            raise lost.LostError(lost.describe(left, name))
        if not exists:
            _create(project, name, "init", "--no-select")
        _take_over(project, name, lost.networks(left))
    if orphans is Choice.REMOVE:
        lost.remove(left, typer.echo)
    if not (left and empty):
        try:
            drift.repair(project, name, typer.echo, force=force)
        except PulumiError:
            _explain_failure(project, name)
            raise
        if left and orphans is None:
            typer.echo(lost.describe(left, name), err=True)
    passphrase.tidy(project, name)


def _take_over(project: Project, name: str, networks: set[str]) -> None:
    """Bring a new stack up, to which the containers of a lost one leave their ports."""
    from loadbalancer.names import TAKES_OVER
    from loadbalancer.state.pulumi import Pulumi

    pulumi = Pulumi(project.folder, {TAKES_OVER: " ".join(sorted(networks))})
    pulumi.show("up", "--yes", "--skip-preview", stack=name)


@register(apps, "new", "./lb app new app3")
def app_new(name: Annotated[str, typer.Argument(help="Name of the app, a DNS label.")]) -> None:
    """Create the folder of a new app from apps/_new."""
    from loadbalancer.config import apps
    from loadbalancer.config.fix_commands import FixCommands
    from loadbalancer.state.config_file import ConfigFile

    made = apps.create(FOLDER / "apps", name).relative_to(FOLDER)
    project, stack = target(None)
    weights = ConfigFile(project, stack).values().get(f"{project.name}:weights", {})
    fix = FixCommands({"weights": weights}, stack=stack)
    steps = [SET_ENVIRONMENT, fix.set(f"weights.{name}", 1), f"./lb up --stack {stack}"]
    if project.file_backend is not None and stack not in project.stacks():
        steps.insert(0, f"./lb up --stack {stack}")
    typer.echo(f"Created {made}. To send it requests, set its weight and bring the stack up:")
    typer.echo(" && ".join(steps))


@register(app, "env", 'eval "$(./lb env)"')
def env() -> None:
    """Print the environment for plain `pulumi`.

    With it, `pulumi` in this shell uses the CLI, backend and passphrase of this folder.
    """
    # The launcher does it, since it also works before the virtual environment exists.
    raise typer.Exit(subprocess.run([FOLDER / "lb", "env"], check=False).returncode)


@register(app, "clean", "./lb clean", "./lb clean --yes")
def clean(
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    orphans: Orphans = None,
) -> None:
    """Destroy every stack, and the backend.

    This is about the embedded backend in .state/; another backend stays as it is.
    """
    from loadbalancer.drift import lost
    from loadbalancer.state import clean as cleaning

    here = this_project()
    if orphans is Choice.ADOPT:
        raise lost.adoption_error(here.selected())
    if not cleaning.clean(here, confirmed=yes):
        raise typer.Exit(1)
    left = lost.find_all(here)
    if orphans is Choice.REMOVE:
        lost.remove(left, typer.echo)
    elif left:
        every = ", ".join(f"{one.kind} {one.name}" for one in left)
        typer.echo(f"Stacks of this folder have left {every}, which no Pulumi state has any more.")
        typer.echo("Remove them: ./lb clean --orphans remove")
