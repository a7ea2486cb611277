"""A relay: the local engine under a TCP address, as an engine on another machine has one."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_SOCKET = "/var/run/docker.sock"


@contextmanager
def relay(host: str) -> Iterator[str]:
    """Listen on an address of this machine; returns it in the form of DOCKER_HOST."""
    listener = socket.create_server((host, 0))
    accepting = threading.Thread(target=_accept, args=(listener,), daemon=True)
    accepting.start()
    try:
        yield f"tcp://{host}:{listener.getsockname()[1]}"
    finally:
        listener.close()


def _accept(listener: socket.socket) -> None:
    with suppress(OSError):  # closed
        while True:
            client, _ = listener.accept()
            engine = socket.socket(socket.AF_UNIX)
            engine.connect(_SOCKET)
            for ways in ((client, engine), (engine, client)):
                threading.Thread(target=_copy, args=ways, daemon=True).start()


def _copy(source: socket.socket, target: socket.socket) -> None:
    """Copy bytes one way until the source ends, however it does; then end the target's too."""
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)
