"""HTTP/1.1 requests as bytes: heads and bodies, parsed strictly (RFC 9110, RFC 9112).

A request that two parsers could read differently is refused, never repaired: such differences are
how requests are smuggled past a proxy.
"""

import re
from urllib.parse import unquote_to_bytes

_NAME = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_REQUEST_LINE = re.compile(rf"({_NAME}) ([!-~\x80-\xff]+) HTTP/1\.([01])\r\n")
_OTHER_VERSION = re.compile(rf"{_NAME} [!-~\x80-\xff]+ HTTP/[0-9]\.[0-9]\r\n")
_FIELDS = re.compile(rf"(?:{_NAME}:[^\x00-\x08\x0a-\x1f\x7f]*\r\n)*")
_FIELD = re.compile(rf"{_NAME}:[^\x00-\x08\x0a-\x1f\x7f]*".encode("latin-1"))
_HOST = re.compile(r"[A-Za-z0-9.\-_~!$&'()*+,;=%:\[\]]*")
_ABSOLUTE = re.compile(r"https?://([^/?#]*)([^#]*)", re.IGNORECASE)
_LENGTH = re.compile(r"[0-9]{1,18}")
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[\t\x20-\x7e\x80-\xff]*)?")

_LINE_END = b"\r\n"
_LONGEST_CHUNK_LINE = 4096
_LONGEST_TRAILERS = 16384

_ONCE = frozenset({"HTTP_HOST", "CONTENT_LENGTH", "CONTENT_TYPE", "HTTP_TRANSFER_ENCODING"})
_MOST_KEYS = 1024
_keys: dict[str, str] = {}


class BadRequest(Exception):
    """A request that is refused; ``status`` is that of the response, such as 400 Bad Request."""

    def __init__(self, status: str = "400 Bad Request") -> None:
        super().__init__(status)
        self.status = status


class Sized:
    """A request body of a known length; ``left`` is the number of bytes to come."""

    __slots__ = ("left",)

    def __init__(self, length: int) -> None:
        self.left = length

    @property
    def done(self) -> bool:
        """Whether the whole body was taken."""
        return not self.left

    def take(self, buffer: bytearray) -> bytes:
        """Remove from the buffer what belongs to the body, and return the content in it."""
        data = bytes(memoryview(buffer)[: self.left])
        del buffer[: len(data)]
        self.left -= len(data)
        return data


class Chunked:
    """A request body in chunks; chunk extensions and trailers are dropped."""

    __slots__ = ("_left", "_state", "_trailers", "done")

    def __init__(self) -> None:
        self.done = False
        self._state = "size"
        self._left = 0
        self._trailers = 0

    def take(self, buffer: bytearray) -> bytes:
        """Remove from the buffer what belongs to the body, and return the content in it."""
        content = bytearray()
        while not self.done:
            if self._state == "data":
                data = memoryview(buffer)[: self._left]
                content += data
                count = len(data)
                data.release()
                del buffer[:count]
                self._left -= count
                if self._left:
                    break
                self._state = "end"
            elif self._state == "end":
                if not buffer.startswith(_LINE_END[: len(buffer)]):
                    raise BadRequest
                if len(buffer) < len(_LINE_END):
                    break
                del buffer[: len(_LINE_END)]
                self._state = "size"
            elif not self._line(buffer):
                break
        return bytes(content)

    def _line(self, buffer: bytearray) -> bool:
        end = buffer.find(b"\n", 0, _LONGEST_CHUNK_LINE)
        if end < 0:
            if len(buffer) >= _LONGEST_CHUNK_LINE:
                raise BadRequest
            return False
        line = bytes(buffer[: end + 1])
        del buffer[: end + 1]
        if not line.endswith(b"\r\n"):
            raise BadRequest
        line = line[:-2]
        if self._state == "size":
            match = _CHUNK_SIZE.fullmatch(line)
            if match is None:
                raise BadRequest
            self._left = int(match[1], 16)
            self._state = "data" if self._left else "trailers"
            return True
        if not line:
            self.done = True
            return True
        self._trailers += len(line)
        if self._trailers > _LONGEST_TRAILERS or not _FIELD.fullmatch(line):
            raise BadRequest
        return True


