"""The settings of nginx that come from keys, in a real stack."""

import requests

from loadbalancer.engine import exec
from loadbalancer.nginx.process import CURRENT, SPOOL_FOLDER
from loadbalancer.resources.container import LOG_OPTIONS
from tests.stack.deployment import Deployment

SIZE = 17 << 20
"""Bytes of a body that was refused without a key."""


def test_a_key_changes_files_of_the_running_nginx_alone(stack: Deployment) -> None:
    assert requests.post(stack.url, data=bytes(SIZE), timeout=60).status_code == 200
    before = stack.ids()
    stack.set("http", {"maxBody": "1MB"})
    changes = stack.up()
    assert {kind: count for kind, count in changes.items() if kind != "same"} == {"update": 1}
    refused = requests.post(stack.url, data=bytes(SIZE), timeout=60)
    assert (refused.status_code, "http.maxBody allows 1MB" in refused.text) == (413, True)
    assert stack.ids() == before
    assert stack.refresh().keys() == {"same"}


def test_apps_learn_the_published_port(stack: Deployment) -> None:
    port = stack.url.rpartition(":")[2]
    code, text = exec.run(stack.nginx(), ["cat", f"{CURRENT}/settings/http.conf"])
    assert code == 0
    assert f'map "" $published_port {{ default "{port}"; }}' in text


def test_a_container_does_not_wait_for_its_log(stack: Deployment) -> None:
    for container in stack.containers().values():
        options = container.attrs["HostConfig"]["LogConfig"]["Config"]
        assert options == LOG_OPTIONS


def test_bodies_of_requests_are_stored_on_a_disk(stack: Deployment) -> None:
    (mount,) = [one for one in stack.nginx().attrs["Mounts"] if one["Destination"] == SPOOL_FOLDER]
    assert (mount["Type"], mount["RW"]) == ("volume", True)
