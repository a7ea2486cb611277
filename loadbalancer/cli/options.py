"""What the verbs share: the project, the options --stack and --json, and the form of their help."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from loadbalancer import hints
from loadbalancer.state import checkout
from loadbalancer.state.project import Project

FOLDER = Path(__file__).resolve().parents[2]
EXIT_CODES = {0: "success", 1: "error", 2: "wrong usage"}
"""Exit codes of every verb; some have others as well."""

Verb = TypeVar("Verb", bound=Callable[..., None])


def _stacks(incomplete: str) -> list[str]:
    """Complete the name of a stack."""
    return [name for name in Project.find(FOLDER).stacks() if name.startswith(incomplete)]


Stack = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Stack; by default the selected one, else dev.",
        autocompletion=_stacks,
    ),
]


class Choice(StrEnum):
    """What to do with what a stack has left whose state was lost."""

    REMOVE = "remove"
    ADOPT = "adopt"


Orphans = Annotated[
    Choice | None,
    typer.Option(help="What to do with what a stack of this folder has left without a state."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def this_project() -> Project:
    """Return the project of this checkout.

    Raises:
        CheckoutError: when the environment is that of another one, without the launcher `lb`.
    """
    checkout.refuse_other(FOLDER)
    return Project.find(FOLDER)


def target(stack: str | None) -> tuple[Project, str]:
    """Return the project, and the stack of a verb: the given one, else the selected one.

    Raises:
        CheckoutError: when the environment is that of another checkout.
        IdentityError: when the state is a copy of that of another checkout.
    """
    found = this_project()
    name = stack or found.selected()
    hints.use(name)
    if found.embedded:
        from loadbalancer.state import identity

        with suppress(ValueError, KeyError):  # of a damaged state; the verb itself says so
            identity.refuse_copy(identity.read(found, name))
    return found, name


def register(
    app: typer.Typer, name: str, *examples: str, codes: dict[int, str] | None = None
) -> Callable[[Verb], Verb]:
    """Add a verb with its docstring, its examples and its exit codes as help."""

    def add(verb: Verb) -> Verb:
        text = inspect.getdoc(verb)
        return app.command(name, help=text, epilog=_epilog(examples, EXIT_CODES | (codes or {})))(
            verb
        )

    return add


def _epilog(examples: Sequence[str], codes: Mapping[int, str]) -> str:
    r"""Write the end of a help text; after \b the lines of a paragraph stay as they are."""
    paragraphs = (
        ("Examples:", examples),
        ("Exit codes:", [f"{code}  {meaning}" for code, meaning in sorted(codes.items())]),
    )
    return "\n\n".join(
        "\n".join(("\b", heading, *(f"  {line}" for line in lines)))
        for heading, lines in paragraphs
    )
