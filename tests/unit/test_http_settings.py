"""The part of nginx's configuration that comes from the keys of a stack."""

import re
from ipaddress import IPv4Address, IPv4Network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadbalancer.config import checks, load, units
from loadbalancer.config.problems import ConfigError
from loadbalancer.nginx.http_settings import HTTP, PUBLIC, render
from tests.apps.containers import NGINX

APPS = ("app1", "app2")
URL = "http://127.0.0.1:8080"
GATEWAY = "172.18.0.1"


def rendered(url: str = URL, gateway: str = GATEWAY, **config: Any) -> dict[str, str]:
    return render(load.load(config, APPS), url, gateway)


def test_the_folder_has_the_settings_of_the_defaults() -> None:
    """So that nginx can test the folder as it is."""
    for name, text in rendered().items():
        assert (NGINX / name).read_text() == text, f"write {name} anew: it is not as rendered"


def test_sizes_are_bytes_and_times_milliseconds() -> None:
    text = rendered(http="maxBody=1g,headerSize=64 KB,readTimeout=1.5s,sendTimeout=2min")[PUBLIC]
    for line in (
        "client_max_body_size 1073741824;",
        "large_client_header_buffers 4 65536;",
        "proxy_buffer_size 65536;",
        "proxy_read_timeout 1500ms;",
        "client_body_timeout 1500ms;",
        "send_timeout 120000ms;",
    ):
        assert f"\n{line}\n" in text


@given(st.integers(1, 9_999_999), st.sampled_from(["KB", " kb", "k", "MB", "MiB", "m", "GB", "g"]))
def test_a_size_is_as_nginx_has_it(number: int, unit: str) -> None:
    factor = 1024 ** ("kmg".index(unit.strip()[0].lower()) + 1)
    assert units.parse_size(f"{number}{unit}") == number * factor


def test_a_proxy_protocol_that_nobody_is_trusted_with_is_pointed_out() -> None:
    for trusted, said in (("", 1), ("10.0.0.1", 0)):
        config = {"http": {"proxyProtocol": "true"}, "trustedProxies": trusted}
        texts = list(checks.advice(load.load(config, APPS), APPS, 5))
        assert len([text for text in texts if text.startswith("http.proxyProtocol: ")]) == said


def test_the_port_and_the_address_are_those_that_clients_ask() -> None:
    text = rendered("http://[::1]:8200")[HTTP]
    assert '$published_port { default "8200"; }' in text
    assert '$published_address { default "[::1]:8200"; }' in text


def test_no_proxy_is_trusted_unless_it_is_named() -> None:
    assert "real_ip" not in rendered()[PUBLIC]
    files = rendered(trustedProxies="10.0.0.0/8,127.0.0.1,::1")
    assert (
        f"geo $realip_remote_addr $from_proxy {{ default 0; 10.0.0.0/8 1; {GATEWAY} 1; }}"
        in (files[HTTP])
    )
    assert f"set_real_ip_from 10.0.0.0/8;\nset_real_ip_from {GATEWAY};\n" in files[PUBLIC]
    assert "127.0.0.1" not in files[PUBLIC]


def test_what_the_sender_of_the_proxy_protocol_passes_on_is_its_clients() -> None:
    files = rendered(http={"proxyProtocol": "true"}, trustedProxies="10.0.0.0/8")
    assert "geo $remote_addr $from_proxy { default 0; 10.0.0.0/8 1; }" in files[HTTP]


@pytest.mark.parametrize(("time", "expected"), [("500ms", 500), ("10s", 10000), ("60s", 10000)])
def test_no_request_is_passed_on_after_the_time_of_its_answer(time: str, expected: int) -> None:
    text = rendered(http={"readTimeout": time})[PUBLIC]
    assert f"\nproxy_next_upstream_timeout {expected}ms;\n" in text


def test_this_host_is_not_trusted_where_its_address_is_not_known() -> None:
    assert "real_ip" not in rendered(gateway="", trustedProxies="127.0.0.1")[PUBLIC]


@given(st.integers(0, 30), st.sampled_from(["::", "2001:db8::1"]))
def test_where_clients_come_by_the_gateway_no_network_with_it_is_trusted(
    prefix: int, bind: str
) -> None:
    network = IPv4Network(f"{GATEWAY}/{prefix}", strict=False)
    text = rendered(bind=bind, trustedProxies=str(network))[PUBLIC]
    trusted = [IPv4Network(one) for one in re.findall(r"set_real_ip_from (.+);", text)]
    assert not any(IPv4Address(GATEWAY) in one for one in trusted)
    assert all(one.subnet_of(network) for one in trusted)
    assert sum(one.num_addresses for one in trusted) == network.num_addresses - 1


def test_otherwise_a_network_is_trusted_as_it_is() -> None:
    text = rendered(bind="0.0.0.0", trustedProxies="172.16.0.0/12")[PUBLIC]  # noqa: S104
    assert "set_real_ip_from 172.16.0.0/12;" in text


def test_clients_have_no_limits_unless_they_are_set() -> None:
    assert not [text for text in rendered().values() if "limit_req_zone" in text]
    assert "limit_" not in rendered()[PUBLIC]
    files = rendered(limits={"perClient": "connections=20,requests=50"})
    assert (
        "limit_conn clients 20;\nlimit_req zone=client_requests burst=49 nodelay;"
        in (files[PUBLIC])
    )
    assert "rate=50r/s;" in files[HTTP]
    assert (
        "zone=client_requests nodelay;" in (rendered(limits={"perClient": {"requests": 1}})[PUBLIC])
    )


def test_clients_of_ipv6_cannot_pass_as_programs_on_this_host() -> None:
    rendered(trustedProxies="127.0.0.1", bind="::1")
    with pytest.raises(ConfigError, match=r"trustedProxies: 127\.0\.0\.1 stands for this host"):
        rendered(trustedProxies="127.0.0.1", bind="::")


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"http": {"maxBody": 100}}, "http.maxBody: 100 is not a size such as 32KB"),
        ({"http": {"maxBody": "0MB"}}, "http.maxBody: 0MB is not a size"),
        ({"http": {"headerSize": "2MB"}}, "http.headerSize: 2MB is not a size from 4KB to 1MB"),
        ({"http": {"readTimeout": "0"}}, "http.readTimeout: 0 is not a duration above 0"),
        ({"http": {"sendTimeout": "25h"}}, "http.sendTimeout: 25h is longer than 24h"),
        ({"trustedProxies": "10.0.0.1/8"}, "trustedProxies: 10.0.0.1/8 is not a list of IP"),
        ({"trustedProxies": "[1"}, "trustedProxies: [1 is not valid JSON"),
        ({"accessLog": "some"}, "accessLog: some is none of all, errors, none. Set it: "),
        ({"limits": {"perClient": {"requests": 0}}}, "limits.perClient.requests: 0 is not a whole"),
    ],
)
def test_a_fault_names_the_key_and_the_value(config: dict[str, object], expected: str) -> None:
    with pytest.raises(ConfigError) as refused:
        load.load(config, APPS)
    assert str(refused.value).startswith(expected)
    assert "pulumi config set" in str(refused.value)
