"""Drift of the route, its files, images, networks and volumes, without Docker."""

import re
from dataclasses import replace

import pytest

from loadbalancer.drift.compare import compare
from loadbalancer.drift.orphans import Orphan
from loadbalancer.state import deployment
from loadbalancer.state.deployment import (
    Desired,
)
from tests.desired import DESIRED, FOUND, TEXT, differences


def test_shares_are_those_of_the_text_in_nginx() -> None:
    found = replace(FOUND, route=re.sub("lb-app1:5001 .*", "lb-app1:5001 weight=2;", TEXT))
    assert differences(found) == {
        "route": "hand-edited; additional line: server lb-app1:5001 weight=2;",
        "share of app1": "50 % instead of 60 %",
        "share of app2": "50 % instead of 40 %",
        "share of lb-app1:5001": "50 % instead of 60 %",
        "share of lb-app2:5002": "50 % instead of 40 %",
    }


def test_servers_that_were_added_or_removed_by_hand() -> None:
    text = re.sub("server lb-app2:5002 .*", "server other:80;", TEXT)
    assert differences(replace(FOUND, route=text)) == {
        "route": "hand-edited; additional line: server other:80;",
        "share of app1": "75 % instead of 60 %",
        "share of app2": "not in the route",
        "share of no app": "not in the Pulumi state",
        "share of lb-app1:5001": "75 % instead of 60 %",
        "share of lb-app2:5002": "not in the route",
        "share of other:80": "not in the Pulumi state",
    }


@pytest.mark.parametrize(
    ("edit", "difference"),
    [
        (("keepalive 64;", "keepalive 1;"), "hand-edited; additional line: keepalive 1;"),
        (("    keepalive 64;\n", ""), "hand-edited; missing line: keepalive 64;"),
        (("\n}", "\n}\n}"), "hand-edited; lines moved or repeated"),
    ],
)
def test_an_edit_that_leaves_the_shares_is_drift_too(
    edit: tuple[str, str], difference: str
) -> None:
    assert differences(replace(FOUND, route=TEXT.replace(*edit))) == {"route": difference}


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (None, {"nginx files": "not in force"}),
        ({}, {"nginx files": "not in force"}),
        ({"nginx.conf": "cc", "njs/record.js": "bb"}, {"nginx file nginx.conf": "hand-edited"}),
        ({"nginx.conf": "aa"}, {"nginx file njs/record.js": "not found"}),
        (
            {"nginx.conf": "aa", "njs/record.js": "bb", "more.conf": "dd"},
            {"nginx file more.conf": "not in the Pulumi state"},
        ),
    ],
)
def test_files_of_nginx_that_are_not_as_desired(
    files: dict[str, str] | None, expected: dict[str, str]
) -> None:
    assert differences(replace(FOUND, files=files)) == expected


@pytest.mark.parametrize(
    ("text", "difference"),
    [("", "not in force"), (None, "nginx's container not found")],
)
def test_a_route_that_is_gone(text: str | None, difference: str) -> None:
    found = differences(replace(FOUND, route=text))
    assert found["route"] == difference
    assert found["share of app2"] == "not in the route"


def test_a_route_without_active_servers_has_shares_of_0() -> None:
    text = TEXT.replace("weight=3", "down").replace("weight=2", "down")
    assert differences(replace(FOUND, route=text))["share of app1"] == "0 % instead of 60 %"


def test_images_networks_and_volumes_that_are_gone() -> None:
    found = replace(FOUND, images={}, networks={"bridge": "b"}, volumes=frozenset())
    assert differences(found) == {
        "image lb-net/apps/app1:12": "not found",
        "network lb-net": "not found",
        "volume lb-route": "not found",
    }


def test_an_image_name_that_points_to_another_image() -> None:
    found = replace(FOUND, images={"lb-net/apps/app1:12": "sha256:c3"})
    assert differences(found) == {"image lb-net/apps/app1:12": "name points to another image"}


def test_orphans_and_what_an_update_left() -> None:
    found = replace(FOUND, orphans=(Orphan("container", "by-hand", "id-by-hand"),))
    desired = replace(DESIRED, undeleted=("container lb-old",), pending=("creating image app1",))
    assert differences(found, desired) == {
        "container by-hand": "orphan: not in the Pulumi state",
        "container lb-old": "replaced, but not deleted yet",
        "creating image app1": "update interrupted or still running",
    }


def test_a_stack_without_resources_has_no_rows() -> None:
    assert deployment.parse({}) == Desired()
    assert compare(Desired(), FOUND) == []
