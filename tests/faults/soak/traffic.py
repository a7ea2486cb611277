"""Clients of many kinds at once, in a process of their own, and every answer that was not whole.

    python -m tests.faults.soak.traffic HOST PORT

It sends requests until its standard input ends, waits for the last answers, and prints a report as
JSON: `requests` and `bytes` by the kind of client, the `versions` that have answered, and
`failures`. A client that leaves in the midst of a request has no failure.
"""

import http.client
import json
import secrets
import socket
import subprocess
import sys
import tempfile
import threading
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from urllib.parse import urlsplit

from tests.faults.soak.app import PIECE, checksum, content

MEGABYTE = 1 << 20
SIZES = (1, 100, 5_000, 70_000, MEGABYTE)
LARGE = (10 * MEGABYTE, 50 * MEGABYTE)
SEEDS = 3
SILENCE = 60
"""Seconds for which an answer may pause before it counts as lost."""
EVENTS = 15
"""Events of a stream, and the seconds that it takes."""
SLOW = 200_000
"""Bytes per second of a slow client."""
SLOW_SIZE = 3_000_000
"""Bytes of its bodies: less than `drain` allows at that speed."""
IDLE = 1.0
"""Seconds after which a client does not use a connection again: less than the 2 s of nginx.conf's
keepalive_min_timeout, after which a reload may close it while a request is on its way."""
LAST = 120
"""Seconds after which the last answers must have come."""


class BadAnswerError(Exception):
    """An answer that is not the one that was asked for."""


@lru_cache
def expected(seed: int, size: int) -> int:
    """Compute the checksum of a body once."""
    return checksum(content(seed, size))


@dataclass
class Report:
    """What all clients have seen so far."""

    requests: Counter[str] = field(default_factory=Counter)
    bytes: Counter[str] = field(default_factory=Counter)
    versions: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)


