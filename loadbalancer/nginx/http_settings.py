"""The part of nginx's configuration that comes from the keys of a stack: sizes, times, clients."""

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Network
from urllib.parse import urlsplit

from loadbalancer.config import host_ports, units
from loadbalancer.config.host_ports import LISTENING_PORT
from loadbalancer.config.model import Settings

HTTP, PUBLIC = "settings/http.conf", "settings/public.conf"
"""Files that nginx.conf includes, one on the level of http, the other in the public server."""

_HEADLINE = "# Written by `pulumi up` from the configuration of the stack; an edit has no effect."
_BACKLOG = 4096
"""Connections that may wait until nginx accepts them, as many as Linux allows by default."""
_RETRYING = 10_000
"""Milliseconds from the start of a request during which it may be passed to another server."""
_LOGGED = {"all": "default 1;", "errors": '"~^[45]" 1; default 0;', "none": "default 0;"}

Network = IPv4Network | IPv6Network


def render(settings: Settings, url: str, gateway: str) -> dict[str, str]:
    """Write the files with the values of a stack.

    Args:
        settings: the checked configuration.
        url: address of the public port.
        gateway: address from which nginx gets the connections of programs on the host; empty if
            there is none.

    Returns:
        The text of each file, by its path relative to nginx.conf.
    """
    trusted = sorted(set(_trusted(settings, gateway)))
    files = {HTTP: _http(settings, url, trusted), PUBLIC: _public(settings, trusted)}
    return {name: "\n".join((_HEADLINE, *lines, "")) for name, lines in files.items()}


def _trusted(settings: Settings, gateway: str) -> Iterator[str]:
    """List the networks of the trusted proxies, as nginx sees their addresses.

    Where clients come by the gateway, it is in none of them: anybody would be believed.
    """
    hidden = host_ports.hides_clients(settings.bind)
    for one in settings.trusted_proxies:
        if one.is_loopback:
            yield from [gateway] if gateway else []
        elif hidden and gateway and isinstance(one, IPv4Network) and IPv4Address(gateway) in one:
            yield from map(str, one.address_exclude(IPv4Network(gateway)))
        else:
            yield str(one)


def _http(settings: Settings, url: str, trusted: list[str]) -> Iterator[str]:
    address, http = urlsplit(url), settings.http
    yield "# The published port, and the address for requests that name none."
    yield _constant("published_port", str(address.port or 80))
    yield _constant("published_address", address.netloc)
    yield ""
    yield "# Whether a request comes from one of trustedProxies. The PROXY protocol only tells who"
    yield "# the client is, whose request is passed on as it is. So that one must be trusted."
    sender = "$remote_addr" if http.proxy_protocol else "$realip_remote_addr"
    yield f"geo {sender} $from_proxy {{ {_geo(trusted)} }}"
    yield ""
    yield "# Whether a request is logged: accessLog."
    yield f"map $status $logged {{ {_LOGGED[settings.access_log]} }}"
    yield ""
    yield "# What nginx says to requests that a limit refuses, and of apps that exceed one."
    yield from _refusals(settings)
    yield _constant("read_timeout", http.read_timeout)
    yield _constant("header_size", http.header_size)
    # nginx has filled its buffer without finding the end of the header.
    size = units.parse_header_size(http.header_size)
    yield (
        'map "$upstream_status $upstream_bytes_received" $header_too_large '
        f'{{ "~502 [-0-9,: ]*\\b{size}$" 1; default 0; }}'
    )
    if settings.limits.per_client.requests:
        rate = settings.limits.per_client.requests
        yield ""
        yield f"limit_req_zone $binary_remote_addr zone=client_requests:10m rate={rate}r/s;"


def _refusals(settings: Settings) -> Iterator[str]:
    http, client = settings.http, settings.limits.per_client
    yield "map $limit_conn_status $client_limit {"
    yield (
        f'    REJECTED "limits.perClient.connections allows {client.connections} requests of one '
        'client at the same time.";'
    )
    yield (
        f'    default "limits.perClient.requests allows {client.requests} requests of one client '
        'per second.";'
    )
    yield "}"
    texts = {
        400: "The request is not valid HTTP.",
        405: "No request with this method is passed on.",
        413: f"The body of the request is too large: http.maxBody allows {http.max_body}.",
        414: f"The address of the request is too long: http.headerSize allows {http.header_size}.",
        429: "$client_limit",
        431: "The header of the request is too large: http.headerSize allows "
        f"{http.header_size} for a field, and four times that in all.",
        501: "The transfer encoding of the request is not known.",
        505: "The version of HTTP is not known.",
    }
    yield "map $status $refusal {"
    yield '    default "The request was refused.";'
    yield from (f'    {status} "{text}";' for status, text in texts.items())
    yield "}"


def _public(settings: Settings, trusted: list[str]) -> Iterator[str]:
    http, client = settings.http, settings.limits.per_client
    protocol = " proxy_protocol" if http.proxy_protocol else ""
    yield f"listen {LISTENING_PORT}{protocol} backlog={_BACKLOG};"
    yield f"client_max_body_size {units.parse_size(http.max_body)};"
    size = units.parse_header_size(http.header_size)
    yield f"large_client_header_buffers 4 {size};"
    yield f"proxy_buffer_size {size};"
    yield f"proxy_buffers 4 {size};"
    reading, sending = _time(http.read_timeout), _time(http.send_timeout)
    yield f"client_body_timeout {reading};"
    yield f"proxy_read_timeout {reading};"
    # A request that an app has not answered in time is not passed on: too much time has passed.
    yield f"proxy_next_upstream_timeout {min(_RETRYING, _milliseconds(http.read_timeout))}ms;"
    yield f"proxy_send_timeout {sending};"
    yield f"send_timeout {sending};"
    if trusted:
        yield from (f"set_real_ip_from {one};" for one in trusted)
        source = "proxy_protocol" if http.proxy_protocol else "X-Forwarded-For"
        yield f"real_ip_header {source};"
        yield "real_ip_recursive on;"
    if client.connections:
        yield f"limit_conn clients {client.connections};"
    if client.requests:
        burst = f" burst={client.requests - 1}" if client.requests > 1 else ""
        yield f"limit_req zone=client_requests{burst} nodelay;"


def _constant(variable: str, value: str) -> str:
    return f'map "" ${variable} {{ default "{value}"; }}'


def _geo(networks: list[str]) -> str:
    return " ".join(("default 0;", *(f"{one} 1;" for one in networks)))


def _time(text: str) -> str:
    return f"{_milliseconds(text)}ms"


def _milliseconds(text: str) -> int:
    """Read a duration with nginx's precision; 0 would mean at once."""
    return max(1, round(units.parse_timeout(text) * 1000))
