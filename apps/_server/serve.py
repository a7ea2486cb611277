"""The set-up of the server: settings, listening socket, app, signals."""

import atexit
import os
import resource
import signal
import socket
import sys
import threading
from importlib import import_module
from typing import TYPE_CHECKING, NoReturn

from .middleware import Middleware
from .output import Streams
from .server import Server
from .settings import Settings
from .workers import Workers

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

BACKLOG = 1024
"""Connections that the kernel accepts ahead of the server."""

EXIT_SECONDS = 3.0
"""Time for the app's own exit handlers and threads at the end."""


def load() -> "WSGIApplication":
    """Import app.py and return its ``app``."""
    app: WSGIApplication | None = getattr(import_module("app"), "app", None)
    if not callable(app):
        raise SystemExit("app.py has no `app`. Name the Flask object `app`: app = Flask(__name__)")
    return app


def listen(port: int) -> socket.socket:
    """Return a listening socket; access is limited by the container's network."""
    return socket.create_server(("0.0.0.0", port), backlog=BACKLOG)  # noqa: S104


def serve(
    app: "WSGIApplication", settings: Settings, streams: Streams, listener: socket.socket
) -> NoReturn:
    """Serve until SIGTERM, then finish the requests in flight within the grace period, and exit.

    The exit code is 1 if the grace period ended before the last request.
    """
    server = Server(
        Middleware(app, settings.app, streams.out.write, log=settings.request_log),
        listener,
        threads=settings.threads,
        head_bytes=settings.head_bytes,
        grace_seconds=settings.grace_seconds,
        multiprocess=settings.workers > 1,
        tick=streams.flush,
    )
    signal.signal(signal.SIGTERM, lambda *_: server.stop())
    signal.signal(signal.SIGINT, lambda *_: server.stop())
    print(f"Serving {settings.app} on port {settings.port}.", file=sys.stderr)
    finished = server.serve()
    if not finished:
        print("The grace period is over; requests in flight were cut off.", file=sys.stderr)
        streams.close()
        os._exit(1)
    streams.flush()
    # The app's exit handlers run now; threads of its own that do not end are not waited for.
    last = threading.Timer(EXIT_SECONDS, os._exit, (0,))
    last.daemon = True
    last.start()
    raise SystemExit(0)


def main() -> None:
    """Serve with one process, or with several that share the port."""
    streams = Streams()
    atexit.register(streams.close)
    try:
        settings = Settings.from_environment(os.environ)
    except ValueError as error:
        raise SystemExit(str(error)) from None
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if settings.workers == 1:
        app = load()
        # The server does not listen before the app can answer.
        serve(app, settings, streams, listen(settings.port))
    workers = Workers(settings.workers, listen(settings.port))
    workers.run(load, lambda app: serve(app, settings, streams, workers.listener))
