"""What the conformance tests talk to: the server as a process, or in a container behind nginx."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from loadbalancer.engine.wait import Wait
from tests.apps.containers import APPS, App

HERE = Path(__file__).resolve().parent
PATIENCE = 60.0
"""Seconds to wait for a condition; it costs nothing where things go well."""

Address = tuple[str, int]


@dataclass(frozen=True)
class Socket:
    """A socket of a server, from /proc/net/tcp (proc(5)): bytes to be sent and read."""

    unsent: int
    unread: int


class Notes:
    """The folder in which the app notes what happens, and where it waits for files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        # The app in a container is another user.
        folder.chmod(0o777)

    def events(self) -> list[str]:
        """Return what the app noted."""
        path = self.folder / "events"
        return path.read_text().splitlines() if path.exists() else []

    def count(self, event: str) -> int:
        """Return how often the app noted an event."""
        return self.events().count(event)

    def wait_for(self, event: str, count: int = 1) -> None:
        """Wait until the app has noted an event so often."""
        wait_for(lambda: self.count(event) >= count, f"event {event!r}", self.events)

    def open(self, name: str) -> None:
        """Make a file that the app waits for."""
        (self.folder / name).touch()


class Server:
    """A server: its address and the notes of its app."""

    address: Address
    notes: Notes

    def text(self) -> str:
        """Return what the app and the server wrote."""
        raise NotImplementedError


class Proxied(Server):
    """A container with the app behind nginx."""

    def __init__(self, address: Address, notes: Notes, app: App) -> None:
        self.address = address
        self.notes = notes
        self._app = app

    def text(self) -> str:
        """Return the log of the app's container."""
        return self._app.text_log()


class Process(Server):
    """A process of the server on a free port of this host.

    With `unread` its output is a pipe that nobody reads, in place of a file.
    """

    def __init__(
        self, folder: Path, environment: Mapping[str, object] | None = None, *, unread: bool = False
    ) -> None:
        self.address = ("127.0.0.1", free_port())
        self.notes = Notes(folder)
        environ = {
            **os.environ,
            "NOTES": str(folder),
            "PORT": str(self.address[1]),
            "PYTHONPATH": str(APPS),
            "PYTHONDONTWRITEBYTECODE": "1",
            **{name: str(value) for name, value in (environment or {}).items()},
        }
        self._log = (folder / "log").open("wb")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "_server"],
            cwd=HERE,
            env=environ,
            stdout=subprocess.PIPE if unread else self._log,
            stderr=subprocess.STDOUT,
        )
        wait_for(lambda: self.ended() or not self.refuses(), "a listening server", self.text)

    def ended(self) -> bool:
        """Tell whether the process has ended."""
        return self.process.poll() is not None

    def refuses(self) -> bool:
        """Tell whether it refuses connections."""
        with socket.socket() as probe:
            return probe.connect_ex(self.address) != 0

    def wait_until_it_refuses(self) -> None:
        """Wait until it takes no new connections."""
        wait_for(self.refuses, "end of listening", self.text)

    def sockets(self) -> list[Socket]:
        """Return its connections, those alone that it has accepted."""
        found = []
        for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
            _, local, _, state, queues, _, _, _, _, inode, *_ = line.split()
            if int(local.partition(":")[2], 16) == self.address[1] and state == "01":
                unsent, _, unread = queues.partition(":")
                if inode != "0":
                    found.append(Socket(int(unsent, 16), int(unread, 16)))
        return found

    def wait_until_read(self, count: int) -> None:
        """Wait until it has so many connections, and has read all that was sent on them."""

        def read() -> bool:
            sockets = self.sockets()
            return len(sockets) == count and not any(one.unread for one in sockets)

        wait_for(read, f"{count} connections, read to their end", self.sockets)

    def wait_until_unread_is(self, count: int) -> None:
        """Wait until so many bytes that were sent are not read yet."""
        wait_for(
            lambda: sum(one.unread for one in self.sockets()) == count, "reading", self.sockets
        )

    def text(self) -> str:
        """Return what it wrote."""
        return (self.notes.folder / "log").read_text(errors="replace")

    def terminate(self) -> None:
        """Send SIGTERM."""
        self.process.send_signal(signal.SIGTERM)

    def wait_for_exit(self) -> int:
        """Wait for the end, and return the exit code."""
        return self.process.wait(PATIENCE)

    def rss(self) -> int:
        """Return the resident memory, in bytes."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def children(self) -> list[int]:
        """Return the ids of its own processes."""
        pid = self.process.pid
        return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def stop(self) -> None:
        """End it, and the processes that it started."""
        if not self.ended():
            for pid in [*self.children(), self.process.pid]:
                os.kill(pid, signal.SIGKILL)
        self.process.wait()
        self._log.close()


def free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def wait_for(
    condition: Callable[[], bool], what: str, last_seen: Callable[[], object] = lambda: ""
) -> None:
    """Poll a condition."""
    wait = Wait(timeout=PATIENCE, interval=0.02)
    wait.until(what, lambda: None if condition() else str(last_seen())[-2000:])
