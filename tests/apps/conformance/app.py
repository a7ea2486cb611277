"""A WSGI app whose paths each do one thing that PEP 3333 tells of.

It notes what happens in a file of the folder NOTES, and waits there for files that a test makes.
"""

import hashlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from io import BytesIO
from pathlib import Path
from random import Random
from typing import Any
from wsgiref.validate import validator

Environ = dict[str, Any]
Start = Callable[..., Callable[[bytes], object]]
Headers = list[tuple[str, str]]

NOTES = Path(os.environ["NOTES"])
PLAIN = ("Content-Type", "text/plain")
WAIT_SECONDS = 600

if os.environ.get("FAILS"):
    raise RuntimeError("on purpose")


def note(event: str) -> None:
    with (NOTES / "events").open("a") as file:
        file.write(event + "\n")


def wait_for(name: str) -> None:
    end = time.monotonic() + WAIT_SECONDS
    while not (NOTES / name).exists() and time.monotonic() < end:
        time.sleep(0.01)


class Body:
    """An iterable that notes each call of close()."""

    def __init__(self, name: str, pieces: Iterable[bytes]) -> None:
        self.name = name
        self.pieces = iter(pieces)

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        return next(self.pieces)

    def close(self) -> None:
        note(f"closed {self.name}")


READ: dict[str, Callable[[Any], list[bytes]]] = {
    "none": lambda _: [],
    "partly": lambda stream: [stream.read(4)],
    "read": lambda stream: [stream.read()],
    "read-minus-one": lambda stream: [stream.read(-1)],
    "read-n": lambda stream: list(iter(lambda: stream.read(7000), b"")),
    "read-4-then-rest": lambda stream: [stream.read(4), stream.read()],
    "read-4-then-n": lambda stream: [stream.read(4), *iter(lambda: stream.read(65536), b"")],
    "readline": lambda stream: list(iter(stream.readline, b"")),
    "readline-n": lambda stream: list(iter(lambda: stream.readline(500), b"")),
    "readlines": lambda stream: list(stream.readlines()),
    "iterate": list,
    "line-then-read": lambda stream: [
        stream.readline(),
        stream.read(3),
        stream.readline(),
        stream.read(),
    ],
    "past-the-end": lambda stream: [
        stream.read(),
        stream.read(),
        stream.read(5),
        stream.readline(),
    ],
}
"""Ways to read a body; each returns the pieces."""


def body(environ: Environ, start: Start, how: str) -> Iterable[bytes]:
    pieces = READ[how](environ["wsgi.input"])
    whole = b"".join(pieces)
    answer = json.dumps(
        {
            "sizes": [len(piece) for piece in pieces[:8]],
            "count": len(pieces),
            "length": len(whole),
            "sha256": hashlib.sha256(whole).hexdigest(),
        }
    ).encode()
    start("200 OK", [PLAIN, ("Content-Length", str(len(answer)))])
    return [answer]


def count(environ: Environ, start: Start, _: str) -> Iterable[bytes]:
    """Count the bytes of a body without holding them."""
    stream, total = environ["wsgi.input"], 0
    while piece := stream.read(65536):
        total += len(piece)
    return text(start, str(total))


def text(
    start: Start, value: str, status: str = "200 OK", headers: Iterable[tuple[str, str]] = ()
) -> Iterable[bytes]:
    content = value.encode("latin-1")
    start(status, [PLAIN, ("Content-Length", str(len(content))), *headers])
    return [content]


def environ_as_json(environ: Environ, start: Start, _: str) -> Iterable[bytes]:
    names = {key: value for key, value in environ.items() if isinstance(value, str | bool)}
    content = json.dumps(names).encode()
    start("200 OK", [PLAIN, ("Content-Length", str(len(content)))])
    return [content]


def late_start(environ: Environ, start: Start, _: str) -> Iterable[bytes]:
    start("404 Not Found", [PLAIN, ("X-Late", "yes")])
    yield b"late"


def late_start_empty_first(environ: Environ, start: Start, _: str) -> Iterable[bytes]:
    start("404 Not Found", [PLAIN, ("X-Late", "yes")])
    yield b""
    yield b"late"


def status(environ: Environ, start: Start, line: str) -> Iterable[bytes]:
    start(line.replace("_", " "), [("X-Mark", "yes")])
    return []


