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

from toolchain import (
    baseimages,
    devtools,
    engine,
    environment,
    golang,
    pulumi,
    stackconfig,
    virtualenv,
)
from toolchain.dockerapi import Engine
from toolchain.recipes import RECIPES, Recipe
from toolchain.steps import Outcome, Report, ToolchainError, perform

PROJECT = Path(__file__).resolve().parent.parent
BUILD = PROJECT / "toolchain" / "build"
TRACE = "LOADBALANCER_TRACE"
INTERRUPTED = 128 + signal.SIGINT


def main(arguments: Sequence[str]) -> int:
    """Run one verb and return the exit code; errors go to standard error, without a traceback."""
    options = _parser().parse_args(arguments)
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup has it
            signal.signal(number, _interrupt)
    try:
        if options.verb == "env":
            _env()
        elif options.verb == "config":
            _config(options.stack)
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
        print("Interrupted. The same command goes on from here.", file=sys.stderr)
        return INTERRUPTED
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python3 -m toolchain", description=__doc__)
    parser.add_argument("--dev", action="store_true", help="also what the tests need")
    verbs = parser.add_subparsers(dest="verb")
    verbs.add_parser("env", help="print shell exports that make plain `pulumi` work")
    config = verbs.add_parser("config", help="write base images made here into a stack's config")
    config.add_argument("stack", help="the stack's name")
    return parser


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _everything(*, dev: bool) -> None:
    with _alone():
        perform("Docker engine", engine.ensure)
        perform("Pulumi", pulumi.ensure)
        perform("Docker plugin", pulumi.ensure_plugin)
        for recipe in RECIPES:
            perform(f"{recipe.key} image", partial(_image, recipe))
        perform("Python", partial(_python, "requirements.txt"))
        if dev:
            perform("Test tools", partial(_python, "requirements-dev.txt"))
            perform("Go", _go)
            for tool in devtools.TOOLS:
                perform(tool.program, partial(devtools.ensure, tool))


def _image(recipe: Recipe, report: Report) -> Outcome:
    return baseimages.ensure(Engine(), recipe, BUILD / "debootstrap", report)


def _python(requirements: str, report: Report) -> Outcome:
    return virtualenv.ensure(PROJECT / ".venv", PROJECT / requirements, report)


def _go(report: Report) -> Outcome:
    program = golang.ensure(BUILD / "go", report)
    version = ".".join(map(str, golang.version_of(program) or ()))
    return Outcome("found", f"{version} at {program}")


def _env() -> None:
    place = environment.place(PROJECT)
    if environment.uses_embedded(os.environ, place):
        environment.prepare(place.state)
    sys.stdout.write(environment.shell(os.environ, place))


def _config(stack: str) -> None:
    place = environment.place(PROJECT)
    if environment.uses_embedded(os.environ, place):
        environment.prepare(place.state)
    images = []
    for recipe in RECIPES:
        image = baseimages.look(Engine(), recipe)
        if image is None:
            raise ToolchainError(f"there is no {recipe.key} image yet: python3 -m toolchain")
        images.append(image)
    for line in stackconfig.write(stack, PROJECT, environment.merged(os.environ, place), images):
        print(line)


@contextmanager
def _alone() -> Iterator[None]:
    """Keep two runs in one clone from building into the same folders."""
    BUILD.mkdir(parents=True, exist_ok=True)
    with (BUILD / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("Another run is at work in this folder; waiting for it.", file=sys.stderr)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
