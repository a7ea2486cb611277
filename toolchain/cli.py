"""The verbs of `python3 -m toolchain`."""

from __future__ import annotations

import argparse
import fcntl
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import FrameType

from toolchain import cache, environment
from toolchain.steps import Outcome, Report, ToolchainError, perform

PROJECT = Path(__file__).resolve().parent.parent
VENV = PROJECT / ".venv"
BASE_IMAGES = "base-images.json"
"""File of the state folder from which the program takes the base images that were made here."""
TRACE = "LOADBALANCER_TRACE"
INTERRUPTED = 128 + signal.SIGINT


def main(arguments: Sequence[str]) -> int:
    """Run one verb and return the exit code; errors go to standard error, without a traceback.

    Each verb imports what it needs: `env` must be quick, and the Docker SDK can be imported only
    when the virtual environment has been made.
    """
    options = _parser().parse_args(arguments)
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup has it
            signal.signal(number, _interrupt)
    try:
        if options.verb == "env":
            _env()
        elif options.verb == "tested":
            return _tested(record=options.record)
        else:
            _everything(dev=options.dev)
    except ToolchainError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except Exception as error:
        if os.environ.get(TRACE):
            raise
        print(f"error: unexpected {type(error).__name__}: {error}", file=sys.stderr)
        print(f"To see where, run it again with {TRACE}=1 set.", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Interrupted. Run the same command again to resume.", file=sys.stderr)
        return INTERRUPTED
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python3 -m toolchain", description=__doc__)
    parser.add_argument("--dev", action="store_true", help="also what the tests need")
    verbs = parser.add_subparsers(dest="verb")
    verbs.add_parser("env", help="print shell exports that make plain `pulumi` work")
    tested = verbs.add_parser("tested", help="exit with 0 if this content has passed its tests")
    tested.add_argument("--record", action="store_true", help="record that it has passed")
    return parser


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _everything(*, dev: bool) -> None:
    from toolchain import devtools, pulumi, virtualenv  # noqa: PLC0415
    from toolchain.recipes import RECIPES  # noqa: PLC0415

    with _alone():
        perform("Python", partial(_python, "requirements.txt"))
        if dev:
            perform("Test tools", partial(_python, "requirements-dev.txt"))
        virtualenv.activate(VENV)
        from toolchain import baseimages, engine  # noqa: PLC0415

        perform("Docker engine", engine.ensure)
        perform("Pulumi", pulumi.ensure)
        perform("Docker plugin", pulumi.ensure_plugin)
        work = cache.folder() / "debootstrap"
        for recipe in RECIPES:
            perform(f"{recipe.key} image", partial(baseimages.ensure, recipe, work))
        with engine.connection() as client:
            images = [baseimages.look(client, recipe) for recipe in RECIPES]
        file = PROJECT / environment.STATE / BASE_IMAGES
        baseimages.record([image for image in images if image], file)
        if dev:
            perform("Go", _go)
            for tool in devtools.TOOLS:
                perform(tool.program, partial(devtools.ensure, tool))


def _python(requirements: str, report: Report) -> Outcome:
    from toolchain import virtualenv  # noqa: PLC0415

    return virtualenv.ensure(VENV, PROJECT / requirements, report)


def _go(report: Report) -> Outcome:
    from toolchain import golang  # noqa: PLC0415

    program = golang.ensure(cache.folder() / "go", report)
    version = ".".join(map(str, golang.version_of(program) or ()))
    return Outcome("found", f"{version} at {program}")


def _env() -> None:
    sys.stdout.write(environment.shell(os.environ, environment.prepared(PROJECT)))


def _tested(*, record: bool) -> int:
    from toolchain import tested  # noqa: PLC0415

    if record:
        tested.record_pass(PROJECT)
        return 0
    return 0 if tested.has_passed(PROJECT) else 1


@contextmanager
def _alone() -> Iterator[None]:
    """Keep two runs of this user from building into the same folders."""
    cache.folder().mkdir(parents=True, exist_ok=True)
    with (cache.folder() / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("Waiting for another run of the toolchain to end.", file=sys.stderr)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
