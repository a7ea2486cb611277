"""Shutdown of an app's server: what a SIGTERM does to its clients."""

import signal
import socket
import subprocess
import threading
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from benchmarks.candidates import ANSWER_TIMEOUT, EXIT_TIMEOUT, Candidate, ask, running

HELD_SECONDS = 3.0
"""Time that the request in flight sleeps."""


@dataclass
class Shutdown:
    """Effect of a SIGTERM on clients."""

    in_flight: str = "cut"
    unanswered: int = 0
    answered: int = 0
    exit_code: int = 0
    idle_exit_seconds: float = 0.0


def shut_down(candidate: Candidate, python: Path, folder: Path) -> Shutdown:
    """Send SIGTERM with a request in flight and busy keep-alive clients, then with idle ones."""
    seen = Shutdown()
    lock = threading.Lock()
    with running(candidate, python, folder) as server:

        def hold() -> None:
            try:
                with closing(server.connect()) as sock:
                    seen.in_flight = ask(sock, f"/sleep/{HELD_SECONDS}")[1].decode()
            except OSError as error:
                seen.in_flight = type(error).__name__

        def talk() -> None:
            """Send requests on one connection until the server closes it; count lost responses."""
            with closing(server.connect()) as sock:
                asked = False
                try:
                    stays = True
                    while stays:
                        time.sleep(0.002)
                        if _closed(sock):
                            return
                        asked = True
                        stays, _ = ask(sock, "/")
                        asked = False
                        with lock:
                            seen.answered += 1
                except OSError:
                    with lock:
                        seen.unanswered += asked

        threads = [threading.Thread(target=hold), *(threading.Thread(target=talk) for _ in "1234")]
        for thread in threads:
            thread.start()
        time.sleep(0.5)
        server.process.terminate()
        for thread in threads:
            thread.join(EXIT_TIMEOUT)
        seen.exit_code = _exit_code(server.process)
    with running(candidate, python, folder) as server:
        idle = [server.connect() for _ in range(8)]
        for sock in idle:
            ask(sock, "/")
        started = time.monotonic()
        server.process.terminate()
        _exit_code(server.process)
        seen.idle_exit_seconds = time.monotonic() - started
        for sock in idle:
            sock.close()
    return seen


def _closed(sock: socket.socket) -> bool:
    sock.setblocking(False)
    try:
        return sock.recv(1, socket.MSG_PEEK) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True
    finally:
        sock.settimeout(ANSWER_TIMEOUT)


def _exit_code(process: subprocess.Popen[bytes]) -> int:
    try:
        return process.wait(EXIT_TIMEOUT)
    except subprocess.TimeoutExpired:
        return -signal.SIGKILL
