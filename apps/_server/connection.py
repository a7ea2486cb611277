"""A client's connection: what was received on it, and sending."""

import select
import socket
import time
from typing import TYPE_CHECKING, Any

from .message import BadRequest, Head, Sized

if TYPE_CHECKING:
    from .exchange import Exchange

HEAD_SECONDS = 30
"""Time for a whole head from its first byte, and then for a whole small body."""

SMALL_BODY = 65536
"""Bytes of a request body that are read before the app is called."""

BODY_SECONDS = 60
"""How long a thread waits for more of a request body."""

ROOM_SECONDS = 86400
"""How long a thread waits for room in the socket for more of a response: as long as the longest
http.sendTimeout, at which nginx gives up on a client. The kernel tells if nginx itself is gone."""

BLOCK = 65536
"""Bytes that are read from a socket at once."""


_END = b"\r\n\r\n"
_READS = 16
"""Blocks that are read from one connection before the others have their turn."""


class ClientGone(ConnectionError):
    """The client closed its connection, or was silent for too long."""


class Connection:
    """A client's connection.

    It belongs to the server's main thread while ``busy`` is False, and to the thread that answers
    its request while ``busy`` is True. Between the two parts of a response that waits for room it
    belongs to nobody. The main thread alone closes the socket.

    Attributes:
        buffer: bytes that were received and not used yet.
        scanned: bytes of the buffer that were searched for the end of a head.
        head: the head of the request that is being received or answered.
        busy: whether a request is being answered.
        exchange: a response that is not complete, while no thread sends it.
        full: whether it goes on as soon as the socket has room for more of it.
        pending: whether the socket may have data that nobody has read.
        eof: whether the client has closed its side.
        ending: whether the last response was sent.
        lingering: whether this side is closed, and the client's is read until its end.
        reset: whether the client must see that the response is incomplete.
        deadline: time (monotonic) at which the main thread gives up on the connection.
    """

    __slots__ = (
        "address", "buffer", "busy", "deadline", "ending", "eof", "exchange", "full", "head",
        "lingering", "local", "pending", "reset", "scanned", "sock",
    )  # fmt: skip

    def __init__(self, sock: socket.socket, address: tuple[str, int], deadline: float) -> None:
        self.sock = sock
        self.address = address
        self.local: tuple[str, int] = sock.getsockname()
        self.buffer = bytearray()
        self.scanned = 0
        self.head: Head | None = None
        self.busy = False
        self.exchange: Exchange | None = None
        self.full = False
        self.pending = False
        self.eof = False
        self.ending = False
        self.lingering = False
        self.reset = False
        self.deadline = deadline

    @property
    def idle(self) -> bool:
        """Whether no request is being received or answered."""
        return not (self.busy or self.buffer or self.head)

    def read(self, most: int) -> bool:
        """Read without waiting, about so many bytes at most; return whether there may be more."""
        for _ in range(_READS):
            try:
                data = self.sock.recv(BLOCK)
            except BlockingIOError:
                return False
            if not data:
                self.eof = True
                return False
            if not self.lingering:
                self.buffer += data
                if len(self.buffer) > most:
                    return True
            if len(data) < BLOCK and not self.eof:
                return False
        return True

    def parse(self, head_bytes: int) -> bool:
        """Parse what was received; return whether a request is complete. Raise BadRequest.

        A large or chunked body is left to the app, and so is one that the client sends only after
        "100 Continue".
        """
        if self.head is None and not self._parse_head(head_bytes):
            return False
        head = self.head
        assert head is not None  # noqa: S101 - for the type
        body = head.body
        small = isinstance(body, Sized) and len(self.buffer) < body.left <= SMALL_BODY
        return head.expects or not small

    def _parse_head(self, head_bytes: int) -> bool:
        buffer = self.buffer
        while buffer[:2] == b"\r\n":
            del buffer[:2]
        if not buffer:
            return False
        if not self.scanned:
            self.deadline = time.monotonic() + HEAD_SECONDS
            if not buffer[:1].isalpha() and buffer != b"\r":
                raise BadRequest
        mark = buffer.find(_END, self.scanned)
        end = len(buffer) if mark < 0 else mark + len(_END)
        if end > head_bytes:
            in_line = b"\r\n" not in buffer
            raise BadRequest(
                "414 URI Too Long" if in_line else "431 Request Header Fields Too Large"
            )
        if mark < 0:
            self.scanned = max(0, len(buffer) - len(_END) + 1)
            return False
        self.head = Head(bytes(buffer[:end]))
        del buffer[:end]
        self.scanned = 0
        self.deadline = time.monotonic() + HEAD_SECONDS
        return True

    def receive(self) -> None:
        """Add received bytes to the buffer, waiting for some; raise ClientGone."""
        while True:
            try:
                data = self.sock.recv(BLOCK)
            except BlockingIOError:
                self._wait(select.POLLIN, BODY_SECONDS)
                continue
            except OSError as error:
                raise ClientGone(str(error)) from None
            if not data:
                raise ClientGone("the connection ended within the request body")
            self.buffer += data
            return

    def send(self, data: bytes) -> None:
        """Send all of the data; raise ClientGone."""
        while data := self.offer(data):
            self._wait(select.POLLOUT, ROOM_SECONDS)

    def offer(self, data: Any) -> Any:
        """Send what the socket has room for; return the rest. Raise ClientGone."""
        while data:
            try:
                sent = self.sock.send(data)
            except BlockingIOError:
                return data
            except OSError as error:
                raise ClientGone(str(error)) from None
            if sent == len(data):
                return b""
            data = memoryview(data)[sent:]
        return data

    def _wait(self, event: int, seconds: int) -> None:
        poll = select.poll()
        poll.register(self.sock, event)
        if not poll.poll(seconds * 1000):
            raise ClientGone(f"silent for {seconds} s")
