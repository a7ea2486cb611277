"""Configurations of the compared balancers, for the same servers with the same weights."""

from collections.abc import Mapping

PORT = 8080
"""The port on which each of them listens in its container."""

Servers = Mapping[str, int]
"""The weight of each server by its address, `host:port`."""

LOG_FIELDS = {
    "time": "[accept_date(ms)]",
    "id": "[unique-id]",
    "client": "[src]",
    "method": "[capture.req.method]",
    "uri": "[capture.req.uri]",
    "status": "ST",
    "bytes": "B",
    "milliseconds": "Ta",
    "upstream": "s",
    "connect_milliseconds": "Tc",
    "upstream_milliseconds": "Tr",
}
"""What HAProxy logs of a request, by its name: an alias or a sample; as much as nginx.conf logs."""


def nginx(servers: Servers) -> str:
    """Write nginx.conf of an nginx that only balances: no log, no counters, no health checks."""
    listed = "".join(f"        server {one} weight={n};\n" for one, n in servers.items())
    return f"""\
worker_processes auto;
pid /tmp/nginx.pid;
error_log /dev/stderr warn;
events {{
    worker_connections 32768;
}}
http {{
    access_log off;
    client_body_temp_path /tmp/body;
    proxy_temp_path /tmp/proxy;
    fastcgi_temp_path /tmp/fastcgi;
    uwsgi_temp_path /tmp/uwsgi;
    scgi_temp_path /tmp/scgi;
    upstream apps {{
        zone apps 512k;
{listed}        keepalive 64;
    }}
    server {{
        listen {PORT} backlog=4096;
        location / {{
            proxy_pass http://apps;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
        }}
    }}
}}
"""


def haproxy(servers: Servers) -> str:
    """Write haproxy.cfg with a line of JSON for each request."""
    listed = "".join(
        f"    server server{number} {one} weight {weight}\n"
        for number, (one, weight) in enumerate(servers.items(), 1)
    )
    fields = " ".join(f"%({name}){field}" for name, field in LOG_FIELDS.items())
    return f"""\
global
    log stdout format raw local0
defaults
    mode http
    log global
    log-format "%{{+json}}o {fields}"
    unique-id-format %[uuid]
    timeout connect 2s
    timeout client 60s
    timeout server 60s
frontend public
    bind :{PORT}
    default_backend apps
backend apps
    balance roundrobin
{listed}"""


def caddy(servers: Servers) -> str:
    """Write a Caddyfile with Caddy's own log, which is JSON."""
    weights = " ".join(str(weight) for weight in servers.values())
    return f"""\
{{
	admin off
	auto_https off
}}
:{PORT} {{
	log {{
		output stdout
		format json
	}}
	reverse_proxy {" ".join(servers)} {{
		lb_policy weighted_round_robin {weights}
	}}
}}
"""


def tutorial(servers: Servers) -> str:
    """Write the one file that the tutorial puts into the official nginx image."""
    listed = "".join(f"    server {one} weight={weight};\n" for one, weight in servers.items())
    return f"""\
upstream apps {{
{listed}}}
server {{
    listen {PORT};
    location / {{
        proxy_pass http://apps;
    }}
}}
"""
