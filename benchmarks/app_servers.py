"""Compare servers for the same Flask app: throughput, waiting requests, shutdown.

Prints tables, without a pass or fail. Throughputs are ratios to a peer measured in the same round,
so that a slow or busy machine affects both. Needs ``wrk``; uses 127.0.0.1 only.

    python benchmarks/app_servers.py [--rounds 3] [--seconds 3] [--only NAME ...]
"""

import argparse
import os
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import venv
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
APPS = HERE.parent / "apps"

APP = """
import time
from flask import Flask

app = Flask(__name__)

@app.get("/")
def greeting():
    return "Salam alikom, this is App1 :) "

@app.get("/sleep/<float:seconds>")
def sleep(seconds):
    time.sleep(seconds)
    return "slept"
"""

PEER = "gunicorn gthread"
CONNECTIONS = 16
# Requests that wait while the throughput of the others is measured.
SLEEPERS = 4
HELD_SECONDS = 3.0
ANSWER_TIMEOUT = 15.0
EXIT_TIMEOUT = 45.0


@dataclass(frozen=True)
class Candidate:
    """A server: arguments after ``python`` with ``{port}`` as a placeholder, and environment."""

    name: str
    arguments: list[str]
    environment: dict[str, str] = field(default_factory=dict)


def shared_form(threads: int) -> Candidate:
    """Return the server of apps/_server with this number of threads."""
    return Candidate(
        f"apps/_server, {threads} threads",
        ["-m", "_server"],
        {"PYTHONPATH": str(APPS), "APP": "bench", "PORT": "{port}", "THREADS": str(threads)},
    )


def granian(name: str, *options: str) -> Candidate:
    """Return granian's own command with these options."""
    command = ["-m", "granian", "--interface", "wsgi", "--port", "{port}", "--no-ws"]
    return Candidate(f"granian {name}", [*command, *options, "app:app"])


def gunicorn(name: str, *options: str) -> Candidate:
    """Return gunicorn with these options."""
    return Candidate(
        f"gunicorn {name}", ["-m", "gunicorn", "--bind", "127.0.0.1:{port}", *options, "app:app"]
    )


CANDIDATES = [
    gunicorn("gthread", "--worker-class", "gthread", "--threads", "8"),
    gunicorn("sync"),
    Candidate(
        "waitress", ["-m", "waitress", "--listen", "127.0.0.1:{port}", "--threads", "8", "app:app"]
    ),
    Candidate("flask run", ["-m", "flask", "run", "--port", "{port}"]),
    granian("1 thread", "--blocking-threads", "1"),
    granian("8 threads", "--blocking-threads", "8"),
    granian("8 threads, st", "--blocking-threads", "8", "--runtime-mode", "st"),
    granian("2 workers", "--blocking-threads", "4", "--workers", "2"),
    *(shared_form(threads) for threads in (1, 2, 4, 8, 16, 32)),
]


@dataclass
class Server:
    """A running candidate."""

    process: subprocess.Popen[bytes]
    port: int

    def connect(self) -> socket.socket:
        """Open a connection."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=ANSWER_TIMEOUT)

    def _family(self) -> list[int]:
        """Return the process ids of the server and its children."""
        table = subprocess.run(
            ["ps", "-e", "-o", "pid=,ppid="], check=True, capture_output=True, text=True
        ).stdout
        parent = {int(pid): int(ppid) for pid, ppid in map(str.split, table.splitlines())}
        return [pid for pid, ppid in parent.items() if self.process.pid in (pid, ppid)]

    def memory_mib(self) -> float:
        """Return the proportional set size."""
        total = 0
        for pid in self._family():
            rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
            total += int(re.findall(r"^Pss:\s+(\d+)", rollup, re.MULTILINE)[0])
        return total / 1024

    def cpu_seconds(self) -> float:
        """Return the processor time used so far."""
        ticks = 0
        for pid in self._family():
            # Fields 14 and 15, utime and stime; the name before them may contain blanks.
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")


def free_port() -> int:
    """Return a port that is free now."""
    with closing(socket.socket()) as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


@contextmanager
def running(candidate: Candidate, python: Path, folder: Path) -> Iterator[Server]:
    """Start a candidate, wait until it answers, and stop it at the end."""
    port = free_port()
    process = subprocess.Popen(
        [str(python), *(argument.format(port=port) for argument in candidate.arguments)],
        cwd=folder,
        env={**os.environ, **{k: v.format(port=port) for k, v in candidate.environment.items()}},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    server = Server(process, port)
    try:
        deadline = time.monotonic() + ANSWER_TIMEOUT
        while True:
            try:
                with closing(server.connect()) as sock:
                    ask(sock, "/")
                    break
            except OSError as error:
                if time.monotonic() > deadline or process.poll() is not None:
                    raise RuntimeError(f"{candidate.name} does not answer: {error}") from error
                time.sleep(0.02)
        yield server
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(EXIT_TIMEOUT)


def send(sock: socket.socket, path: str) -> None:
    """Send a request and leave the connection open."""
    sock.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())


def receive(sock: socket.socket) -> tuple[bool, bytes]:
    """Return whether the connection stays open, and the body; raises ConnectionError."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += _more(sock)
    head, body = data.split(b"\r\n\r\n", 1)
    lower = head.lower()
    length = int(re.findall(rb"content-length: *(\d+)", lower)[0])
    while len(body) < length:
        body += _more(sock)
    stays = b"connection: close" not in lower and not lower.startswith(b"http/1.0")
    return stays, body


def _more(sock: socket.socket) -> bytes:
    data = sock.recv(65536)
    if not data:
        raise ConnectionError("closed in the middle of a request")
    return data


def ask(sock: socket.socket, path: str) -> tuple[bool, bytes]:
    """Send a request and return what ``receive`` does."""
    send(sock, path)
    return receive(sock)


