"""Apps that fail: nginx goes round them, and takes them back."""

import json
import re

import pytest
import requests
from docker.models.containers import Container

from tests.stack.deployment import Deployment
from tests.stack.failing import kill_inside, wait_until_answered, wait_until_back, wait_until_shared
from tests.stack.load import wrk

LOST = 16
"""How many POSTs an app may take with it. There are eight connections: it has a request of each at
most when it dies, and may take one more of each before nobody listens."""


def taken_twice(nginx: Container) -> list[str]:
    """List the request ids of the POSTs that more than one server has taken, as nginx logs them."""
    lines = [line for line in nginx.logs(stderr=False).splitlines() if line.startswith(b"{")]
    records = [json.loads(line) for line in lines]
    posts = [one for one in records if one["method"] == "POST"]
    assert posts
    return [
        one["id"]
        for one in posts
        if len([t for t in re.split(", | : ", one["upstream_connect_seconds"]) if t != "-"]) > 1
    ]


def test_an_app_killed_under_load_costs_next_to_nothing(stack: Deployment) -> None:
    names = stack.output("containers")["apps"]
    containers = stack.containers()
    app1 = containers[names["app1"][0]]
    app1.reload()
    started = app1.attrs["State"]["StartedAt"]
    with (
        wrk(stack.url, method="GET", rate=400) as get,
        wrk(stack.url, method="POST", body="name=value") as post,
    ):
        kill_inside(app1)
        wait_until_back(app1, started)
    assert get.failures == []
    assert len(post.failures) <= LOST
    assert taken_twice(stack.nginx()) == []
    wait_until_shared(stack)


@pytest.mark.faults
def test_six_restarts_under_load_lose_no_request(stack: Deployment) -> None:
    app1 = stack.containers()[stack.output("containers")["apps"]["app1"][0]]
    with wrk(stack.url, method="GET", rate=400) as get:
        for _ in range(6):
            app1.reload()
            started = app1.attrs["State"]["StartedAt"]
            app1.restart(timeout=5)
            wait_until_back(app1, started)
    assert get.failures == []
    wait_until_shared(stack)


def test_all_apps_down_is_a_page_with_the_request_id(stack: Deployment) -> None:
    apps = [c for name, c in stack.containers().items() if "-nginx-" not in name]
    started = [app.attrs["State"]["StartedAt"] for app in apps]
    for app in apps:
        app.stop(timeout=5)
    try:
        answer = requests.get(stack.url, headers={"X-Request-ID": "lost"}, timeout=60)
        assert answer.status_code == 503
        assert answer.headers["Retry-After"] == "5"
        assert answer.headers["X-Request-ID"] == "lost"
        assert answer.headers["Content-Type"].startswith("text/plain")
        assert "lost" in answer.text
    finally:
        for app in apps:
            app.start()
    for app, before in zip(apps, started, strict=True):
        wait_until_back(app, before)

    wait_until_answered(stack)
    wait_until_shared(stack)


def test_a_container_that_comes_back_elsewhere_is_found(stack: Deployment) -> None:
    name = stack.output("containers")["apps"]["app1"][0]
    app1 = stack.containers()[name]
    (network,) = app1.attrs["NetworkSettings"]["Networks"]
    client = app1.client
    assert client is not None
    started = app1.attrs["State"]["StartedAt"]
    before = app1.attrs["NetworkSettings"]["Networks"][network]["IPAddress"]
    app1.stop(timeout=5)
    taker = client.containers.create(app1.attrs["Image"], ["sleep", "infinity"], network=network)
    try:
        taker.start()  # takes the address that is free now
        app1.start()
        app1.reload()
        assert app1.attrs["NetworkSettings"]["Networks"][network]["IPAddress"] != before
        wait_until_back(app1, started)
        wait_until_shared(stack)
    finally:
        taker.remove(force=True)
