"""Configuration and start of the server."""

import logging
import mmap
import multiprocessing
import os
import signal
import threading
from importlib import import_module
from typing import TYPE_CHECKING, Any

from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.server import MPServer

from .middleware import Middleware
from .settings import Settings

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

# Longer than the proxy keeps an idle connection (nginx: 60 s). The client must be the side that
# closes it; otherwise a request may arrive at a connection that is being closed.
KEEP_ALIVE_SECONDS = 120

# Time with "Connection: close" in every response before the server stops listening. Clients that
# send one request after another close their connections in this time; closing a connection without
# notice may lose a request that is on its way.
NOTICE_SECONDS = 0.5


class _Server(MPServer):
    """A server that gives notice before it shuts down."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # One byte of memory shared with the worker, which is forked later.
        self.notice = mmap.mmap(-1, 1)

    def signal_handler_interrupt(self, *args: Any, **kwargs: Any) -> None:
        """Give notice, then shut down; at a second signal shut down at once."""
        if self.notice[0] or not self.wrks:
            super().signal_handler_interrupt()  # type: ignore[no-untyped-call]
            return
        self.notice[0] = 1
        timer = threading.Timer(NOTICE_SECONDS, super().signal_handler_interrupt)
        timer.daemon = True
        timer.start()


class _Expected(logging.Filter):
    """Drops the server's warning about more threads than cores: most threads wait."""

    def filter(self, record: logging.LogRecord) -> bool:
        return not record.getMessage().startswith("Configuration allows spawning")


# Standard output is only for the request log.
LOGGING: dict[str, Any] = {
    "filters": {"expected": {"()": _Expected}},
    "handlers": {
        "console": {
            "class": "logging.StreamHandler",
            "stream": "ext://sys.stderr",
            "formatter": "generic",
            "filters": ["expected"],
        },
        "access": {"class": "logging.NullHandler"},
    },
}


def load(name: str, notice: mmap.mmap) -> Middleware:
    """Import app.py and wrap its ``app``. Runs in the worker, where the app may start threads."""
    app: WSGIApplication | None = getattr(import_module("app"), "app", None)
    if not callable(app):
        raise SystemExit("app.py has no `app`. Name the Flask object `app`: app = Flask(__name__)")
    return Middleware(app, name, closing=lambda: notice[0] != 0)


def _end_workers_at_early_sigterm() -> None:
    """Make a worker end at a SIGTERM that comes before the server has installed its handler.

    A forked worker inherits its parent's handler, which has no effect there: the signal would be
    lost, and the parent would wait for the worker until the grace period ends.
    """
    blocked = {signal.SIGTERM}

    def in_child() -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, blocked)

    os.register_at_fork(
        before=lambda: signal.pthread_sigmask(signal.SIG_BLOCK, blocked),
        after_in_parent=lambda: signal.pthread_sigmask(signal.SIG_UNBLOCK, blocked),
        after_in_child=in_child,
    )


def main() -> None:
    """Serve until SIGTERM, then finish the requests in flight within the grace period."""
    try:
        settings = Settings.from_environment(os.environ)
    except ValueError as error:
        raise SystemExit(str(error)) from None
    # The server's parent process has one thread here, so a fork is safe. It takes two thirds of the
    # memory and half the start time of a second interpreter.
    multiprocessing.set_start_method("fork")
    _end_workers_at_early_sigterm()
    server = _Server(
        "app:app",
        address="0.0.0.0",  # noqa: S104  access is limited by the container's network
        port=settings.port,
        interface=Interfaces.WSGI,
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(header_read_timeout=KEEP_ALIVE_SECONDS * 1000),
        websockets=False,
        blocking_threads=settings.threads,
        workers_kill_timeout=settings.grace_seconds,
        log_level=LogLevels.info,
        log_dictconfig=LOGGING,
    )
    server.serve(target_loader=lambda: load(settings.app, server.notice), wrap_loader=False)
