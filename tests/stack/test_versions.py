"""New code: no request fails, and a broken version does not get any."""

import threading
from collections.abc import Iterator

import pytest
import requests

from loadbalancer.engine.wait import Wait
from loadbalancer.names import APP
from loadbalancer.state.pulumi import PulumiError
from tests.stack.deployment import Deployment, free_ports
from tests.stack.editing import app_file, change
from tests.stack.load import wrk

SLOW = """

@app.get("/slow")
def slow() -> str:
    import time

    print("slow begins", flush=True)
    time.sleep(20)
    return "slow"
"""


@pytest.fixture
def running(own_stack: Deployment) -> Iterator[Deployment]:
    """A stack of the test's own that is up, with a slow page in its first app."""
    change(own_stack, "app1", SLOW)
    own_stack.up()
    yield own_stack


@pytest.mark.timeout(3600)
def test_three_new_versions_of_both_apps_cost_no_request(running: Deployment) -> None:
    stack = running
    slow: list[str] = []
    # Only app1 has the slow page, and a request that it got before the change stays with it.
    stack.set_weights(app2=0)
    stack.up()
    nginx = stack.ids()[stack.output("containers")["nginx"]]
    url = stack.url
    request = threading.Thread(target=lambda: slow.append(requests.get(f"{url}/slow").text))  # noqa: S113
    request.start()
    (app1,) = stack.output("containers")["apps"]["app1"]
    container = stack.containers()[app1]

    def look() -> object:
        said = container.logs()
        return None if b"slow begins" in said else said

    Wait(120, 0.1).until("app1 to have the slow request", look)
    stack.set_weights(app2=4)
    with (
        wrk(stack.url, method="GET") as get,
        wrk(stack.url, method="POST", body="name=value") as post,
        wrk(stack.url, method="GET", keep_alive=False) as short,
    ):
        for version in range(3):
            for app in ("app1", "app2"):
                change(stack, app, f"\nVERSION = {version}\n")
            stack.up()
    request.join(timeout=300)
    assert slow == ["slow"]
    for load in (get, post, short):
        assert load.failures == []
        assert load.requests > 100
    assert sorted(str(c.id) for c in stack.labelled()) == sorted(stack.ids().values())
    assert stack.ids()[stack.output("containers")["nginx"]] == nginx


def test_an_app_that_did_not_change_keeps_its_containers(running: Deployment) -> None:
    stack = running
    before = stack.ids()
    change(stack, "app2", "\nVERSION = 2\n")
    stack.up()
    kept = {name: id_ for name, id_ in stack.ids().items() if "-app2-" not in name}
    assert kept.items() <= before.items()
    assert len(kept) == 2


BROKEN = {
    "does not start": ("\nraise SystemExit('no database')\n", "no database"),
    "never gets healthy": (
        "\napp.view_functions['healthz'] = lambda: ('not yet', 500)\nprint('warming up')\n",
        "warming up",
    ),
    "crashes after 5 seconds": (
        "\nimport os, threading\n"
        "threading.Timer(5, lambda: (print('out of luck', flush=True), os._exit(3))).start()\n",
        "out of luck",
    ),
}


@pytest.mark.timeout(3600)
def test_a_broken_version_gets_no_request_and_the_next_good_one_cleans_up(
    running: Deployment,
) -> None:
    stack = running
    # Longer by far than it takes until the crash, also where the app or what watches it stalls.
    stack.set("settle", 40)
    stack.up()
    good = app_file(stack, "app1").read_text()
    before = stack.ids()
    for what, (code, said) in BROKEN.items():
        app_file(stack, "app1").write_text(good + code)
        with (
            wrk(stack.url, method="GET") as get,
            wrk(stack.url, method="POST") as post,
            pytest.raises(PulumiError) as failed,
        ):
            stack.up()
        assert said in str(failed.value), what
        assert get.failures == post.failures == [], what
        assert set(before.values()) <= {str(c.id) for c in stack.labelled()}
    stack.set("settle", 1)
    with wrk(stack.url, method="GET") as get:
        app_file(stack, "app1").write_text(good + "\nVERSION = 2\n")
        stack.up()
    assert get.failures == []
    assert sorted(str(c.id) for c in stack.labelled()) == sorted(stack.ids().values())
    assert stack.shares(10) == {"app1": 6, "app2": 4}


def test_back_to_the_old_code_after_a_broken_version(running: Deployment) -> None:
    stack = running
    good = app_file(stack, "app1").read_text()
    change(stack, "app1", BROKEN["does not start"][0])
    with pytest.raises(PulumiError, match="no database"):
        stack.up()
    app_file(stack, "app1").write_text(good)
    stack.up()
    stack.refresh()
    stack.expect_no_changes()
    assert stack.shares(10) == {"app1": 6, "app2": 4}


def test_an_app_with_a_port_of_its_own_is_replaced_alone(own_stack: Deployment) -> None:
    one, two = free_ports(2)
    own_stack.set_all({"apps.app1.directPort": one, "apps.app2.directPort": two})
    own_stack.up()
    for app in ("app1", "app2"):
        change(own_stack, app, "\nVERSION = 2\n")
    assert f"app1 has port {one} of the host to itself" in own_stack.preview()
    with wrk(own_stack.url, method="GET") as load:
        own_stack.up()
    assert load.failures == []
    labels = sorted(c.labels.get(APP, "nginx") for c in own_stack.labelled())
    assert labels == ["app1", "app2", "nginx"]
