"""The Markdown pages of the project: README.md and docs/, their commands, tables and links."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
README = PROJECT / "README.md"
PAGES = (README, *sorted((PROJECT / "docs").glob("*.md")))

_BLOCK = re.compile(r"^```(sh|console)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_PROMPT = "$ "


@dataclass(frozen=True)
class Command:
    """A command of a page, without its comment, and the output that the page shows for it."""

    text: str
    output: str = ""


def name(page: Path) -> str:
    """Return the path of a page inside the project."""
    return page.relative_to(PROJECT).as_posix()


def commands(text: str) -> Iterator[Command]:
    """Find the commands in the `sh` and `console` blocks of a page, in their order."""
    for language, block in _BLOCK.findall(text):
        yield from _with_output(block) if language == "console" else _lines(block)


def _lines(block: str) -> Iterator[Command]:
    for line in block.replace("\\\n", " ").splitlines():
        command = re.sub(r"(^|\s+)#\s.*", "", line).strip()
        if command:
            yield Command(re.sub(r"\s{2,}", " ", command))


def _with_output(block: str) -> Iterator[Command]:
    for part in block.removeprefix(_PROMPT).split(f"\n{_PROMPT}"):
        command, _, output = part.partition("\n")
        yield Command(command, output.strip())


def inline_commands(text: str) -> Iterator[str]:
    """Find the commands of `./lb` in the text of a page, also where a line breaks inside them."""
    for code in re.findall(r"`([^`]+)`", _BLOCK.sub("", text)):
        if code.startswith("./lb"):
            yield " ".join(code.split())


def rows(text: str, header: str) -> list[list[str]]:
    """Read the cells of the table that has this header; code is without its backticks."""
    _, found, after = text.partition(f"{header}\n")
    assert found, f"no table {header!r}"
    table = after.partition("\n\n")[0].splitlines()[1:]
    return [
        [cell.strip().replace("`", "") for cell in line.strip().strip("|").split("|")]
        for line in table
    ]


def links(text: str) -> Iterator[str]:
    """Find the targets of the links of a page that lead to other files."""
    return (target for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text) if "://" not in target)
