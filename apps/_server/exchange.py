"""One request and its response through a WSGI app (PEP 3333)."""

import re
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from email.utils import formatdate
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any

from .connection import BLOCK, ClientGone, Connection
from .input import Input
from .message import BadRequest, Head, Sized

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

ExcInfo = tuple[type[BaseException], BaseException, TracebackType]

_STATUS = re.compile(r"[2-9][0-9]{2}(?: [\t\x20-\x7e\x80-\xff]*)?")
_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_HOP_BY_HOP = frozenset(
    {
        "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailer",
        "transfer-encoding", "upgrade",
    }
)  # fmt: skip
_BODYLESS = frozenset({204, 304})
_NO_CONTENT = 204


class FileWrapper:
    """``wsgi.file_wrapper``: an iterable over the blocks of a file."""

    from_any_thread = True
    """Whether another thread may go on with the iteration. An app's own iterator may hold what
    belongs to one thread, such as a connection to a database."""

    def __init__(self, file: IO[bytes], block: int = BLOCK) -> None:
        self._file = file
        self._block = max(block, BLOCK)
        if hasattr(file, "close"):
            self.close: Callable[[], None] = file.close

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        data = self._file.read(self._block)
        if not data:
            raise StopIteration
        return data


class _Date:
    """The value of the Date header, composed once a second."""

    second = 0
    text = ""

    @classmethod
    def now(cls) -> str:
        second = int(time.time())
        if second != cls.second:
            cls.text = formatdate(second, usegmt=True)
            cls.second = second
        return cls.text