@dataclass
class Client:
    """One client, which sends one request after the other."""

    kind: str
    host: str
    port: int
    report: Report
    keep_alive: bool = True
    slow: bool = False
    connection: http.client.HTTPConnection | None = None
    used: float = 0.0
    """When the connection was used last."""
    id_: str = ""
    """ID of the request that is under way."""

    def ask(
        self, path: str, pieces: Iterator[bytes] | None = None, size: int | None = None
    ) -> http.client.HTTPResponse:
        """Send a request; with `pieces` an upload, in chunks where no size is given."""
        if time.monotonic() - self.used > IDLE:
            self.leave()
        if self.connection is None:
            self.connection = http.client.HTTPConnection(self.host, self.port, timeout=SILENCE)
            if self.slow:
                self.connection.sock = self._small()
        self.id_ = f"soak-{secrets.token_hex(8)}"
        headers = {"X-Request-ID": self.id_}
        if not self.keep_alive:
            headers["Connection"] = "close"
        if size is not None:
            headers["Content-Length"] = str(size)
        self.connection.request("POST" if pieces else "GET", path, body=pieces, headers=headers)
        answer = self.connection.getresponse()
        if answer.status != 200:
            raise BadAnswerError(f"{answer.status}: {answer.read(300)!r}")
        with self.report.lock:
            self.report.versions[answer.headers["X-Version"]] += 1
        return answer

    def _small(self) -> socket.socket:
        """Connect with so small a buffer that the other side notices how slowly it is read."""
        connection = socket.socket()
        connection.settimeout(SILENCE)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, PIECE)
        connection.connect((self.host, self.port))
        return connection

    def count(self, size: int) -> None:
        """Record a request that has ended as it should."""
        self.used = time.monotonic()
        with self.report.lock:
            self.report.requests[self.kind] += 1
            self.report.bytes[self.kind] += size

    def leave(self) -> None:
        """Close the connection, whatever is still under way on it."""
        if self.connection is not None:
            self.connection.close()
        self.connection = None

    def download(self, size: int) -> None:
        """Read a body, and compare it."""
        seed = secrets.randbelow(SEEDS)
        answer, length, found = self.ask(f"/body/{seed}/{size}"), 0, 0
        for piece in self._pieces(answer):
            length += len(piece)
            found = zlib.crc32(piece, found)
        if (length, found) != (size, expected(seed, size)):
            raise BadAnswerError(f"{length} of {size} bytes, checksum {found}")
        self.count(size)

    def upload(self, size: int) -> None:
        """Send a body, half of the time in chunks, and compare what the app has got."""
        seed = secrets.randbelow(SEEDS)
        chunked = bool(secrets.randbelow(2))
        answer = self.ask("/body", self._sent(seed, size), None if chunked else size)
        found = json.loads(answer.read())
        if found != {"length": size, "checksum": expected(seed, size)}:
            raise BadAnswerError(f"{found} of {size} bytes, chunked: {chunked}")
        self.count(size)

    def events(self) -> None:
        """Read a stream of events to its end."""
        text = self.ask(f"/events/{EVENTS}").read().decode()
        if text.split() != [word for n in (*range(EVENTS), "end") for word in ("data:", str(n))]:
            raise BadAnswerError(f"events: {text!r}")
        self.count(len(text))

    def abort(self) -> None:
        """Leave in the midst of a response, of a stream or of an upload."""
        act = secrets.randbelow(3)
        if act == 0:
            self.ask(f"/body/0/{LARGE[0]}").read(PIECE)
        elif act == 1:
            self.ask(f"/events/{EVENTS}").readline()
        else:
            connection = socket.create_connection((self.host, self.port), timeout=SILENCE)
            head = f"POST /body HTTP/1.1\r\nHost: a\r\nContent-Length: {MEGABYTE}\r\n\r\n"
            connection.sendall(head.encode() + bytes(MEGABYTE // 2))
            connection.close()
        self.leave()
        self.count(0)

    def _pieces(self, answer: http.client.HTTPResponse) -> Iterator[bytes]:
        while piece := answer.read(PIECE):
            yield piece
            if self.slow:
                time.sleep(len(piece) / SLOW)

    def _sent(self, seed: int, size: int) -> Iterator[bytes]:
        for piece in content(seed, size):
            yield piece
            if self.slow:
                time.sleep(len(piece) / SLOW)


@dataclass(frozen=True)
class Kind:
    """So many clients that do the same, with pauses of about so many seconds in between."""

    count: int
    pause: float
    act: Callable[[Client], None]
    keep_alive: bool = True
    slow: bool = False


def _some(*sizes: int) -> int:
    return secrets.choice(sizes)


KINDS = {
    "download": Kind(2, 0.1, lambda one: one.download(_some(*SIZES))),
    "download, new connections": Kind(2, 0.1, lambda one: one.download(_some(*SIZES)), False),
    "large download": Kind(1, 0.5, lambda one: one.download(_some(*LARGE))),
    "slow download": Kind(3, 1, lambda one: one.download(SLOW_SIZE), False, True),
    "upload": Kind(2, 0.1, lambda one: one.upload(_some(*SIZES))),
    "upload, new connections": Kind(1, 0.1, lambda one: one.upload(_some(*SIZES)), False),
    "large upload": Kind(1, 0.5, lambda one: one.upload(_some(*LARGE))),
    "slow upload": Kind(2, 1, lambda one: one.upload(SLOW_SIZE), False, True),
    "events": Kind(4, 0.5, Client.events),
    "abort": Kind(2, 0.5, Client.abort),
}


def send(host: str, port: int) -> Report:
    """Send requests from all clients until the standard input ends."""
    report, stop = Report(), threading.Event()

    def run(name: str, kind: Kind) -> None:
        client = Client(name, host, port, report, kind.keep_alive, kind.slow)
        while not stop.is_set():
            try:
                kind.act(client)
            except (OSError, http.client.HTTPException, BadAnswerError, ValueError) as error:
                now = time.strftime("%H:%M:%S")
                report.failures.append(f"{now} {name}, id {client.id_}: {error!r}")
                client.leave()
            stop.wait(kind.pause)
        client.leave()

    threads = [
        threading.Thread(target=run, args=(name, kind))
        for name, kind in KINDS.items()
        for _ in range(kind.count)
    ]
    for thread in threads:
        thread.start()
    sys.stdin.read()
    stop.set()
    for thread in threads:
        thread.join()
    return report


@contextmanager
def traffic(url: str) -> Iterator[Report]:
    """Have all clients send requests while the block runs; the report is filled when it ends."""
    found, address = Report(), urlsplit(url)
    command = [sys.executable, "-m", __name__, str(address.hostname), str(address.port)]
    with tempfile.TemporaryFile("w+") as out:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=out, text=True)
        try:
            yield found
            assert process.poll() is None, "the clients have ended early"
            process.communicate(timeout=LAST)
        finally:
            process.kill()
            process.wait()
        out.seek(0)
        text = out.read()
    counted = json.loads(text)
    for name in ("requests", "bytes", "versions"):
        getattr(found, name).update(counted[name])
    found.failures.extend(counted["failures"])


if __name__ == "__main__":
    done = send(sys.argv[1], int(sys.argv[2]))
    names = ("requests", "bytes", "versions", "failures")
    print(json.dumps({name: getattr(done, name) for name in names}))
