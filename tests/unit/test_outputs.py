"""The printed addresses lead to the ports that the engine publishes."""

from ipaddress import ip_address

import pytest

from loadbalancer import engine
from loadbalancer.resources import outputs


@pytest.mark.parametrize(
    ("bind", "remote", "expected"),
    [
        ("127.0.0.1", None, "http://127.0.0.1:8080"),
        ("127.0.0.2", None, "http://127.0.0.2:8080"),
        ("::1", None, "http://[::1]:8080"),
        ("0.0.0.0", None, "http://127.0.0.1:8080"),  # noqa: S104
        # Published on 0.0.0.0 as well.
        ("::", None, "http://127.0.0.1:8080"),
        ("0.0.0.0", "engine.example", "http://engine.example:8080"),  # noqa: S104
        ("::", "fd00::7", "http://[fd00::7]:8080"),
        ("192.0.2.7", "engine.example", "http://192.0.2.7:8080"),
        # A local engine by TCP, or one that is forwarded to this machine.
        ("::1", "127.0.0.1", "http://[::1]:8080"),
        ("0.0.0.0", "localhost", "http://127.0.0.1:8080"),  # noqa: S104
    ],
)
def test_the_address_of_a_published_port(
    monkeypatch: pytest.MonkeyPatch, bind: str, remote: str | None, expected: str
) -> None:
    monkeypatch.setattr(engine, "remote_host", lambda: remote)
    assert outputs.address(ip_address(bind), 8080) == expected
