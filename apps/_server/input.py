"""The body of a request as an app reads it: ``wsgi.input``."""

import sys
from collections.abc import Iterator

from .connection import Connection
from .message import Chunked, Sized


class Input:
    """The body of a request, with the methods of a file.

    It ends where the body ends. Reading raises ClientGone if the connection ends before.
    """

    def __init__(self, connection: Connection, body: Sized | Chunked, *, expects: bool) -> None:
        self._connection = connection
        self._body = body
        self._expects = expects
        self._content = bytearray()

    def refuse(self) -> None:
        """Never send "100 Continue" from now on."""
        self._expects = False

    def _fill(self) -> bool:
        """Receive more content; return False at the end of the body."""
        while not self._body.done:
            content = self._body.take(self._connection.buffer)
            if content:
                self._content += content
                return True
            if not self._body.done:
                if self._expects:
                    self._expects = False
                    self._connection.send(b"HTTP/1.1 100 Continue\r\n\r\n")
                self._connection.receive()
        return False

    def _take(self, count: int) -> bytes:
        content = self._content
        if count >= len(content):
            self._content = bytearray()
            return bytes(content)
        data = bytes(memoryview(content)[:count])
        del content[:count]
        return data

    def read(self, size: int | None = -1) -> bytes:
        """Return ``size`` bytes, or fewer at the end of the body; without a size, all of it."""
        count = sys.maxsize if size is None or size < 0 else size
        while len(self._content) < count and self._fill():
            pass
        return self._take(count)

    def readline(self, size: int | None = -1) -> bytes:
        """Return a line with its end, or the first ``size`` bytes of it."""
        limit = sys.maxsize if size is None or size < 0 else size
        searched = 0
        while True:
            end = self._content.find(b"\n", searched, min(limit, len(self._content)))
            if end >= 0:
                return self._take(end + 1)
            searched = len(self._content)
            if searched >= limit or not self._fill():
                return self._take(limit)

    def readlines(self, hint: int | None = None) -> list[bytes]:
        """Return lines until they have ``hint`` bytes; without a hint, all of them."""
        lines, total = [], 0
        while line := self.readline():
            lines.append(line)
            total += len(line)
            if hint is not None and 0 < hint <= total:
                break
        return lines

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        line = self.readline()
        if not line:
            raise StopIteration
        return line
