"""docs/rollout.md agrees with the options, commands, exit codes, events and hooks of the code."""

import inspect
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer

from loadbalancer.cli import app
from loadbalancer.config.model import RolloutSettings
from loadbalancer.rollout import commands, options
from loadbalancer.rollout.commands import Rollouts
from loadbalancer.rollout.control import Answer, Command, Request
from loadbalancer.rollout.errors import Ending, UpdateError
from loadbalancer.rollout.options import Option
from tests.rollout import App, FakeEnvironment, FakeStack, resume, run, start

TEXT = Path("docs/rollout.md").read_text()


def first_cells(section: str) -> list[str]:
    """Return the first column of the tables of a section."""
    body = TEXT.split(f"## {section}\n")[1].split("\n## ")[0]
    rows = [line.split(" | ")[0].strip("| ") for line in body.splitlines() if line[:1] == "|"]
    return [row for row in rows if not row.startswith("---")]


def row(option: Option) -> str:
    default = f"`{option.default}`" if option.default else "none"
    example = "flag" if option.flag else f"`{option.example}`"
    return f"| `{option.name}` | {default} | {example} | {option.description} |"


def test_the_table_of_options_is_that_of_the_model() -> None:
    table = "\n".join(map(row, options.all_options()))
    assert f"| option | default | example | meaning |\n| --- | --- | --- | --- |\n{table}\n" in TEXT


def test_every_command_is_described() -> None:
    root: Any = typer.main.get_command(app)
    rollout = root.commands["rollout"]
    names = rollout.list_commands(typer.Context(rollout))
    documented = re.findall(r"`\./lb ([a-z ]+)`", "\n".join(first_cells("Commands")))
    assert set(documented) == {f"rollout {name}" for name in names} | {"history", "rollback"}
    methods = {name for name, _ in inspect.getmembers(Rollouts, inspect.isfunction)}
    assert {name for name in methods if name[0] != "_"} == {*names, "rollback"}
    assert callable(commands.history)


@pytest.mark.parametrize("line", re.findall(r"^\./lb rollout start (.*?)(?:  +#.*)?$", TEXT, re.M))
def test_every_example_is_valid(line: str) -> None:
    words = shlex.split(line)
    fields = {option.name: option.field for option in options.all_options()}
    given = {fields[name]: value for name, value in zip(words[::2], words[1::2], strict=True)}
    assert options.resolve(RolloutSettings(), given).to


def test_the_exit_codes_are_those_of_the_endings() -> None:
    codes = {int(cell) for cell in first_cells("Commands") if cell.isdigit()}
    assert codes == {1, 2, *Ending}


def test_the_variables_of_a_hook() -> None:
    found = start(FakeStack()).hook_environment("before", 0)
    documented = re.findall(r"`(ROLLOUT_\w+)`", "\n".join(first_cells("Hooks")))
    # The name of the stack is added by the environment.
    assert sorted(documented) == sorted([*found, "ROLLOUT_STACK"])


def test_the_kinds_of_events() -> None:
    seen: set[str] = set()

    def observe(environment: FakeEnvironment) -> None:
        run(environment, start(environment.stack, hook="true", confirm="1", failureLimit=1))
        seen.update(environment.kinds())

    healthy = FakeEnvironment(FakeStack(), answers=[True])
    healthy.on["set 1"] = lambda env: env.requests.extend([Request.PAUSE, Request.RESUME])
    observe(healthy)
    observe(FakeEnvironment(FakeStack(apps={"app1": App(), "app2": App(errors=1)}), answers=[True]))
    observe(FakeEnvironment(FakeStack(unreachable=True), answers=[True]))
    halted = FakeEnvironment(FakeStack(), answers=[True], interruptions=[Answer.HALT])
    observe(halted)
    other = Command(Request.PAUSE, "99999999", 1)
    observe(FakeEnvironment(FakeStack(), answers=[True], requests=[other]))
    fails = [UpdateError("no engine")] * 2
    later = FakeEnvironment(halted.stack, answers=[True], up_fails=fails)
    resume(later)
    seen.update(later.kinds())
    cells = first_cells("Commands")
    documented = re.findall(r"`([a-z ]+)`", "\n".join(cells[cells.index("kind") :]))
    assert sorted(seen) == sorted(documented)
