"""The verbs for weights: `rollout start` and the commands for a rollout, history and rollback."""

import inspect
import json
from collections.abc import Callable
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from loadbalancer.cli.options import Json, Stack, register, target
from loadbalancer.cli.verbs import app

_ENDINGS = {3: "rolled back", 4: "halted"}


class _Group(TyperGroup):
    """Builds `start` only when it is used: its options come from the model of the configuration."""

    def list_commands(self, ctx: Any) -> list[str]:
        return ["start", *super().list_commands(ctx)]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        return _start() if cmd_name == "start" else super().get_command(ctx, cmd_name)


group = typer.Typer(
    cls=_Group,
    help="Change the weights step by step.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.add_typer(group, name="rollout")


def _rollouts(stack: str | None, as_json: bool = False) -> Any:
    from loadbalancer.display.rollout import Terminal
    from loadbalancer.rollout.commands import Rollouts

    project, name = target(stack)
    return Rollouts(project, name, Terminal(machine=as_json))


def _change(stack: str | None, as_json: bool, action: Callable[[Any], int]) -> NoReturn:
    """Do what updates the stack; raises typer.Exit with its exit code."""
    from loadbalancer.state import passphrase

    code = action(_rollouts(stack, as_json))
    passphrase.tidy(*target(stack))
    raise typer.Exit(code)


def _start() -> Any:
    """Build `rollout start` with an option for each key of `rollout` in the configuration."""
    from loadbalancer.rollout.options import all_options

    options = all_options()

    def start(stack: str | None, as_json: bool, **values: Any) -> None:
        """Start a rollout.

        It changes the weights step by step, and rolls back if an app fails. The options override
        `rollout` of the configuration. Ctrl-C asks what to do.
        """
        given = {field: value for field, value in values.items() if value not in (None, False)}
        _change(stack, as_json, lambda rollouts: rollouts.start(given))

    annotations: dict[str, Any] = {"stack": Stack, "as_json": Json}
    for option in options:
        default = f" Default: {option.default}." if option.default else ""
        metavar = None if option.flag else option.example
        info = typer.Option(option.name, metavar=metavar, help=option.description + default)
        annotations[option.field] = Annotated[bool if option.flag else str | None, info]
    defaults = {option.field: False for option in options if option.flag} | {"as_json": False}
    start.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [
            inspect.Parameter(
                name, inspect.Parameter.KEYWORD_ONLY, default=defaults.get(name), annotation=kind
            )
            for name, kind in annotations.items()
        ]
    )
    start.__annotations__ = annotations
    alone = typer.Typer(add_completion=False, rich_markup_mode=None)
    register(
        alone,
        "start",
        "./lb rollout start --to app1=0,app2=100",
        "./lb rollout start --to app1=50,app2=50 --canary 5%/10min --confirm 1",
        codes=_ENDINGS,
    )(start)
    return typer.main.get_command(alone)


@register(group, "status", "./lb rollout status", "./lb rollout status --json --stack staging")
def status(stack: Stack = None, as_json: Json = False) -> None:
    """Show how far the rollout is."""
    raise typer.Exit(_rollouts(stack, as_json).status())


@register(group, "pause", "./lb rollout pause")
def pause(stack: Stack = None) -> None:
    """Pause the running rollout at its step."""
    raise typer.Exit(_rollouts(stack).pause())


@register(group, "resume", "./lb rollout resume", codes=_ENDINGS)
def resume(stack: Stack = None, as_json: Json = False) -> None:
    """Continue a rollout that is paused, was halted, or whose process was killed."""
    _change(stack, as_json, lambda rollouts: rollouts.resume())


@register(group, "promote", "./lb rollout promote", "./lb rollout promote --full")
def promote(
    stack: Stack = None,
    full: Annotated[bool, typer.Option("--full", help="Go to the last step.")] = False,
) -> None:
    """Go to the next step of the rollout now."""
    raise typer.Exit(_rollouts(stack).promote(full=full))


@register(group, "abort", "./lb rollout abort", "./lb rollout abort --keep", codes=_ENDINGS)
def abort(
    stack: Stack = None,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the present weights.")] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Roll back over what somebody else changed.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Roll the rollout back, or end it at its present weights."""
    _change(stack, as_json, lambda rollouts: rollouts.abort(keep=keep, force=force))


@register(app, "history", "./lb history", "./lb history --json")
def history(stack: Stack = None, as_json: Json = False) -> None:
    """List the updates of the stack."""
    from loadbalancer.display import history as display
    from loadbalancer.rollout import commands

    project, name = target(stack)
    updates = commands.history(project, name)
    if as_json:
        typer.echo(json.dumps(display.as_objects(updates)))
        return
    from rich.console import Console

    display.show(updates, Console(highlight=False))


@register(app, "rollback", "./lb rollback", "./lb rollback 12 --stack staging")
def rollback(
    number: Annotated[
        int | None,
        typer.Argument(help="Number of an update in the history; by default the last stable one."),
    ] = None,
    stack: Stack = None,
) -> None:
    """Return to the weights of an earlier update."""
    _change(stack, False, lambda rollouts: rollouts.rollback(number))
