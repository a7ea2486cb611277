"""A client's connection, as the thread that answers a request uses it."""

import select
import socket
from typing import Any

from .message import Head

SILENCE_SECONDS = 60
"""How long a thread waits for more of a request body, or for room in the socket for a response."""

BLOCK = 65536
"""Bytes that are read from a socket at once."""


class ClientGone(ConnectionError):
    """The client closed its connection, or was silent for too long."""


class Connection:
    """A client's connection.

    It belongs to the server's main thread while ``busy`` is False, and to the thread that answers
    its request while ``busy`` is True. The main thread alone closes the socket.

    Attributes:
        buffer: bytes that were received and not used yet.
        scanned: bytes of the buffer that were searched for the end of a head.
        head: the head of the request that is being received or answered.
        busy: whether a thread answers a request.
        pending: whether the socket may have data that nobody has read.
        eof: whether the client has closed its side.
        ending: whether the last response was sent.
        lingering: whether this side is closed, and the client's is read until its end.
        reset: whether the client must see that the response is incomplete.
        deadline: time (monotonic) at which the main thread gives up on the connection.
    """

    __slots__ = (
        "address", "buffer", "busy", "deadline", "ending", "eof", "head", "lingering", "local",
        "pending", "reset", "scanned", "sock",
    )  # fmt: skip

    def __init__(self, sock: socket.socket, address: tuple[str, int], deadline: float) -> None:
        self.sock = sock
        self.address = address
        self.local: tuple[str, int] = sock.getsockname()
        self.buffer = bytearray()
        self.scanned = 0
        self.head: Head | None = None
        self.busy = False
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

    def receive(self) -> None:
        """Add received bytes to the buffer, waiting for some; raise ClientGone."""
        while True:
            try:
                data = self.sock.recv(BLOCK)
            except BlockingIOError:
                self._wait(select.POLLIN)
                continue
            except OSError as error:
                raise ClientGone(str(error)) from None
            if not data:
                raise ClientGone("the connection ended within the request body")
            self.buffer += data
            return

    def send(self, data: bytes) -> None:
        """Send all of the data; raise ClientGone."""
        rest: Any = data
        while True:
            try:
                sent = self.sock.send(rest)
            except BlockingIOError:
                self._wait(select.POLLOUT)
                continue
            except OSError as error:
                raise ClientGone(str(error)) from None
            if sent == len(rest):
                return
            rest = memoryview(rest)[sent:]

    def _wait(self, event: int) -> None:
        poll = select.poll()
        poll.register(self.sock, event)
        if not poll.poll(SILENCE_SECONDS * 1000):
            raise ClientGone(f"silent for {SILENCE_SECONDS} s")
