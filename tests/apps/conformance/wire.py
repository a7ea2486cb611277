"""HTTP/1.1 as bytes on a socket: what clients really send, and all that comes back."""

import socket
from dataclasses import dataclass, field

PATIENCE = 60.0
"""Seconds to wait for bytes; what is silent for so long is a failure."""


class IncompleteError(Exception):
    """The connection ended, or went silent, within a response."""

    def __init__(self, message: str, got: bytes = b"") -> None:
        super().__init__(message)
        self.got = got


@dataclass
class Response:
    """A response as it was on the wire."""

    version: bytes
    status: int
    reason: bytes
    headers: list[tuple[bytes, bytes]]
    body: bytes = b""
    interim: list[int] = field(default_factory=list)

    def get(self, name: str) -> bytes | None:
        """Return the first value of a header."""
        return next(iter(self.all(name)), None)

    def all(self, name: str) -> list[bytes]:
        """Return every value of a header."""
        return [v for k, v in self.headers if k.lower() == name.lower().encode()]


class Wire:
    """A connection to a server."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.socket = socket.create_connection(address, timeout=PATIENCE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""

    def __enter__(self) -> "Wire":
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        self.socket.sendall(data)

    def get(self, target: str, *lines: bytes, method: str = "GET") -> Response:
        """Send a request without a body and return its response."""
        self.send(request(target, *lines, method=method))
        return self.response(method)

    def _more(self, got: bytes) -> None:
        try:
            data = self.socket.recv(65536)
        except TimeoutError:
            raise IncompleteError(f"silence after {got[-200:]!r}", got) from None
        except ConnectionError as error:
            raise IncompleteError(f"{error!r} after {got[-200:]!r}", got) from None
        if not data:
            raise IncompleteError(f"end after {got[-200:]!r}", got)
        self.buffer += data

    def until(self, mark: bytes) -> bytes:
        """Return what comes up to a mark, and the mark."""
        while mark not in self.buffer:
            self._more(self.buffer)
        found, _, self.buffer = self.buffer.partition(mark)
        return found + mark

    def exactly(self, count: int) -> bytes:
        """Return so many bytes."""
        parts, missing = [self.buffer[:count]], count - len(self.buffer)
        self.buffer = self.buffer[count:]
        while missing > 0:
            self._more(parts[-1])
            parts.append(self.buffer[:missing])
            missing, self.buffer = missing - len(self.buffer), self.buffer[missing:]
        return b"".join(parts)

    def head(self) -> Response:
        """Read the head of a response, after any interim ones."""
        interim: list[int] = []
        while True:
            line, *rest = self.until(b"\r\n\r\n")[:-4].split(b"\r\n")
            version, code, *reason = line.split(b" ", 2)
            headers = []
            for header in rest:
                name, colon, value = header.partition(b":")
                assert colon and name and name == name.strip(), header
                headers.append((name, value.strip(b" \t")))
            status = int(code)
            if 100 <= status < 200 and status != 101:
                interim.append(status)
                continue
            return Response(version, status, reason[0] if reason else b"", headers, b"", interim)

    def response(self, method: str = "GET") -> Response:
        """Read one whole response."""
        answer = self.head()
        if method == "HEAD" or answer.status in (204, 304):
            return answer
        coding, length = answer.get("Transfer-Encoding"), answer.get("Content-Length")
        assert coding is None or length is None, "both Transfer-Encoding and Content-Length"
        if coding is not None:
            assert coding.lower() == b"chunked"
            while chunk := self.chunk():
                answer.body += chunk
        elif length is not None:
            answer.body = self.exactly(int(length))
        else:
            answer.body = self.rest()
        return answer

    def chunk(self) -> bytes:
        """Read one chunk; empty at the end of a body."""
        size = int(self.until(b"\r\n").partition(b";")[0], 16)
        data = self.exactly(size)
        assert self.exactly(2) == b"\r\n"
        return data

    def expect_next_or_end(self) -> None:
        """Send a request, which is answered as usual, unless the connection has ended cleanly."""
        try:
            self.send(request("/hello"))
            assert self.response().body == b"hello"
        except (IncompleteError, ConnectionError) as error:
            assert "silence" not in str(error)
            assert getattr(error, "got", b"") == b""

    def is_silent(self) -> bool:
        """Tell whether nothing has come, neither bytes nor the end."""
        self.socket.setblocking(False)
        try:
            self.socket.recv(1, socket.MSG_PEEK)
            return False
        except BlockingIOError:
            return True
        finally:
            self.socket.settimeout(PATIENCE)

    def rest(self) -> bytes:
        """Return what comes until the server closes in order; IncompleteError when it does not."""
        while True:
            try:
                data = self.socket.recv(65536)
            except TimeoutError:
                raise IncompleteError("the connection stays open", self.buffer) from None
            except ConnectionError as error:
                raise IncompleteError(repr(error), self.buffer) from None
            if not data:
                found, self.buffer = self.buffer, b""
                return found
            self.buffer += data

    def is_closed(self) -> bool:
        """Wait for the end of the connection; tell whether it came without further bytes."""
        try:
            return self.rest() == b""
        except IncompleteError as error:
            return not error.got and "reset" in str(error).lower()


def request(target: str, *lines: bytes, method: str = "GET", body: bytes = b"") -> bytes:
    """Return a request's bytes; `lines` are further header lines."""
    head = [f"{method} {target} HTTP/1.1".encode("latin-1"), b"Host: localhost", *lines]
    return b"\r\n".join(head) + b"\r\n\r\n" + body


def sized(target: str, body: bytes, *lines: bytes, method: str = "POST") -> bytes:
    """Return a request with a body of a known size."""
    length = b"Content-Length: %d" % len(body)
    return request(target, length, *lines, method=method, body=body)


def chunked(target: str, body: bytes, size: int = 1000, method: str = "POST") -> bytes:
    """Return a request with a body in chunks."""
    parts = [body[at : at + size] for at in range(0, len(body), size)]
    data = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts)
    return request(target, b"Transfer-Encoding: chunked", method=method, body=data + b"0\r\n\r\n")
