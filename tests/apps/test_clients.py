"""What an app and a log learn of who asked, and what single clients may do."""

import http.client
import json
from contextlib import ExitStack

import pytest
import requests

from tests.apps.containers import PATIENCE, wait_for
from tests.apps.proxy import Proxy, new_id, read_to_end

FORGED = {
    "X-Forwarded-For": "203.0.113.7",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Host": "shop.example",
    "X-Forwarded-Port": "8443",
    "X-Forwarded-Prefix": "/shop",
    "X-Real-IP": "203.0.113.7",
    "Forwarded": "for=203.0.113.7",
}
CLIENT = "203.0.113.7"


def own_address(proxy: Proxy) -> str:
    """The address from which nginx gets the connections of this test."""
    return proxy.echo()["x-real-ip"]


def forwarded(fields: dict[str, str]) -> dict[str, str]:
    return {
        name: value
        for name, value in fields.items()
        if name.startswith("x-forwarded") or name in {"forwarded", "x-real-ip"}
    }


def test_what_a_client_says_of_itself_is_replaced(proxy: Proxy) -> None:
    own = own_address(proxy)
    assert forwarded(proxy.echo(headers=FORGED)) == {
        "x-real-ip": own,
        "x-forwarded-for": own,
        "x-forwarded-host": f"{proxy.address}:8080",
        "x-forwarded-proto": "http",
        "x-forwarded-port": "8200",
    }


def test_what_a_trusted_proxy_says_is_passed_on(proxy: Proxy) -> None:
    own = own_address(proxy)
    proxy.configure(trustedProxies=f"192.0.2.0/24,{own}")
    id_ = new_id()
    chain = {"X-Forwarded-For": f"198.51.100.1, {CLIENT}, 192.0.2.9", "X-Request-ID": id_}
    assert forwarded(proxy.echo(headers={**FORGED, **chain})) == {
        "x-real-ip": CLIENT,
        "x-forwarded-for": CLIENT,
        "x-forwarded-host": "shop.example",
        "x-forwarded-proto": "https",
        "x-forwarded-port": "8443",
        "x-forwarded-prefix": "/shop",
        "forwarded": "for=203.0.113.7",
    }
    assert proxy.wait_for_record(id_)["client"] == CLIENT
    only_scheme = proxy.echo(headers={"X-Forwarded-Proto": "https"})
    assert only_scheme["x-forwarded-port"] == "443"
    for told, passed in (("gopher", "http"), ("HTTPS", "https"), ("https, http", "https")):
        assert proxy.echo(headers={"X-Forwarded-Proto": told})["x-forwarded-proto"] == passed


@pytest.mark.faults
def test_loopback_stands_for_programs_on_the_host(proxy: Proxy) -> None:
    own = own_address(proxy)
    proxy.configure(trustedProxies="127.0.0.1", gateway=own)
    assert proxy.echo(headers=FORGED)["x-forwarded-for"] == CLIENT


@pytest.mark.faults
def test_the_proxy_protocol_names_the_client_where_its_sender_is_trusted(proxy: Proxy) -> None:
    own = own_address(proxy)
    line = b"PROXY TCP4 203.0.113.7 192.0.2.1 5000 80\r\n"
    request = b"GET /echo HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    for trusted, client in (("192.0.2.0/24", own), (own, CLIENT)):
        proxy.configure(http={"proxyProtocol": True}, trustedProxies=trusted)
        with proxy.connect(line + request) as connection:
            answer = read_to_end(connection).decode()
        assert f'["x-forwarded-for", "{client}"]' in answer


def test_what_a_client_of_the_proxy_protocol_says_of_itself_is_replaced(proxy: Proxy) -> None:
    proxy.configure(http={"proxyProtocol": True}, trustedProxies=own_address(proxy))
    forged = "".join(f"{name}: {value}\r\n" for name, value in FORGED.items())
    head = f"GET /echo HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{forged}\r\n"
    with proxy.connect(f"PROXY TCP4 198.51.100.1 192.0.2.1 5000 80\r\n{head}".encode()) as one:
        body = read_to_end(one).partition(b"\r\n\r\n")[2]
    assert forwarded(dict(json.loads(body)["headers"])) == {
        "x-real-ip": "198.51.100.1",
        "x-forwarded-for": "198.51.100.1",
        "x-forwarded-host": "a",
        "x-forwarded-proto": "http",
        "x-forwarded-port": "8200",
    }


