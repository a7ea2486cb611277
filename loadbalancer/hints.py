"""Hints: commands of `./lb` in messages, for the stack that the verb of this process is for."""

_stack = ""


def use(stack: str) -> None:
    """Name a stack in the hints from now on."""
    global _stack  # noqa: PLW0603 - a process runs one verb, for one stack
    _stack = stack


def option() -> str:
    """Return ` --stack NAME`; empty where no stack is in use, so that the selected one is."""
    return f" --stack {_stack}" if _stack else ""


def lb(verb: str) -> str:
    """Write the command line of a verb: `./lb status --stack dev`."""
    return f"./lb {verb}{option()}"
