"""The commands that the program, the verbs and the toolchain print, found in the source."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
FOLDERS = ("loadbalancer", "toolchain")
_COMMAND = re.compile(
    r"(?<![\w`/-])(?:\./lb [a-z{]|pulumi (?:config|up|stack|cancel|preview|login) |pulumi up\b"
    r"|make (?:up|down|test)\b|python3 -m toolchain|eval \"|unset [A-Z{]|export [A-Z]|rm -r "
    r"|docker [a-z]+ |ssh -)[^`\n]*"
)
_END = re.compile(r"(?:[.;,:]? *$|[.;] (?=[A-Z])|, or |\) )")


@dataclass(frozen=True, order=True)
class Printed:
    """A command in the text of a file; what the program fills in is written as `{}`."""

    path: str
    command: str


def find() -> Iterator[Printed]:
    """Find the commands in the texts of the source, docstrings left out."""
    for folder in FOLDERS:
        for path in sorted((PROJECT / folder).rglob("*.py")):
            tree = ast.parse(path.read_text())
            for text in texts(tree):
                for command in commands(text):
                    yield Printed(path.relative_to(PROJECT).as_posix(), command)


def commands(text: str) -> Iterator[str]:
    """Find the commands in a text, each to the end of its sentence."""
    at = 0
    while found := _COMMAND.search(text, at):
        command = _END.split(found[0], maxsplit=1)[0]
        yield command.strip()
        at = found.start() + max(1, len(command))


def texts(tree: ast.AST) -> Iterator[str]:
    """List the texts of a module; parts that are filled in are written as `{}`."""
    left_out = {*_docstrings(tree), *_examples(tree)}
    inside: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "hints.lb":
            verb = node.args[0]
            parts = verb.values if isinstance(verb, ast.JoinedStr) else [verb]
            yield f"./lb {''.join(_text(one) for one in parts)}{{}}"
        elif isinstance(node, ast.JoinedStr):
            inside |= {id(one) for one in ast.walk(node)} - {id(node)}
            if id(node) not in inside:
                yield "".join(_text(one) for one in node.values)
        elif (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and not {id(node)} & (inside | left_out)
        ):
            yield node.value


def _text(part: ast.expr) -> str:
    return str(part.value) if isinstance(part, ast.Constant) else "{}"


def _docstrings(tree: ast.AST) -> Iterator[int]:
    """Find the texts that stand alone, as docstrings do."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            yield id(node.value)


def _examples(tree: ast.AST) -> Iterator[int]:
    """Find the examples of verbs, which are in the help and in no message."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "register":
            yield from (id(one) for one in node.args)
