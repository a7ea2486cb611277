"""The app: its WSGI environment, and the answer to one request."""

import sys
import traceback
from typing import TYPE_CHECKING, Any

from .connection import ClientGone, Connection
from .exchange import Exchange, FileWrapper
from .message import BadRequest, Head

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication


class Application:
    """A WSGI app that answers the requests of connections.

    Args:
        app: the WSGI app.
        multithread: whether several requests are answered at once.
        multiprocess: whether other processes serve the same app.
    """

    def __init__(self, app: "WSGIApplication", *, multithread: bool, multiprocess: bool) -> None:
        self._app = app
        self._environ: dict[str, Any] = {
            "SCRIPT_NAME": "",
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": multithread,
            "wsgi.multiprocess": multiprocess,
            "wsgi.run_once": False,
            "wsgi.input_terminated": True,
            "wsgi.file_wrapper": FileWrapper,
        }

    def answer(self, connection: Connection, *, close: bool) -> bool | None:
        """Answer the request of a connection, or go on with a response that has waited for room.

        Runs in a thread of a pool, any number of times at once. Returns whether that was the last
        request of the connection; None if the response waits for room, as its ``exchange``.

        Args:
            connection: one whose head has been read.
            close: whether the response closes the connection.
        """
        head = connection.head
        assert head is not None  # noqa: S101 - the server waits for it
        begun, connection.exchange = connection.exchange, None
        exchange = begun or Exchange(connection, head, close=close)
        try:
            if begun:
                exchange.resume()
            else:
                exchange.run(self._app, self._environ_of(connection, head))
            if exchange.waits:
                connection.exchange = exchange
                return None
            if not exchange.close and not head.body.done:
                # The app did not read the body, which is in the buffer.
                head.body.take(connection.buffer)
                exchange.close = not head.body.done
        except (ClientGone, BadRequest):
            exchange.close = True
        except BaseException:
            traceback.print_exc()
            exchange.close = exchange.cut = True
        connection.head = None
        connection.scanned = 0
        connection.reset = exchange.cut
        connection.ending = exchange.close
        return exchange.close

    def _environ_of(self, connection: Connection, head: Head) -> dict[str, Any]:
        environ = {**self._environ, **head.environ}
        environ["SERVER_NAME"] = connection.local[0]
        environ["SERVER_PORT"] = str(connection.local[1])
        environ["REMOTE_ADDR"] = connection.address[0]
        environ["REMOTE_PORT"] = str(connection.address[1])
        return environ
