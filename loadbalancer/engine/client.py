"""The client of the Docker engine, and the types and errors of Docker's SDK that others need."""

from typing import Any

from docker import APIClient
from docker import DockerClient as Client
from docker.constants import DEFAULT_TIMEOUT_SECONDS
from docker.errors import APIError, DockerException, ImageNotFound, NotFound
from docker.models.containers import Container as Handle
from docker.tls import TLSConfig
from requests import RequestException, Response

from loadbalancer.engine import address
from loadbalancer.engine.address import Address, AddressError, Tls

EngineError = DockerException
"""No engine answers, or it refuses a request."""

ENGINE_ERRORS = (DockerException, RequestException, AddressError)
"""What any call to the engine may raise: the SDK lets the errors of its HTTP client through."""

__all__ = [
    "ENGINE_ERRORS",
    "APIError",
    "Client",
    "EngineError",
    "Handle",
    "ImageNotFound",
    "NotFound",
    "connect",
    "location",
    "remote_host",
]


class _EngineClient(Client):
    """A client of the SDK for one engine, with Docker's rule for proxies."""

    def __init__(self, engine: Address, timeout: float) -> None:
        self.api = _API(engine, timeout)


class _API(APIClient):
    """Asks an engine through the proxy that Docker uses, if any.

    The SDK would take what Python's requests finds: proxies that Docker does not use, for an
    engine on this machine as well, and passwords of ~/.netrc.
    """

    def __init__(self, engine: Address, timeout: float) -> None:
        proxy = engine.proxy()
        self._proxies = {"http": proxy, "https": proxy} if proxy else {}
        super().__init__(
            engine.host,
            tls=_tls(engine.tls) if engine.tls else False,
            timeout=timeout,  # type: ignore[arg-type]  # requests takes fractions of a second
            use_ssh_client=engine.host.startswith("ssh://"),
        )

    def request(self, *arguments: Any, **options: Any) -> Response:
        """Send a request, without what the environment has for other servers."""
        self.trust_env = False
        self.proxies = self._proxies
        return super().request(*arguments, **options)


def _tls(tls: Tls) -> TLSConfig:
    cert, key, ca = (tls.file(name) for name in ("cert.pem", "key.pem", "ca.pem"))
    return TLSConfig(
        client_cert=(str(cert), str(key)) if cert and key else None,
        ca_cert=str(ca) if ca and tls.verify else None,
        verify=tls.verify,
    )


def connect(timeout: float = DEFAULT_TIMEOUT_SECONDS) -> Client:
    """Connect to the engine that `docker ps` uses.

    Args:
        timeout: the longest silence of the engine, in seconds.

    Raises:
        AddressError: when the environment names none that exists.
        EngineError: when it does not answer.
    """
    return _EngineClient(address.resolve(), timeout)


def remote_host() -> str | None:
    """Name the machine that the engine is on; None where it is this one."""
    try:
        return address.resolve().remote_host
    except AddressError:
        return None


def location() -> str:
    """Describe where the engine is, to follow "the Docker engine" in a message."""
    try:
        found = address.resolve()
    except AddressError:
        return "of this shell"
    return f"at {found}" if found.source else "on this machine"