class Head:
    """The head of a request: its line and headers.

    Attributes:
        method: the request method.
        http11: whether the version is HTTP/1.1, not 1.0.
        environ: the WSGI variables of the request; a character of a value is a byte (Latin-1).
        body: the body that follows.
        expects: whether the client waits for "100 Continue" before it sends the body.
        close: whether the client wants the connection to end after the response.
    """

    __slots__ = ("body", "close", "environ", "expects", "http11", "method")

    def __init__(self, data: bytes) -> None:
        """Parse a head that ends with its empty line; raise BadRequest."""
        text = data.decode("latin-1")
        line = _REQUEST_LINE.match(text)
        if line is None:
            other = _OTHER_VERSION.match(text)
            raise BadRequest("505 HTTP Version Not Supported" if other else "400 Bad Request")
        self.method, target, minor = line.groups()
        self.http11 = minor == "1"
        if not _FIELDS.fullmatch(text, line.end(), len(text) - 2):
            raise BadRequest
        fields: dict[str, str] = {}
        for field in text[line.end() : -4].split("\r\n") if len(text) > line.end() + 2 else ():
            name, _, value = field.partition(":")
            key = _keys.get(name)
            if key is None:
                key = _key(name)
            value = value.strip(" \t")
            if key not in fields:
                fields[key] = value
            elif key in _ONCE:
                raise BadRequest
            else:
                fields[key] += ("; " if key == "HTTP_COOKIE" else ", ") + value
        # X_User and X-User are one variable in WSGI: a header must not be taken for another.
        fields.pop("", None)
        self.environ = fields
        self._read_target(target)
        self._read_framing()

    def _read_target(self, target: str) -> None:
        fields = self.environ
        raw = target
        if target[0] != "/":
            absolute = _ABSOLUTE.fullmatch(target)
            if absolute is not None and absolute[1]:
                if "HTTP_HOST" in fields:
                    fields["HTTP_HOST"] = absolute[1]
                target = absolute[2]
                if not target.startswith("/"):
                    target = "/" + target
            elif target != "*" or self.method != "OPTIONS":
                raise BadRequest
        host = fields.get("HTTP_HOST")
        if host is None:
            if self.http11:
                raise BadRequest
        elif not _HOST.fullmatch(host):
            raise BadRequest
        path, _, query = target.partition("?")
        if "%" in path:
            path = unquote_to_bytes(path.encode("latin-1")).decode("latin-1")
        fields["REQUEST_METHOD"] = self.method
        fields["REQUEST_URI"] = fields["RAW_URI"] = raw
        fields["PATH_INFO"] = path
        fields["QUERY_STRING"] = query
        fields["SERVER_PROTOCOL"] = "HTTP/1.1" if self.http11 else "HTTP/1.0"

    def _read_framing(self) -> None:
        fields = self.environ
        coding, length = fields.get("HTTP_TRANSFER_ENCODING"), fields.get("CONTENT_LENGTH")
        self.body: Sized | Chunked
        if coding is not None:
            if length is not None or not self.http11:
                raise BadRequest
            if coding.lower() != "chunked":
                raise BadRequest("501 Not Implemented")
            self.body = Chunked()
        elif length is not None:
            if not _LENGTH.fullmatch(length):
                raise BadRequest
            self.body = Sized(int(length))
        else:
            self.body = Sized(0)
        self.expects = False
        if "HTTP_EXPECT" in fields and self.http11:
            if fields["HTTP_EXPECT"].lower() != "100-continue":
                raise BadRequest("417 Expectation Failed")
            self.expects = not self.body.done
        connection = fields.get("HTTP_CONNECTION")
        if connection is None:
            self.close = not self.http11
        else:
            options = {option.strip() for option in connection.lower().split(",")}
            self.close = "close" in options or not (self.http11 or "keep-alive" in options)


def _key(name: str) -> str:
    """Return the WSGI variable of a header; empty if it has an underscore: it is dropped."""
    key = name.upper().replace("-", "_")
    if "_" in name:
        key = ""
    elif key not in {"CONTENT_LENGTH", "CONTENT_TYPE"}:
        key = "HTTP_" + key
    if len(_keys) < _MOST_KEYS:
        _keys[name] = key
    return key
