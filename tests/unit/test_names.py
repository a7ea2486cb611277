"""Names and ports that identify a stack's resources."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadbalancer import names

STACKS = st.from_regex(r"[A-Za-z0-9_.-]{1,100}", fullmatch=True)
APPS = st.sets(st.from_regex(names.APP_NAME, fullmatch=True), max_size=40)


@given(STACKS)
def test_a_slug_is_part_of_a_docker_name(stack: str) -> None:
    assert re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,18}[a-z0-9])?", names.slug(stack))


@given(STACKS, STACKS)
def test_two_stacks_have_two_slugs(one: str, other: str) -> None:
    assert (names.slug(one) == names.slug(other)) == (one == other)


@given(APPS)
def test_every_app_listens_on_a_port_of_its_own(apps: set[str]) -> None:
    ports = names.listening_ports(apps)
    assert ports.keys() == apps
    assert len(set(ports.values())) == len(apps)
    assert all(1024 < port < 65536 for port in ports.values())


def test_adding_an_app_changes_no_port() -> None:
    two = names.listening_ports(["app1", "app2"])
    assert names.listening_ports(["admin", "app1", "app2", "zoo"]).items() >= two.items()


def test_the_owner_of_something_is_described_by_its_labels() -> None:
    labels = names.labels("loadbalancer", "dev")
    assert names.owner({}) == ""
    assert names.owner(labels) == "stack dev of another checkout"
    here = names.labels("loadbalancer", "dev", checkout="host:/home/me/lb")
    assert names.owner(here) == "stack dev of host:/home/me/lb"


def test_an_update_takes_over_from_the_networks_that_repair_names(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv(names.TAKES_OVER, raising=False)
    assert names.taken_over() == frozenset()
    monkeypatch.setenv(names.TAKES_OVER, "a b")
    assert names.taken_over() == {"a", "b"}
