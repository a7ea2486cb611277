"""A server in place of an app, which answers as its path asks; runs in a container of its own.

Needs nothing but Python, which is given this file as text: Docker puts no file into a read-only
container. / and /name say which server answered, /echo returns the request as JSON.

Environment: NAME of the server, PORT, and HOSTS, the only host names that it answers to, if any.
"""

import hashlib
import json
import os
import socket
import struct
import time
from collections.abc import Iterable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

NAME = os.environ.get("NAME", "")
HOSTS = os.environ.get("HOSTS", "").split()
FLAGS = Path("/tmp")  # noqa: S108 - in the container
"""Folder with a file for each request that is released, and for each fault of the health check."""
PIECE = bytes(range(256)) * 256

seen: list[str] = []
"""The IDs of all requests that have one."""
slow_checks: list[float] = []
"""When a busy server has answered its checks."""


class Stub(BaseHTTPRequestHandler):
    """Answers /NAME/ARGUMENT by the function of that name."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1  # one write for a small answer

    def answer(self) -> None:
        """Answer a request of any method."""
        body = self.body()
        if HOSTS and self.headers.get("Host", "").partition(":")[0] not in HOSTS:
            self.reply(b"another host", status=HTTPStatus.BAD_REQUEST)
            return
        if id_ := self.headers.get("X-Request-ID"):
            seen.append(id_)
        name, _, argument = self.path.partition("?")[0].lstrip("/").partition("/")
        getattr(self, f"answer_{name or 'name'}")(argument, body)

    do_GET = do_HEAD = do_POST = answer

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

    def reply(
        self, body: bytes, headers: Iterable[tuple[str, str]] = (), status: int = HTTPStatus.OK
    ) -> None:
        """Answer with a body."""
        self.send_response(status)
        for name, value in (*headers, ("Content-Length", str(len(body)))):
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
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
        """Name the server."""
        self.reply(NAME.encode())

    def answer_healthz(self, *_: object) -> None:
        """Be healthy; with a file `sick` fail, and with a file `busy` take 1.5 s."""
        if (FLAGS / "sick").exists():
            self.reply(b"sick", status=HTTPStatus.SERVICE_UNAVAILABLE)
            return
        if (FLAGS / "busy").exists():
            time.sleep(1.5)
            slow_checks.append(time.time())
        self.reply(b"ok")

    def answer_seen(self, *_: object) -> None:
        """List the IDs of the requests since the server was started."""
        self.reply("\n".join(seen).encode())

    def answer_checks(self, *_: object) -> None:
        """Count the checks that were answered slowly."""
        self.reply(str(len(slow_checks)).encode())

    def answer_status(self, code: str, _: bytes) -> None:
        """Answer with a status."""
        self.reply(NAME.encode(), status=int(code))

    def answer_reset(self, server: str, _: bytes) -> None:
        """Reset the connection if this is the server, and say the name of any other."""
        if server != NAME:
            self.answer_name()
            return
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True

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

    def answer_cookie(self, size: str, _: bytes) -> None:
        """Set a cookie of so many bytes."""
        self.reply(b"whole", [("Set-Cookie", f"a={'x' * int(size)}")])

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
        (FLAGS / id_).touch()
        self.reply(b"released")

    def wait(self, id_: str) -> None:
        """Wait for the release."""
        while not (FLAGS / id_).exists():
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
            self.wfile.flush()
            if b"first" in event:
                self.wait(id_)
        if chunked:
            self.wfile.write(b"0\r\n\r\n")

    def answer_socket(self, *_: object) -> None:
        """Leave HTTP, and send back whatever comes, as a WebSocket's bytes."""
        self.send_response(HTTPStatus.SWITCHING_PROTOCOLS)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        self.end_headers()
        self.wfile.flush()
        while data := self.rfile.read1():
            self.wfile.write(data)
            self.wfile.flush()
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Log nothing."""


class Server(ThreadingHTTPServer):
    """Takes many connections at once."""

    daemon_threads = True
    request_queue_size = 1024


if __name__ == "__main__":
    Server(("", int(os.environ["PORT"])), Stub).serve_forever()
