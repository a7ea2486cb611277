"""Which failed requests eject a server: ejections.js without nginx."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.njs import Call, loaded

SERVER, ADDRESS = "app1:5001", "10.0.0.1:5001"


@pytest.fixture
def ejections() -> Iterator[Call]:
    """ejections.js in a process of its own."""
    with loaded("ejections.js") as found:
        found("locate", SERVER, ADDRESS)
        yield found


def attempt(ago: float, outcome: str = "connect_failed", *, failed: bool = True) -> dict[str, Any]:
    """An attempt that says of the server how it was some seconds ago."""
    return {"address": ADDRESS, "outcome": outcome, "failed": failed, "ago": ago}


def test_a_failure_after_a_passed_check_ejects_until_the_next_one(ejections: Call) -> None:
    ejections("passed", SERVER)
    ejections("note", [attempt(0, "error")])
    assert ejections("marks") == {SERVER: "error"}
    ejections("passed", SERVER)
    assert ejections("marks") == {}


@pytest.mark.parametrize("outcome", ["connect_failed", "error"])
def test_a_failure_before_a_passed_check_ejects_nobody(outcome: str, ejections: Call) -> None:
    """A connection that began before the server was readmitted may fail seconds later."""
    ejections("mark", SERVER, "connect_failed", 5000)
    ejections("passed", SERVER)
    ejections("note", [attempt(3600, outcome)])
    assert ejections("marks") == {}


def test_only_failures_of_known_servers_eject(ejections: Call) -> None:
    ejections("note", [attempt(0, "answered", failed=False), attempt(0) | {"address": "apps"}])
    assert ejections("marks") == {}
    ejections("note", [attempt(0)])
    assert ejections("marks") == {SERVER: "connect_failed"}
