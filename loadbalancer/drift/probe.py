"""Published addresses, asked as a client would ask them. Reads only, changes nothing."""

import http.client
import socket
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from loadbalancer import engine
from loadbalancer.config.host_ports import ANY_IPV4, ANY_IPV6, is_loopback
from loadbalancer.engine import Client
from loadbalancer.state.deployment import DesiredContainer

TIMEOUT = 5.0
"""Seconds that an address may take to accept a connection, and as many to answer."""

TUNNEL = "tunnel"
"""Stands for a machine whose address is not known, so that its ports cannot be asked."""

_MOST_AT_ONCE = 16
_NO_SERVER = frozenset({502, 503, 504})
"""Statuses of a proxy that finds no server; others are an app's own."""
_OUTSIDE = {ANY_IPV4: "192.0.2.1", ANY_IPV6: "2001:db8::1"}
"""Addresses for documentation, to which nothing is sent; the route to them tells our own one."""


@dataclass(frozen=True, order=True)
class Published:
    """An address at which a client reaches a container, which is known by its ID."""

    host: str
    port: int
    container: str

    @property
    def url(self) -> str:
        """The address as a client writes it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"


@dataclass(frozen=True)
class Answer:
    """What a client got: the status of an answer, or the problem.

    `dead` means that no program takes requests there; one that is only busy is not dead.
    """

    status: int | None = None
    problem: str = ""
    dead: bool = False


_CLOSED = Answer(problem="closes connections without an answer", dead=True)
_PROXY_HEADER = b"PROXY UNKNOWN\r\n"
"""Says that the connection is of the proxy itself, here of this program."""


def engine_host(client: Client) -> str | None:
    """Name the machine on which an engine publishes ports; None where it is this one.

    A loopback address may lead through a tunnel to another machine, whose ports are not here.
    """
    host = engine.remote_host()
    if host is None or not is_loopback(host):
        return host
    return None if client.info().get("Name") == socket.gethostname() else TUNNEL


def addresses(
    containers: Iterable[DesiredContainer], remote_host: str | None = None
) -> Iterator[Published]:
    """List the addresses that containers publish and that can be reached from here.

    Args:
        containers: the containers as desired.
        remote_host: the engine's machine; None where it is this one.
    """
    for one in containers:
        for port in sorted(one.ports):
            if port.protocol == "tcp":
                for host in _hosts(port.ip, remote_host):
                    yield Published(host, port.external, one.id)


def _hosts(ip: str, remote_host: str | None) -> list[str]:
    """Name the hosts by which clients reach a port that is published on an address."""
    if remote_host == TUNNEL:
        return []
    unspecified = ip or ANY_IPV4
    if remote_host is not None:
        if unspecified in _OUTSIDE:
            return [remote_host]
        return [] if is_loopback(ip) else [ip]
    if unspecified not in _OUTSIDE:
        return [ip]
    # As seen by this machine, and as by others: Docker leads the two along different ways.
    outside = _own_address(unspecified)
    return ["::1" if unspecified == ANY_IPV6 else "127.0.0.1", *([outside] if outside else [])]


def _own_address(unspecified: str) -> str | None:
    """Find the address by which this machine reaches others; None where it has none."""
    family = socket.AF_INET6 if unspecified == ANY_IPV6 else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((_OUTSIDE[unspecified], 9))
            found = str(probe.getsockname()[0])
    except OSError:
        return None
    return None if is_loopback(found) else found


def ask_all(targets: Iterable[Published], timeout: float = TIMEOUT) -> Mapping[Published, Answer]:
    """Ask all addresses at the same time; seconds as of `TIMEOUT`."""
    every = sorted(set(targets))
    if not every:
        return {}
    with ThreadPoolExecutor(min(len(every), _MOST_AT_ONCE)) as pool:
        answers = pool.map(lambda one: ask(one.host, one.port, timeout), every)
        return dict(zip(every, answers, strict=True))


def ask(host: str, port: int, timeout: float = TIMEOUT) -> Answer:
    """Send one request for `/`, whatever proxies the environment names.

    A port that expects the PROXY protocol closes a connection without it, and is asked with it.
    """
    answer = _ask(host, port, timeout)
    if answer == _CLOSED:
        return _ask(host, port, timeout, _PROXY_HEADER)
    return answer


def _ask(host: str, port: int, timeout: float, preamble: bytes = b"") -> Answer:
    connection = http.client.HTTPConnection(host, port, timeout=timeout)
    try:
        try:
            connection.connect()
            connection.sock.sendall(preamble)
        except ConnectionRefusedError:
            return Answer(problem="refuses connections", dead=True)
        except TimeoutError:
            return Answer(problem=f"accepts no connection within {timeout:g} s", dead=True)
        except OSError as error:
            return Answer(problem=f"cannot be reached: {error.strerror or error}")
        connection.request("GET", "/", headers={"User-Agent": "lb status", "Connection": "close"})
        status = connection.getresponse().status
    except TimeoutError:
        return Answer(problem=f"no answer within {timeout:g} s")
    except (OSError, http.client.HTTPException):
        return _CLOSED
    finally:
        connection.close()
    return Answer(status, f"answers {status}" if status in _NO_SERVER else "")
