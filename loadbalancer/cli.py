"""The verbs of `python -m loadbalancer`."""

import argparse
import math
import re
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from docker.errors import DockerException
from pulumi import automation
from pulumi.automation import errors
from rich.console import Console

from loadbalancer import engine
from loadbalancer.config import new_app
from loadbalancer.config.problems import ConfigError
from loadbalancer.display import logs, watch
from loadbalancer.display.watch import WatchError
from loadbalancer.drift import status
from loadbalancer.drift.repair import RepairError, repair
from loadbalancer.logs import stream
from loadbalancer.logs.filter import Filter, FilterError
from loadbalancer.logs.stream import LogsError
from loadbalancer.metrics import MetricsError
from loadbalancer.rollout import options as rollout
from loadbalancer.rollout.errors import Ending, HeldError, RolloutError, UsageError
from loadbalancer.state.clean import clean

PROJECT = Path(__file__).resolve().parent.parent
DRIFT = 2
"""Exit code of `status` where what there is differs from what is declared."""
WRONG_USAGE = 2
"""Exit code, as argparse has it, where what was asked for cannot be."""
_QUIET = frozenset({"status", "watch", "logs"}) | rollout.VERBS
"""Verbs that do not show what Pulumi says while it works."""
_LONGEST_INTERVAL = 3600


def main(arguments: Sequence[str]) -> int:
    """Run one verb; returns the exit code, 2 for wrong usage, and for drift in `status`.

    Those of `rollout` are in loadbalancer.rollout.errors.
    """
    options = _parser().parse_args(arguments)
    try:
        return _run(options)
    except (FilterError, UsageError) as error:
        print(f"error: {error}", file=sys.stderr)
        return WRONG_USAGE
    except HeldError as error:
        print(f"held: {error}", file=sys.stderr)
        return Ending.HELD
    except (ConfigError, RepairError, WatchError, MetricsError, LogsError, RolloutError) as error:
        message = str(error)
    except errors.StackNotFoundError:
        message = f"there is no stack {options.stack}. Create it: make up STACK={options.stack}"
    except DockerException as error:
        where = engine.whereabouts()
        message = f"the Docker engine {where} answers: {error}. See that it runs: make up"
    except errors.CommandError as error:
        message = str(error) if options.verb in _QUIET else "Pulumi has said above what is wrong."
    print(f"error: {message}", file=sys.stderr)
    return 1


def _run(options: argparse.Namespace) -> int:
    match options.verb:
        case "app":
            made = new_app.create(PROJECT / "apps", options.name).relative_to(PROJECT)
            print(f"{made} is written. Give it a share of the requests, and bring it up:")
            print(f"pulumi config set --path weights.{options.name} 1 && pulumi up")
        case "status":
            found = status.look(automation.LocalWorkspace(work_dir=str(PROJECT)), options.stack)
            status.show(found)
            return DRIFT if found.drift else 0
        case "repair":
            repair(_select(options.stack), print, force=options.force)
        case "clean":
            return clean(PROJECT, confirmed=options.yes)
        case "rollout" | "history" | "rollback":
            return rollout.run(PROJECT, options)
        case "watch":
            # Ctrl-C is how it ends.
            with suppress(KeyboardInterrupt):
                _watch(options)
        case "logs":
            with suppress(KeyboardInterrupt):
                _logs(options)
    return 0


def _watch(options: argparse.Namespace) -> None:
    url = watch.admin_url(automation.LocalWorkspace(work_dir=str(PROJECT)), options.stack)
    watch.watch(url, Console(highlight=False), interval=options.interval, count=options.count)


def _logs(options: argparse.Namespace) -> None:
    wanted = Filter.parse(app=options.app, status=options.status, request=options.request)
    workspace = automation.LocalWorkspace(work_dir=str(PROJECT))
    show = logs.printer(Console(highlight=False))
    stream.logs(workspace, options.stack, wanted, show, tail=options.tail, follow=options.follow)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m loadbalancer", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    making = verbs.add_parser("app", help="write the folder of a new app")
    making.add_argument("name")
    showing = verbs.add_parser("status", help="show what is declared against what there is")
    showing.add_argument("--stack", default="dev")
    repairing = verbs.add_parser("repair", help="bring a stack back to what is declared")
    repairing.add_argument("--stack", default="dev")
    repairing.add_argument("--force", action="store_true", help="even if an update may be running")
    cleaning = verbs.add_parser("clean", help="destroy every stack and the embedded backend")
    cleaning.add_argument("--yes", action="store_true", help="do not ask")
    watching = verbs.add_parser("watch", help="show a stack's figures as they change")
    watching.add_argument("--stack", default="dev")
    watching.add_argument("--interval", type=_interval, default=1.0, help="seconds between two")
    watching.add_argument("--count", type=_count, help="end after so many")
    logging = verbs.add_parser("logs", help="show the logs of nginx and the apps as one")
    logging.add_argument("--stack", default="dev")
    logging.add_argument("--app", help="only of this app, and of nginx where it passed it on there")
    logging.add_argument("--status", help="only requests with such codes: 404, 5xx or 200,404")
    logging.add_argument("--request", metavar="ID", help="only of this request")
    logging.add_argument("--tail", type=_count, default=200, help="newest lines to begin with")
    logging.add_argument("--follow", action="store_true", help="go on with what comes")
    rollout.add(verbs)
    return parser


def _interval(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds <= _LONGEST_INTERVAL:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a number of seconds above 0, to {_LONGEST_INTERVAL}"
        )
    return seconds


def _count(text: str) -> int:
    if not re.fullmatch(r"\d{1,7}", text, re.ASCII):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0 to 9999999")
    return int(text)


def _select(name: str) -> automation.Stack:
    return automation.select_stack(name, work_dir=str(PROJECT))
