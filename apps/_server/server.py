"""The server: one thread watches all connections, others answer the requests that are complete.

The watching thread reads heads and small bodies, so that a client that sends slowly takes no other
thread. A response that is in memory or a file takes none while the client does not read. It is the
watching thread alone that accepts and closes connections.
"""

import os
import select
import socket
import sys
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from .application import Application
from .connection import SMALL_BODY, Connection
from .message import BadRequest
from .middleware import PROBE_PATH
from .threads import Pool

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

KEEP_ALIVE_SECONDS = 120
"""Longer than the proxy keeps an idle connection (nginx: 60 s). The side that sends requests must
be the one that closes it; otherwise a request may arrive at a connection that is being closed."""

LINGER_SECONDS = 5
"""Time for a client to read the last response and close its side. What it sends meanwhile is read
and dropped: a socket closed with unread data resets the connection, which may lose the response."""

NOTICE_SECONDS = 0.5
"""Time with "Connection: close" in every response before the server stops listening. Clients that
send one request after another close their connections in this time; closing a connection without
notice may lose a request that is on its way."""

MOST_PROBES = 16
"""Health probes that wait for the one before; further ones are refused: the app hangs."""

SWEEP_SECONDS = 1.0
"""Time between two checks of all deadlines."""

_EDGE = select.EPOLLIN | select.EPOLLRDHUP | select.EPOLLET
_ENDED = select.EPOLLRDHUP | select.EPOLLHUP | select.EPOLLERR
_ROOM = select.EPOLLOUT | select.EPOLLHUP | select.EPOLLERR
_ACCEPTS = 64
"""Connections that are accepted before those that are open have their turn."""