class Exchange:
    """One request and its response.

    Attributes:
        close: whether the connection ends with this response.
        cut: whether the response broke off and only a reset connection shows that to the client.
        waits: whether the socket has no room for more of the response, and ``resume`` goes on
            with it when there is some.
    """

    def __init__(self, connection: Connection, head: Head, *, close: bool) -> None:
        self._connection = connection
        self._head = head
        self._input = Input(connection, head.body, expects=head.expects)
        self.close = close or head.close
        self.cut = False
        self.waits = False
        self._result: Iterable[bytes] = ()
        self._pieces: Iterator[bytes] | None = None
        self._patient = True
        self._rest: list[Any] = []
        self._complete = False
        self._status: str | None = None
        self._headers: list[str] = []
        self._names: set[str] = set()
        self._length: int | None = None
        self._sent_head = False
        self._bodyless = False
        self._chunked = False
        self._left = 0

    def run(self, app: "WSGIApplication", environ: dict[str, Any]) -> None:
        """Call the app and send its response, or its beginning; raise ClientGone."""
        environ["wsgi.input"] = self._input
        self._guard(lambda: self._respond(app, environ))

    def resume(self) -> None:
        """Send more of a response that waits; raise ClientGone."""
        self._guard(self._go_on)

    def _guard(self, send: Callable[[], None]) -> None:
        try:
            send()
        except ClientGone:
            self.close = True
            raise
        except BaseException as error:
            self.close = self._patient = True
            if isinstance(error, BadRequest):
                status = error.status
            else:
                traceback.print_exc(file=sys.stderr)
                status = "500 Internal Server Error"
            if not self._sent_head:
                self._fail(status)
            elif not self._chunked and self._length is None:
                self.cut = True

    def _respond(self, app: "WSGIApplication", environ: dict[str, Any]) -> None:
        self._result = app(environ, self.start_response)
        self._go_on()

    def _go_on(self) -> None:
        """Send what is left of the response, or as much as there is room for."""
        self.waits = False
        try:
            if self._pieces is None:
                self._pieces = self._begin()
            rest, self._rest = self._rest, []
            for data in rest:
                self._send(data)
            self._send_pieces(self._pieces)
            self.waits = bool(self._rest)
        finally:
            if not self.waits:
                close = getattr(self._result, "close", None)
                if close is not None:
                    close()

    def _begin(self) -> Iterator[bytes]:
        """Begin the iteration; a response that is whole is one piece."""
        result = self._result
        whole = type(result) in {list, tuple} and self._status and not self._sent_head
        self._patient = not (whole or getattr(result, "from_any_thread", False))
        return iter([self._join(result)] if whole else result)

    def _send_pieces(self, pieces: Iterator[bytes]) -> None:
        if self._rest or self._complete:
            return
        for data in pieces:
            if data:
                self.write(data)
            if self._rest:
                return
            if self._bodyless or (self._status is not None and self._head.method == "HEAD"):
                break
        self._complete = True
        self._finish()

    def _send(self, data: Any) -> None:
        """Send data; of a response that need not keep its thread, what there is room for."""
        if self._patient:
            self._connection.send(data)
        elif self._rest or (data := self._connection.offer(data)):
            self._rest.append(data)

    def start_response(
        self,
        status: str,
        headers: list[tuple[str, str]],
        exc_info: ExcInfo | tuple[None, None, None] | None = None,
        /,
    ) -> Callable[[bytes], None]:
        """Take the status and headers, which are sent with the first bytes of the body.

        Raises:
            ValueError: the status or a header is invalid.
            RuntimeError: it was called before, and there is no ``exc_info``.
            BaseException: that of ``exc_info``, if the headers were sent before.
        """
        if exc_info is not None and exc_info[1] is not None:
            try:
                if self._sent_head:
                    raise exc_info[1].with_traceback(exc_info[2])
            finally:
                exc_info = None
        elif self._status is not None:
            raise RuntimeError("start_response was called before, and there is no exc_info")
        if not _STATUS.fullmatch(status):
            raise ValueError(f"invalid status: {status!r}")
        lines: list[str] = []
        names: set[str] = set()
        length: int | None = None
        for name, value in headers:
            if not (_NAME.fullmatch(name) and _VALUE.fullmatch(value)):
                raise ValueError(f"invalid response header: {name!r}")
            lower = name.lower()
            if lower in _HOP_BY_HOP:
                self.close |= lower == "connection" and "close" in value.lower()
                continue
            if lower == "content-length":
                if length is not None or not (value.isascii() and value.isdigit()):
                    raise ValueError(f"invalid Content-Length: {value!r}")
                length = int(value)
                continue
            names.add(lower)
            lines.append(f"{name}: {value}\r\n")
        # The space before the reason is sent even if there is no reason (RFC 9112, section 4).
        self._status = status if " " in status else f"{status} "
        self._headers, self._names, self._length = lines, names, length
        return self.write

    def write(self, data: bytes) -> None:
        """Send a piece of the body at once; the callable that ``start_response`` returns."""
        if not isinstance(data, bytes):
            raise TypeError(f"a response body is bytes, not {type(data).__name__}")
        if not data:
            return
        head = b"" if self._sent_head else self._start()
        if self._bodyless:
            if head:
                self._send(head)
            return
        if self._chunked:
            data = b"%x\r\n%b\r\n" % (len(data), data)
        elif self._length is not None:
            if len(data) > self._left:
                data = data[: self._left]
                print("The response of the app exceeds its Content-Length.", file=sys.stderr)
            self._left -= len(data)
        if head and len(data) > BLOCK:
            self._send(head)
            head = b""
        if head or data:
            self._send(head + data if head else data)

    def _join(self, pieces: Iterable[bytes]) -> bytes:
        """Join the pieces of a response that is whole."""
        data = b"".join(pieces)
        if self._length is None:
            self._length = len(data)
        return data

    def _start(self) -> bytes:
        """Decide how the body ends, and return the head of the response."""
        if self._status is None:
            raise RuntimeError("the app sent a body without a call of start_response")
        code = int(self._status[:3])
        self._bodyless = self._head.method == "HEAD" or code in _BODYLESS
        if not self._head.body.done and not self._rest_has_arrived():
            self.close = True
        lines = [f"HTTP/1.1 {self._status}\r\n"]
        lines += self._headers
        if "date" not in self._names:
            lines.append(f"Date: {_Date.now()}\r\n")
        if self._length is not None:
            self._left = self._length
            if code != _NO_CONTENT:
                lines.append(f"Content-Length: {self._length}\r\n")
        elif not self._bodyless:
            if self._head.http11:
                self._chunked = True
                lines.append("Transfer-Encoding: chunked\r\n")
            else:
                self.close = True
        if self.close:
            lines.append("Connection: close\r\n")
        elif not self._head.http11:
            lines.append("Connection: keep-alive\r\n")
        lines.append("\r\n")
        self._sent_head = True
        self._input.refuse()
        return "".join(lines).encode("latin-1")

    def _rest_has_arrived(self) -> bool:
        """Tell whether the unread rest of the request body is in the buffer, to be skipped."""
        body = self._head.body
        return isinstance(body, Sized) and body.left <= len(self._connection.buffer)

    def _finish(self) -> None:
        """Send what marks the end of the body."""
        if not self._sent_head:
            if self._status is None:
                raise RuntimeError("the app did not call start_response")
            code = int(self._status[:3])
            if self._length is None and self._head.method != "HEAD" and code not in _BODYLESS:
                self._length = 0
            self._send(self._start())
        elif self._chunked:
            self._send(b"0\r\n\r\n")
        if self._left and not self._bodyless:
            print("The response of the app is shorter than its Content-Length.", file=sys.stderr)
            self.close = True

    def _fail(self, status: str) -> None:
        """Respond in place of the app."""
        text = f"{status[4:]}\n"
        self._status = None
        headers = [("Content-Type", "text/plain"), ("Content-Length", str(len(text)))]
        self.start_response(status, headers)
        self.write(text.encode())
