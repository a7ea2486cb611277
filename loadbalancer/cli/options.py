"""What the verbs share: the project, the options --stack and --json, and the form of their help."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, TypeVar

import typer

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
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def target(stack: str | None) -> tuple[Project, str]:
    """Return the project, and the stack of a verb: the given one, else the selected one."""
    project = Project.find(FOLDER)
    return project, stack or project.selected()


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