def test_http_1_0_without_a_host_is_asked_at_the_published_address(proxy: Proxy) -> None:
    with proxy.connect(b"GET /echo HTTP/1.0\r\n\r\n") as connection:
        answer = read_to_end(connection).decode()
    assert '["host", "127.0.0.1:8200"]' in answer
    assert '["x-forwarded-host", "127.0.0.1:8200"]' in answer


def test_the_host_of_an_absolute_address_counts(proxy: Proxy) -> None:
    request = b"GET http://one.example:99/echo HTTP/1.1\r\nHost: other\r\nConnection: close\r\n\r\n"
    with proxy.connect(request) as connection:
        assert '["host", "one.example:99"]' in read_to_end(connection).decode()


@pytest.mark.parametrize("upgrade", ["h2c", "foo", "websocket, foo"])
def test_no_other_upgrade_than_a_websocket_reaches_the_app(proxy: Proxy, upgrade: str) -> None:
    asked = {"Upgrade": upgrade, "Connection": "Upgrade, HTTP2-Settings", "HTTP2-Settings": "AAM"}
    assert proxy.echo(headers=asked).keys().isdisjoint({"upgrade", "connection", "http2-settings"})
    websocket = proxy.echo(headers={"Upgrade": "WebSocket", "Connection": "Upgrade"})
    assert (websocket["upgrade"], websocket["connection"]) == ("websocket", "upgrade")


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("evil.example", 403),
        ("evil.example:9113", 403),
        ("1.evil.example", 403),
        ("localhost:9113", 200),
        ("127.0.0.1:9113", 200),
        ("192.0.2.7", 200),
        ("[::1]:9113", 200),
    ],
)
def test_the_admin_port_answers_only_to_addresses(proxy: Proxy, host: str, status: int) -> None:
    for path in ("/", "/metrics", "/status.json"):
        assert proxy.admin(path, headers={"Host": host}).status_code == status


def test_requests_in_progress_of_one_client_are_limited(proxy: Proxy) -> None:
    proxy.configure(limits={"perClient": {"connections": 3}})
    id_ = new_id()
    with ExitStack() as streams:
        for _ in range(3):
            url = proxy.url(f"/stream/chunked/{id_}")
            answer = streams.enter_context(requests.get(url, stream=True, timeout=PATIENCE))
            assert answer.status_code == 200  # it is in progress until it is released
        refused = proxy.get("/name")
        assert refused.status_code == 429
        assert "limits.perClient.connections allows 3 " in refused.text
        proxy.upstream.release(id_)
    wait_for(lambda: proxy.get("/name").status_code == 200, "an answer")


@pytest.mark.faults
def test_requests_per_second_of_one_client_are_limited(proxy: Proxy) -> None:
    proxy.configure(limits={"perClient": {"requests": 5}})
    answers = [proxy.get("/name") for _ in range(30)]
    passed = [one for one in answers if one.status_code == 200]
    refused = [one for one in answers if one.status_code == 429]
    assert len(passed) + len(refused) == 30
    assert len(passed) >= 5
    assert refused
    assert "limits.perClient.requests allows 5 " in refused[0].text


@pytest.mark.faults
def test_a_limit_of_clients_is_none_of_the_admin_port(proxy: Proxy) -> None:
    proxy.configure(limits={"perClient": {"requests": 1}})
    assert {proxy.admin("/healthz").status_code for _ in range(10)} == {200}


def test_a_request_that_is_not_http_is_refused_with_its_id(proxy: Proxy) -> None:
    with proxy.connect(b"GET / HTTP/1.1\r\n\r\n") as connection:
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        text = answer.read().decode()
    assert answer.status == 400
    assert str(answer.getheader("X-Request-ID")) in text