class Server:
    """Serves a WSGI app on a listening socket until it is told to stop.

    Args:
        app: the WSGI app.
        listener: the listening socket.
        threads: the number of requests that are answered at once, beside health probes.
        head_bytes: the longest head of a request.
        grace_seconds: time for requests in flight after the server has stopped listening.
        multiprocess: whether other processes serve the same app.
        tick: called every second.
    """

    def __init__(
        self,
        app: "WSGIApplication",
        listener: socket.socket,
        *,
        threads: int,
        head_bytes: int,
        grace_seconds: float,
        multiprocess: bool = False,
        tick: Callable[[], None] = lambda: None,
    ) -> None:
        self._app = Application(app, multithread=threads > 1, multiprocess=multiprocess)
        self._listener = listener
        # One at a time where others wait for connections too: the least busy process is the first.
        self._accepts = 1 if multiprocess else _ACCEPTS
        self._head_bytes = head_bytes
        self._grace_seconds = grace_seconds
        self._tick = tick
        self._pool = Pool(self._answer, threads)
        # Probes have their own thread: they ask whether the app is healthy, not whether it is busy.
        self._probes = Pool(self._answer, 1)
        self._connections: dict[int, Connection] = {}
        self._again: deque[Connection] = deque()
        self._full: deque[Connection] = deque()
        self._stop_at: float | None = None
        self._draining = False
        self._sweep_at = 0.0
        self._complained_at = 0.0
        self.closing = False
        """Whether every response closes its connection."""
        self._epoll = select.epoll()
        self._wakeup = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

    def stop(self) -> None:
        """Give notice and stop; stop without notice if called again. For a signal handler."""
        if self._draining:
            return
        self._stop_at = time.monotonic() + (0 if self.closing else NOTICE_SECONDS)
        self.closing = True
        self._wake()

    def serve(self) -> bool:
        """Serve until stopped; return whether every request in flight was finished."""
        self._listener.setblocking(False)
        self._listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._epoll.register(self._listener, select.EPOLLIN)
        self._epoll.register(self._wakeup, select.EPOLLIN)
        while self._stop_at is None or time.monotonic() < self._stop_at:
            self._turn()
        return self._drain()

    def _drain(self) -> bool:
        """Stop listening, close idle connections and finish what is in flight."""
        deadline = time.monotonic() + self._grace_seconds
        self._draining, self._stop_at = True, None
        self._epoll.unregister(self._listener)
        # Connections that the kernel has accepted already are served.
        while self._accept():
            pass
        self._listener.close()
        self._turn(longest=0)
        while True:
            for connection in list(self._connections.values()):
                if connection.idle and not connection.lingering and not connection.pending:
                    self._linger(connection)
            if all(c.lingering and not c.busy for c in self._connections.values()):
                return True
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            self._turn(longest=left)

    def _turn(self, longest: float = SWEEP_SECONDS) -> None:
        """Wait for events and handle them."""
        now = time.monotonic()
        if now >= self._sweep_at:
            self._sweep_at = now + SWEEP_SECONDS
            self._sweep(now)
            self._tick()
        if self._again:
            timeout = 0.0
        elif self._pool.hopeful or self._probes.hopeful:
            timeout = 0.002
        else:
            until = min(now + longest, self._sweep_at)
            timeout = max(
                0.0, (until if self._stop_at is None else min(until, self._stop_at)) - now
            )
        for fd, event in self._epoll.poll(timeout, 256):
            if fd == self._wakeup:
                os.eventfd_read(self._wakeup)
            elif connection := self._connections.get(fd):
                self._notice(connection, event)
            elif fd == self._listener.fileno():
                self._accept()
        for _ in range(len(self._again)):
            connection = self._again.popleft()
            if not connection.busy and connection.sock.fileno() >= 0:
                self._read(connection)
        while self._full:
            connection = self._full.popleft()
            connection.full = True
            # What has happened already is reported as well.
            self._epoll.modify(connection.sock, _EDGE | select.EPOLLOUT)
        self._pool.relieve()
        self._probes.relieve()

    def _notice(self, connection: Connection, event: int) -> None:
        """Handle what has happened to a connection."""
        if connection.full and event & _ROOM:
            connection.full = False
            self._pool.submit(connection)
        if event & _ENDED:
            connection.eof = True
        if event & (_ENDED | select.EPOLLIN):
            connection.pending = True
            if not connection.busy:
                self._read(connection)

    def _accept(self) -> bool:
        """Accept new connections, some at a time; return whether there may be more."""
        for _ in range(self._accepts):
            try:
                sock, address = self._listener.accept()
            except BlockingIOError:
                return False
            except OSError as error:
                # No file descriptors, most likely: open connections have to end first.
                now = time.monotonic()
                if now > self._complained_at + SWEEP_SECONDS:
                    self._complained_at = now
                    print(f"A connection was not accepted: {error}", file=sys.stderr)
                time.sleep(0.01)
                return False
            sock.setblocking(False)
            connection = Connection(sock, address, time.monotonic() + KEEP_ALIVE_SECONDS)
            self._connections[sock.fileno()] = connection
            self._epoll.register(sock, _EDGE)
        return True

    def _sweep(self, now: float) -> None:
        """Close connections past their deadline."""
        for connection in list(self._connections.values()):
            if not connection.busy and connection.deadline < now:
                if connection.lingering or connection.idle:
                    self._close(connection)
                else:
                    self._refuse(connection, "408 Request Timeout")

    def _close(self, connection: Connection) -> None:
        sock = connection.sock
        if sock.fileno() < 0:
            return
        if connection.reset:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        del self._connections[sock.fileno()]
        sock.close()

    def _linger(self, connection: Connection) -> None:
        """Close this side of a connection, and the rest when the client has closed its own."""
        if connection.reset:
            self._close(connection)
            return
        connection.lingering = connection.ending = True
        connection.buffer.clear()
        connection.deadline = time.monotonic() + LINGER_SECONDS
        try:
            connection.sock.shutdown(socket.SHUT_WR)
        except OSError:
            self._close(connection)
            return
        self._read(connection)

    def _read(self, connection: Connection) -> None:
        """Read what has arrived, and start the next request if it is complete."""
        connection.pending = False
        if connection.ending and not connection.lingering:
            self._linger(connection)
            return
        try:
            # The next request needs no more than this; the rest is read after it.
            connection.pending = connection.read(self._head_bytes + SMALL_BODY)
        except OSError:
            self._close(connection)
            return
        if connection.lingering:
            if connection.eof:
                self._close(connection)
                return
        else:
            try:
                self._advance(connection)
            except BadRequest as error:
                self._refuse(connection, error.status)
        if connection.pending and not connection.busy:
            self._again.append(connection)

    def _advance(self, connection: Connection) -> None:
        """Hand a complete request to a thread; raise BadRequest."""
        if not connection.parse(self._head_bytes):
            if connection.eof:
                self._linger(connection)
            return
        head = connection.head
        probe = head is not None and head.environ["PATH_INFO"] == PROBE_PATH and head.body.done
        if probe and self._probes.waiting >= MOST_PROBES:
            self._refuse(connection, "503 Service Unavailable")
            return
        connection.busy = True
        (self._probes if probe else self._pool).submit(connection)

    def _refuse(self, connection: Connection, status: str) -> None:
        """Respond to what is no valid request, and close the connection."""
        text = f"{status[4:]}\n"
        response = (
            f"HTTP/1.1 {status}\r\nContent-Type: text/plain\r\n"
            f"Content-Length: {len(text)}\r\nConnection: close\r\n\r\n{text}"
        )
        try:
            connection.sock.send(response.encode())
        except OSError:
            self._close(connection)
            return
        self._linger(connection)

    def _answer(self, connection: Connection) -> None:
        """Answer the request of a connection, or go on with it; runs in a thread of a pool."""
        last = self._app.answer(connection, close=self.closing)
        if last is None:
            self._full.append(connection)
            self._wake()
            return
        connection.deadline = time.monotonic() + KEEP_ALIVE_SECONDS
        # In this order: the watching thread sets `pending` before it looks at `busy`.
        connection.busy = False
        if last or connection.pending or connection.buffer or self.closing:
            self._again.append(connection)
            self._wake()

    def _wake(self) -> None:
        os.eventfd_write(self._wakeup, 1)
