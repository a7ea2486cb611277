"""The command lines of a rollout, and what they ask for."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console

from loadbalancer.rollout.commands import Rollouts
from loadbalancer.rollout.environment import Request
from loadbalancer.rollout.errors import Ending
from loadbalancer.rollout.terminal import Terminal

VERBS = frozenset({"rollout", "history", "rollback"})

_SETTINGS = {
    "to": ("app1=0,app2=100", "the weights to go to"),
    "steps": ("5,10,25,50,100", "a plan: percent of the way, one step each"),
    "linear": ("10%/60s", "a plan: so much further after each such time"),
    "canary": ("5%/600s", "a plan: a first step for so long, then all"),
    "step_time": ("30s", "how long a step is watched, where the plan does not say"),
    "interval": ("5s", "time from one check to the next"),
    "max_error_rate": ("1%", "most requests, and most tries, that may fail"),
    "max_p99": ("500ms", "within this 99 of 100 requests must be answered"),
    "min_samples": ("100", "requests without which no check says anything"),
    "failure_limit": ("3", "so many failed checks in a row lead back"),
    "deadline": ("10min", "how much longer than its time a step may take"),
    "confirm": ("1,3", "steps that a person must agree to, or all"),
    "hook": ("COMMAND", "run before and after each step; its exit code decides"),
}
_FLAGS = {
    "at_once": "a plan: one step",
    "compare": "compare with the other apps as well",
}


def add(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the verbs."""
    rolling = verbs.add_parser(
        "rollout",
        help="go to other weights step by step, and back by itself if an app fails",
        epilog="ends with 0: reached, 3: rolled back, 4: held, 2: wrong usage, 1: error",
    )
    rolling.add_argument(
        "action",
        nargs="?",
        choices=("resume", "pause", "promote", "abort", "status"),
        help="for one that was begun: here, or at work in another terminal",
    )
    rolling.add_argument("--stack", default="dev")
    rolling.add_argument("--json", action="store_true", help="one object a line, for machines")
    rolling.add_argument("--full", action="store_true", help="promote to the last step")
    rolling.add_argument("--keep", action="store_true", help="abort, and keep the weights")
    for name, (example, what) in _SETTINGS.items():
        option = f"--{name.replace('_', '-')}"
        rolling.add_argument(option, metavar=example, help=what.replace("%", "%%"))
    for name, what in _FLAGS.items():
        rolling.add_argument(f"--{name.replace('_', '-')}", action="store_true", help=what)
    telling = verbs.add_parser("history", help="tell what became of the weights, and why")
    telling.add_argument("--stack", default="dev")
    telling.add_argument("--json", action="store_true", help="as one list, for machines")
    returning = verbs.add_parser("rollback", help="go back to the weights of an earlier update")
    returning.add_argument("number", nargs="?", type=int, help="its number in the history")
    returning.add_argument("--stack", default="dev")


def run(project: Path, options: argparse.Namespace) -> Ending:
    """Do what was asked for."""
    machine = getattr(options, "json", False)
    terminal = Terminal(Console(highlight=False, stderr=machine), machine)
    rollouts = Rollouts(project, options.stack, terminal)
    doing: dict[tuple[str, str | None], Callable[[], Ending]] = {
        ("rollout", None): lambda: rollouts.begin(_given(options)),
        ("rollout", "resume"): rollouts.resume,
        ("rollout", "abort"): lambda: rollouts.abort(keep=options.keep),
        ("rollout", "pause"): lambda: rollouts.ask(Request.PAUSE),
        ("rollout", "promote"): lambda: rollouts.ask(
            Request.FINISH if options.full else Request.PROMOTE
        ),
        ("rollout", "status"): rollouts.status,
        ("history", None): rollouts.tell,
        ("rollback", None): lambda: rollouts.rollback(options.number),
    }
    return doing[options.verb, getattr(options, "action", None)]()


def _given(options: argparse.Namespace) -> dict[str, Any]:
    """Collect the settings that the command line has."""
    names = (*_SETTINGS, *_FLAGS)
    return {name: getattr(options, name) for name in names if getattr(options, name)}
