"""What a running container holds: memory, processes and open files."""

from dataclasses import dataclass
from typing import Any

from docker.models.containers import Container

from loadbalancer.engine import exec

_PROCESSES = """
# A process may end meanwhile.
for one in /proc/[0-9]*; do
    echo "$(ls $one/fd | wc -l) $(tr '\\0' ' ' < $one/cmdline)"
done 2>/dev/null
"""
_SHUTTING_DOWN = "nginx: worker process is shutting down"


@dataclass(frozen=True)
class Usage:
    """Memory in bytes, without the cache of files; the open files of each process, the most first.

    `leaving` counts workers of nginx that finish their requests after a reload, `workers` all.
    """

    memory: int
    files: tuple[int, ...]
    workers: int
    leaving: int


def measure(container: Container, program: str) -> Usage:
    """Measure a container whose processes have titles that begin with a word."""
    now: Any = container.stats(stream=False, one_shot=True)
    found = now["memory_stats"]["stats"]
    # Lists of pages that no file backs: the programs' own, shared memory and memory file systems.
    lists = ("active_anon", "inactive_anon")
    memory = sum(found.get(f"total_{name}", found.get(name)) for name in lists)
    code, text = exec.run(container, ["sh", "-c", _PROCESSES])
    assert code == 0, text
    rows = [line.partition(" ") for line in text.splitlines()]
    titles = [(int(files), title) for files, _, title in rows if title.startswith(program)]
    workers = [title for _, title in titles if title.startswith("nginx: worker process")]
    leaving = sum(title.startswith(_SHUTTING_DOWN) for title in workers)
    files = tuple(sorted((files for files, _ in titles), reverse=True))
    return Usage(memory, files, len(workers), leaving)
