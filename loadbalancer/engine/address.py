"""Which Docker engine: the one that `docker ps` uses, by the environment and Docker's contexts.

Docker's provider for Pulumi and its builds read only a part of that, each another one. So this is
the one rule for all, and the variables with which they follow it. Standard library only: the
toolchain uses it before anything is installed. The rule is that of Docker's CLI
(github.com/docker/cli, cli/command/cli.go).
"""

from __future__ import annotations

import hashlib
import json
import os
import shlex
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from pathlib import Path
from urllib.parse import urlsplit

IPAddress = IPv4Address | IPv6Address

LOCAL = "unix:///var/run/docker.sock"
_PORT, _TLS_PORT = 2375, 2376
_SOCKETS = ("unix", "npipe", "fd")
_DEFAULT_CONTEXT = "default"


class AddressError(RuntimeError):
    """The environment names an engine in a way that Docker, or its provider, refuses."""


@dataclass(frozen=True)
class Tls:
    """TLS of an engine: the folder with ca.pem, cert.pem and key.pem, as far as they exist."""

    folder: Path
    verify: bool = True

    def file(self, name: str) -> Path | None:
        """Return the path of a file of the folder; None where there is none."""
        path = self.folder / name
        return path if path.is_file() else None


@dataclass(frozen=True)
class Address:
    """The address of an engine, and what names it: a variable or a context; nothing by default."""

    host: str = LOCAL
    source: str = ""
    tls: Tls | None = None

    @property
    def remote_host(self) -> str | None:
        """Name the machine that the engine is on; None where it is this one."""
        url = urlsplit(self.host)
        return url.hostname if url.scheme in {"tcp", "http", "https", "ssh"} else None

    def __str__(self) -> str:
        return f"{self.host} ({self.source})" if self.source else self.host

    def environment(self) -> dict[str, str | None]:
        """Return the variables with which the provider and the builds use this engine as well.

        None means that a variable must not be set: the provider prefers DOCKER_CONTEXT to
        DOCKER_HOST and looks for it in the home folder only, and DOCKER_CERT_PATH turns on TLS.
        With TLS the builds have to go through the provider's own connection (DOCKER_BUILDKIT=0):
        those of BuildKit open another one, without TLS.

        Raises:
            AddressError: when the provider cannot use this engine.
        """
        values: dict[str, str | None] = {"DOCKER_CONTEXT": None, "DOCKER_CERT_PATH": None}
        if self.source:
            values["DOCKER_HOST"] = self.host
        if self.tls:
            if not self.tls.verify:
                raise AddressError(
                    f"the Docker provider of Pulumi cannot use TLS without verification, as for "
                    f"{self}. Verify it: export DOCKER_TLS_VERIFY=1, or a context without "
                    "skip-tls-verify"
                )
            values["DOCKER_CERT_PATH"] = str(self.tls.folder)
            values |= {"DOCKER_TLS_VERIFY": "1", "DOCKER_BUILDKIT": "0"}
        return values

    def proxy(self, environ: Mapping[str, str] = os.environ) -> str | None:
        """Return the proxy through which Docker asks this engine; None for none.

        As in Go's net/http: never for this machine, and NO_PROXY may hold ports and CIDR blocks.
        """
        url = urlsplit(self.host)
        if url.scheme not in {"tcp", "http", "https"} or not url.hostname:
            return None
        name = "HTTPS_PROXY" if self.tls or url.scheme == "https" else "HTTP_PROXY"
        chosen = environ.get(name) or environ.get(name.lower())
        excluded = environ.get("NO_PROXY") or environ.get("no_proxy") or ""
        if not chosen or _is_excluded(url.hostname, url.port, excluded):
            return None
        return chosen if "://" in chosen else f"http://{chosen}"


def resolve(environ: Mapping[str, str] = os.environ) -> Address:
    """Find the engine: by DOCKER_HOST, else DOCKER_CONTEXT, else Docker's current context.

    Raises:
        AddressError: when the context does not exist or cannot be read.
    """
    folder = _config_folder(environ)
    if host := environ.get("DOCKER_HOST"):
        return _of_environment(environ, folder, host, "DOCKER_HOST")
    name, variable = environ.get("DOCKER_CONTEXT"), "DOCKER_CONTEXT"
    if not name:
        name, variable = _current_context(folder), str(folder / "config.json")
    if name and name != _DEFAULT_CONTEXT:
        return _of_context(folder, name, variable)
    # By name the default one counts before the current one of config.json.
    source = "context default" if environ.get("DOCKER_CONTEXT") else ""
    return _of_environment(environ, folder, "", source)


def changes(environ: Mapping[str, str] = os.environ) -> dict[str, str | None]:
    """Return the variables by which the provider or the builds would use another engine.

    Returns:
        The right value of each; None where it must not be set. Empty where all agree.

    Raises:
        AddressError: as of `resolve` and `Address.environment`.
    """
    wanted = resolve(environ).environment()
    return {name: value for name, value in wanted.items() if (environ.get(name) or None) != value}