def status_with_body(environ: Environ, start: Start, line: str) -> Iterable[bytes]:
    start(line.replace("_", " "), [PLAIN, ("Content-Length", "4")])
    return [b"body"]


def headers(environ: Environ, start: Start, _: str) -> Iterable[bytes]:
    return text(
        start,
        "ok",
        "299 Très bien",
        [
            ("X-Name", "Jos\xe9"),
            ("Set-Cookie", "a=1"),
            ("Set-Cookie", "b=2"),
            ("X-Empty", ""),
            ("X-Large", "x" * int(environ["QUERY_STRING"] or 1)),
        ],
    )


def injected(environ: Environ, start: Start, kind: str) -> Iterable[bytes]:
    value = {"lf": "a\nX-Evil: 1", "crlf": "a\r\nX-Evil: 1", "nul": "a\0b", "cr": "a\rX-Evil: 1"}
    return text(start, "ok", headers=[("X-Value", value[kind])])


def own_date(environ: Environ, start: Start, _: str) -> Iterable[bytes]:
    own = [("Date", "Thu, 01 Jan 1970 00:00:00 GMT"), ("Server", "mine")]
    return text(start, "ok", headers=own)


def twice(environ: Environ, start: Start, how: str) -> Iterable[bytes]:
    start("200 OK", [PLAIN, ("X-First", "1")])
    if how == "plain":
        start("201 Created", [PLAIN])
        return [b"twice"]
    if how == "sent":
        return twice_after_sent(start)
    try:
        raise ValueError("on purpose")
    except ValueError:
        start("503 Sorry", [PLAIN, ("X-Second", "2")], sys.exc_info())
    return [b"second"]


def twice_after_sent(start: Start) -> Iterator[bytes]:
    yield b"first"
    try:
        raise ValueError("on purpose")
    except ValueError:
        start("503 Sorry", [PLAIN], sys.exc_info())
    yield b"second"


def write(environ: Environ, start: Start, _: str) -> Iterable[bytes]:
    send = start("200 OK", [PLAIN])
    send(b"a")
    send(b"b")
    return [b"c"]


def never_starts(environ: Environ, start: Start, _: str) -> Iterable[bytes]:
    return [b"nothing"]


def fails(environ: Environ, start: Start, when: str) -> Iterable[bytes]:
    if when == "call":
        raise RuntimeError("on purpose")
    if when == "length":
        start("200 OK", [PLAIN, ("Content-Length", "10")])
    else:
        start("200 OK", [PLAIN])
    return Body(f"fails-{when}", _fail(when))


def _fail(when: str) -> Iterator[bytes]:
    if when != "first":
        yield b"piece"
    raise RuntimeError("on purpose")


def mismatch(environ: Environ, start: Start, which: str) -> Iterable[bytes]:
    start("200 OK", [PLAIN, ("Content-Length", "5")])
    if which == "longer":
        return [b"123456789"]
    if which == "longer-in-pieces":
        return Body("mismatch", [b"1234", b"5678", b"9"])
    return [b"123"]


def pieces(environ: Environ, start: Start, name: str) -> Iterable[bytes]:
    start("200 OK", [PLAIN])
    return Body(name, [b"one,", b"", b"two,", b"three"])


def one_piece(environ: Environ, start: Start, _: str) -> Iterable[bytes]:
    start("200 OK", [PLAIN])
    return [b"one"]


def generated(environ: Environ, start: Start, _: str) -> Iterable[bytes]:
    start("200 OK", [PLAIN])
    yield b"only"


def early(environ: Environ, start: Start, _: str) -> Iterable[bytes]:
    return text(start, "too large", "413 Content Too Large")