@dataclass(frozen=True)
class Load:
    """Result of wrk: requests per second, the 99th percentile in ms, failed requests.

    ``cpu_us`` is the processor time of the server per request, which depends least on the load of
    the machine.
    """

    rate: float
    cpu_us: float
    p99_ms: float
    failed: int


def load(server: Server, seconds: int) -> Load:
    """Drive ``GET /`` over keep-alive connections."""
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--latency", "--timeout", "10s"]
    before = server.cpu_seconds()
    text = subprocess.run(
        [*command, f"http://127.0.0.1:{server.port}/"],
        check=True,
        capture_output=True,
        text=True,
        timeout=seconds + 30,
    ).stdout
    value, unit = re.findall(r"99%\s+([\d.]+)(us|ms|s)", text)[0]
    failed = sum(map(int, re.findall(r"(?:connect|read|write|timeout) (\d+)", text)))
    failed += sum(map(int, re.findall(r"Non-2xx or 3xx responses: (\d+)", text)))
    requests = int(re.findall(r"(\d+) requests in", text)[0])
    return Load(
        cpu_us=(server.cpu_seconds() - before) / max(requests, 1) * 1e6,
        rate=float(re.findall(r"Requests/sec:\s+([\d.]+)", text)[0]),
        p99_ms=float(value) * {"us": 0.001, "ms": 1, "s": 1000}[unit],
        failed=failed,
    )


@contextmanager
def sleepers(server: Server) -> Iterator[None]:
    """Keep a few requests waiting inside the app."""
    stop = threading.Event()

    def wait_repeatedly() -> None:
        while not stop.is_set():
            try:
                with closing(server.connect()) as sock:
                    ask(sock, "/sleep/0.5")
            except OSError:
                stop.wait(0.05)

    threads = [threading.Thread(target=wait_repeatedly) for _ in range(SLEEPERS)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


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


def report(
    candidates: list[Candidate], python: Path, folder: Path, options: argparse.Namespace
) -> None:
    """Measure the candidates round by round, the peer first in each, and print the tables."""
    plain: dict[str, list[Load]] = {candidate.name: [] for candidate in candidates}
    waiting: dict[str, list[Load]] = {candidate.name: [] for candidate in candidates}
    memory: dict[str, float] = {}
    for number in range(options.rounds):
        for candidate in candidates:
            print(f"\rround {number + 1}: {candidate.name:<30}", end="", file=sys.stderr)
            with running(candidate, python, folder) as server:
                load(server, 1)
                plain[candidate.name].append(load(server, options.seconds))
                memory[candidate.name] = server.memory_mib()
                with sleepers(server):
                    waiting[candidate.name].append(load(server, options.seconds))
    print(file=sys.stderr)

    def ratio(of: dict[str, list[Load]], name: str) -> str:
        pairs = zip(of[name], of[PEER], strict=True)
        return f"{statistics.median(one.rate / peer.rate for one, peer in pairs):8.2f}"

    def p99(loads: list[Load]) -> str:
        return f"{statistics.median(one.p99_ms for one in loads):8.1f}"

    print(
        f"{os.cpu_count()} cores, wrk with {CONNECTIONS} connections. Throughput as a ratio to\n"
        f"'{PEER}' of the same round, median of {options.rounds}; 'waiting': while\n"
        f"{SLEEPERS} requests sleep in the app. 'cpu us' is the server's time for one GET /,\n"
        "'MiB' its proportional set size after the load.\n"
    )
    titles = ("GET /", "p99 ms", "waiting", "p99 ms", "cpu us")
    print(" " * 24 + "".join(f"{title:>8}" for title in titles) + "   MiB  failed")
    for candidate in candidates:
        name = candidate.name
        cpu = statistics.median(one.cpu_us for one in plain[name])
        failed = sum(one.failed for one in plain[name] + waiting[name])
        print(
            f"{name:<24}{ratio(plain, name)}{p99(plain[name])}{ratio(waiting, name)}"
            f"{p99(waiting[name])}{cpu:8.0f}{memory[name]:6.0f}{failed:8}"
        )
    rate = statistics.median(one.rate for one in plain[PEER])
    print(f"\n(The peer's own median: {rate:.0f} requests/s.)\n")

    print(
        f"SIGTERM with a {HELD_SECONDS:.0f}-second request in flight and 4 busy keep-alive clients;"
    )
    print("'lost' are requests without an answer. 'idle exit' is the time to exit with 8 idle")
    print("keep-alive connections and nothing in flight.\n")
    print(f"{'':<24}{'in flight':>20}{'lost':>6}{'answered':>10}{'exit':>6}{'idle exit s':>13}")
    for candidate in candidates:
        seen = shut_down(candidate, python, folder)
        print(
            f"{candidate.name:<24}{seen.in_flight:>20}{seen.unanswered:>6}{seen.answered:>10}"
            f"{seen.exit_code:>6}{seen.idle_exit_seconds:13.2f}"
        )


def main() -> None:
    """Build the environment in a temporary folder and report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=3, help="of each load")
    parser.add_argument("--only", nargs="*", help=f"candidates beside {PEER!r}")
    options = parser.parse_args()
    candidates = [
        candidate
        for candidate in CANDIDATES
        if not options.only or candidate.name in (PEER, *options.only)
    ]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "app.py").write_text(APP)
        venv.create(folder / "venv", with_pip=True)
        python = folder / "venv" / "bin" / "python"
        requirements = HERE / "app_servers.txt"
        subprocess.run(
            [str(python), "-m", "pip", "install", "--quiet", "--requirement", str(requirements)],
            check=True,
            timeout=600,
        )
        report(candidates, python, folder, options)


if __name__ == "__main__":
    main()
