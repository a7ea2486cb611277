"""The verbs of `python -m loadbalancer`."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from docker.errors import DockerException
from pulumi import automation
from pulumi.automation import errors

from loadbalancer import engine, newapp, status
from loadbalancer.clean import clean
from loadbalancer.problems import ConfigError
from loadbalancer.repair import RepairError, repair

PROJECT = Path(__file__).resolve().parent.parent
DRIFT = 2
"""Exit code of `status` where what there is differs from what is declared."""


def main(arguments: Sequence[str]) -> int:
    """Run one verb; returns the exit code, 2 for wrong usage, and for drift in `status`."""
    options = _parser().parse_args(arguments)
    try:
        return _run(options)
    except (ConfigError, RepairError) as error:
        message = str(error)
    except errors.StackNotFoundError:
        message = f"there is no stack {options.stack}. Create it: make up STACK={options.stack}"
    except DockerException as error:
        where = engine.whereabouts()
        message = f"the Docker engine {where} answers: {error}. See that it runs: make up"
    except errors.CommandError as error:
        message = str(error) if options.verb == "status" else "Pulumi has said above what is wrong."
    print(f"error: {message}", file=sys.stderr)
    return 1


def _run(options: argparse.Namespace) -> int:
    match options.verb:
        case "app":
            made = newapp.create(PROJECT / "apps", options.name).relative_to(PROJECT)
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
    return 0


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
    return parser


def _select(name: str) -> automation.Stack:
    return automation.select_stack(name, work_dir=str(PROJECT))
