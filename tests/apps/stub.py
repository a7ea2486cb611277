"""A server in place of an app, which answers as its path asks; runs in a container of its own.

Needs nothing but Python. /name says who answered, /echo returns the request as JSON.
"""

import hashlib
import json
import os
import time
from collections.abc import Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

PIECE = bytes(range(256)) * 256
_RELEASED = Path("/tmp")  # noqa: S108 - in the container


class Stub(BaseHTTPRequestHandler):
    """Answers /NAME/ARGUMENT by the function of that name."""

    protocol_version = "HTTP/1.1"

    def answer(self) -> None:
        """Answer a request of any method."""
        name, _, argument = self.path.partition("?")[0].lstrip("/").partition("/")
        getattr(self, f"answer_{name}")(argument, self.body())

    do_GET = do_POST = answer

    def body(self) -> bytes:
        """Read the body, which may come in chunks."""
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        found = b""
        while size := int(self.rfile.readline(), 16):
            found += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return found

    def reply(self, body: bytes, headers: Iterable[tuple[str, str]] = ()) -> None:
        """Answer with a body."""
        self.send_response(200)
        for name, value in (*headers, ("Content-Length", str(len(body)))):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def answer_echo(self, _: str, body: bytes) -> None:
        """Describe the request."""
        request = {
            "headers": [[name.lower(), value] for name, value in self.headers.items()],
            "length": len(body),
            "sha256": hashlib.sha256(body).hexdigest(),
        }
        self.reply(json.dumps(request).encode())

    def answer_name(self, *_: object) -> None:
        """Name the app."""
        self.reply(os.environ["APP"].encode())

    def answer_healthz(self, *_: object) -> None:
        """Be healthy."""
        self.reply(b"ok")

    def answer_big(self, megabytes: str, _: bytes) -> None:
        """Send so many MiB, in equal pieces."""
        size = int(megabytes) << 20
        self.send_response(200)
        self.send_header("Content-Length", str(size))
        self.end_headers()
        for _number in range(size // len(PIECE)):
            self.wfile.write(PIECE)

    def answer_header(self, size: str, _: bytes) -> None:
        """Send a header field of so many bytes."""
        self.reply(b"whole", [("X-Large", "x" * int(size))])

    def answer_cookies(self, count: str, _: bytes) -> None:
        """Set so many cookies of 200 bytes."""
        self.reply(b"whole", [("Set-Cookie", f"c{one}={'x' * 200}") for one in range(int(count))])

    def answer_sleep(self, seconds: str, _: bytes) -> None:
        """Take some time."""
        time.sleep(float(seconds))
        self.reply(b"slept")

    def answer_wait(self, id_: str, _: bytes) -> None:
        """Answer when another request asks to release this one."""
        self.wait(id_)
        self.reply(b"waited")

    def answer_release(self, id_: str, _: bytes) -> None:
        """Release a request that waits, or will."""
        (_RELEASED / id_).touch()
        self.reply(b"released")

    def wait(self, id_: str) -> None:
        """Wait for the release."""
        while not (_RELEASED / id_).exists():
            time.sleep(0.02)

    def answer_stream(self, argument: str, _: bytes) -> None:
        """Send one event, and another one after a release; the argument is KIND/ID."""
        kind, id_ = argument.split("/")
        chunked = kind == "chunked"
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        if chunked:
            self.send_header("Transfer-Encoding", "chunked")
        else:
            self.send_header("Connection", "close")
        self.end_headers()
        for event in (b"data: first\n\n", b"data: second\n\n"):
            self.wfile.write(b"%x\r\n%s\r\n" % (len(event), event) if chunked else event)
            if b"first" in event:
                self.wait(id_)
        if chunked:
            self.wfile.write(b"0\r\n\r\n")

    def log_message(self, *_: object) -> None:
        """Log nothing."""


class Server(ThreadingHTTPServer):
    """Takes many connections at once."""

    daemon_threads = True
    request_queue_size = 1024


if __name__ == "__main__":
    Server(("", int(os.environ["PORT"])), Stub).serve_forever()