def check(environ: Mapping[str, str] = os.environ) -> None:
    """Refuse an environment in which the provider or the builds would use another engine.

    Raises:
        AddressError: with the commands that set the variables right.
    """
    needed = changes(environ)
    if needed:
        raise AddressError(
            f"Docker uses the engine {resolve(environ)}, but its provider for Pulumi would use "
            f"another one. Set the environment: {'; '.join(commands(needed))}"
        )


def commands(variables: Mapping[str, str | None]) -> list[str]:
    """Write the commands for a POSIX shell that set variables; None unsets one."""
    return [
        f"unset {name}" if value is None else f"export {name}={shlex.quote(value)}"
        for name, value in variables.items()
    ]


def applied(environ: Mapping[str, str]) -> dict[str, str]:
    """Return an environment in which the provider and the builds use the engine of `docker ps`.

    It is returned unchanged where there is no such engine: the first request reports it.
    """
    result = dict(environ)
    try:
        needed = changes(environ)
    except AddressError:
        return result
    for name, value in needed.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = value
    return result


def _config_folder(environ: Mapping[str, str]) -> Path:
    chosen = environ.get("DOCKER_CONFIG")
    return Path(chosen) if chosen else Path(environ.get("HOME") or Path.home()) / ".docker"


def _current_context(folder: Path) -> str:
    """Read the context that `docker context use` has selected; as Docker, warn of nothing."""
    try:
        found = json.loads((folder / "config.json").read_text())
    except (OSError, ValueError):
        return ""
    return str(found.get("currentContext") or "") if isinstance(found, dict) else ""


def _of_environment(environ: Mapping[str, str], folder: Path, host: str, source: str) -> Address:
    verify = bool(environ.get("DOCKER_TLS_VERIFY"))
    tls = None
    if verify or environ.get("DOCKER_TLS"):
        tls = Tls(Path(environ.get("DOCKER_CERT_PATH") or folder), verify)
        host, source = host or f"tcp://localhost:{_TLS_PORT}", source or "DOCKER_TLS_VERIFY"
    return _complete(host, source, tls)


def _of_context(folder: Path, name: str, variable: str) -> Address:
    id_ = hashlib.sha256(name.encode()).hexdigest()
    path = folder / "contexts" / "meta" / id_ / "meta.json"
    try:
        described = json.loads(path.read_text())["Endpoints"]["docker"]
        host, unverified = str(described.get("Host") or ""), bool(described.get("SkipTLSVerify"))
    except FileNotFoundError:
        raise AddressError(
            f"{variable}: Docker context {name!r} not found in {folder}. List the contexts: "
            "docker context ls"
        ) from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise AddressError(f"{variable}: Docker context {name!r}: {path}: {error!r}") from error
    certificates = folder / "contexts" / "tls" / id_ / "docker"
    tls = Tls(certificates, not unverified) if unverified or certificates.is_dir() else None
    return _complete(host, f"context {name}", tls)


def _complete(host: str, source: str, tls: Tls | None) -> Address:
    """Complete an address as Docker does; TLS is for TCP only."""
    host = host.strip()
    scheme, separator, rest = host.partition("://")
    if not host or host == "unix://":
        return Address(LOCAL, source)
    if not separator:
        scheme, rest = "tcp", host
    if scheme == "tcp":
        try:
            port = urlsplit(f"tcp://{rest}").port
        except ValueError as error:
            raise AddressError(f"{source}: invalid address {host!r}: {error}") from error
        name = rest.rstrip("/").removesuffix(":") or "localhost"
        default = "" if port else f":{_TLS_PORT if tls else _PORT}"
        return Address(f"tcp://{name}{default}", source, tls)
    return Address(host, source, None if scheme in {*_SOCKETS, "ssh"} else tls)


def _is_excluded(host: str, port: int | None, excluded: str) -> bool:
    """Tell whether NO_PROXY holds a host (golang.org/x/net/http/httpproxy)."""
    address = _address(host)
    if host == "localhost" or (address and address.is_loopback):
        return True
    return any(_matches(host, address, port, one.strip().lower()) for one in excluded.split(","))


def _matches(host: str, address: IPAddress | None, port: int | None, entry: str) -> bool:
    if not entry or entry == "*":
        return bool(entry)
    if "/" in entry:
        with suppress(ValueError):
            return address is not None and address in ip_network(entry, strict=False)
    # An IPv6 address alone has no port.
    has_port = entry.count(":") == 1 or "]:" in entry
    name, _, of_port = entry.rpartition(":") if has_port else (entry, "", "")
    if of_port and of_port != str(port):
        return False
    name = name.strip("[]").removeprefix("*")
    if address:
        return _address(name) == address
    return host == name or host.endswith(f".{name.removeprefix('.')}")


def _address(host: str) -> IPAddress | None:
    try:
        return ip_address(host)
    except ValueError:
        return None