def large(environ: Environ, start: Start, megabytes: str) -> Iterable[bytes]:
    size = int(megabytes) << 20
    start("200 OK", [PLAIN, ("Content-Length", str(size))])
    piece = b"x" * 65536
    return Body("large", (piece for _ in range(size // 65536)))


def endless(environ: Environ, start: Start, name: str) -> Iterable[bytes]:
    start("200 OK", [("Content-Type", "text/event-stream")])

    def produce() -> Iterator[bytes]:
        number = 0
        while True:
            yield b"data: %d\n\n" % number
            number += 1
            time.sleep(0.01)

    return Body(name, produce())


def events(environ: Environ, start: Start, name: str) -> Iterable[bytes]:
    start("200 OK", [("Content-Type", "text/event-stream")])

    def produce() -> Iterator[bytes]:
        for number in range(3):
            yield b"data: %d\n\n" % number
            wait_for(f"{name}-{number}")

    return Body(name, produce())


def gate(environ: Environ, start: Start, name: str) -> Iterable[bytes]:
    note(f"asked {name}")
    wait_for("gate")
    return text(start, "passed")


def file_wrapper(environ: Environ, start: Start, _: str) -> Iterable[bytes]:
    wrap: Callable[[Any], Iterable[bytes]] = environ["wsgi.file_wrapper"]
    start("200 OK", [PLAIN])
    return wrap(Path(__file__).open("rb"))


def random(megabytes: str) -> bytes:
    """Compose a body in which no part is like another, the same one each time."""
    return Random(0).randbytes(int(megabytes) << 20)  # noqa: S311 - no secret


def whole(environ: Environ, start: Start, megabytes: str) -> Iterable[bytes]:
    body = random(megabytes)
    start("200 OK", [PLAIN, ("Content-Length", str(len(body)))])
    return [body]


class NotedFile(BytesIO):
    """A file that notes when it is closed."""

    def close(self) -> None:
        if not self.closed:
            note("closed file")
        super().close()


def random_file(environ: Environ, start: Start, megabytes: str) -> Iterable[bytes]:
    wrap: Callable[[Any], Iterable[bytes]] = environ["wsgi.file_wrapper"]
    body = random(megabytes)
    length = [("Content-Length", str(len(body)))] if environ["QUERY_STRING"] != "chunked" else []
    start("200 OK", [PLAIN, *length])
    return wrap(NotedFile(body))


def hop(environ: Environ, start: Start, _: str) -> Iterable[bytes]:
    return text(start, "ok", headers=[("Connection", "close")])


def hello(environ: Environ, start: Start, _: str) -> Iterable[bytes]:
    return text(start, "hello")


def errors(environ: Environ, start: Start, name: str) -> Iterable[bytes]:
    environ["wsgi.errors"].write(f"caf\xe9 {name}\n")
    environ["wsgi.errors"].writelines(["one\n", "two\n"])
    environ["wsgi.errors"].flush()
    return text(start, "ok")


def healthz(environ: Environ, start: Start, _: str) -> Iterable[bytes]:
    note("probed")
    environ["wsgi.input"].read()
    if (NOTES / "hang").exists():
        wait_for("gate")
    return text(start, "ok")


def pid(environ: Environ, start: Start, _: str) -> Iterable[bytes]:
    return text(start, str(os.getpid()))


ROUTES: dict[str, Callable[[Environ, Start, str], Iterable[bytes]]] = {
    "body": body, "count": count, "environ": environ_as_json, "late": late_start,
    "late-empty": late_start_empty_first, "status": status, "status-body": status_with_body,
    "headers": headers, "injected": injected, "twice": twice, "write": write,
    "never": never_starts, "fails": fails, "mismatch": mismatch, "pieces": pieces, "one": one_piece,
    "generated": generated, "early": early, "large": large, "endless": endless, "events": events,
    "gate": gate, "file": file_wrapper, "hop": hop, "hello": hello, "own-date": own_date,
    "whole": whole, "random-file": random_file, "errors": errors, "healthz": healthz,
    "pid": pid,
}  # fmt: skip


def serve(environ: Environ, start: Start) -> Iterable[bytes]:
    _, name, *rest = ("/" + environ.get("PATH_INFO", "").removeprefix("/")).split("/", 2)
    route = ROUTES.get(name)
    if route is None:
        return text(start, "no such path", "404 Not Found")
    return route(environ, start, rest[0] if rest else "")


validated: Any = validator(serve)


def app(environ: Environ, start: Start) -> Iterable[bytes]:
    if environ.get("PATH_INFO", "").startswith("/v/"):
        environ["PATH_INFO"] = environ["PATH_INFO"][2:]
        whole: Iterable[bytes] = validated(environ, start)
        return whole
    return serve(environ, start)
