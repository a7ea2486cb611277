"""New versions of apps: no request fails, and a version that does not start gets none."""

import threading

import pytest
import requests

from loadbalancer.engine.wait import Wait
from loadbalancer.names import APP
from loadbalancer.state.pulumi import PulumiError
from tests.stack.deployment import Deployment, free_ports
from tests.stack.editing import app_file, change
from tests.stack.load import wrk

pytestmark = pytest.mark.timeout(3600)

SLOW = """

@app.get("/slow")
def slow() -> str:
    import time

    print("slow begins", flush=True)
    time.sleep(20)
    return "slow"
"""


def ask_app1_slowly(url: str, bodies: list[str]) -> None:
    """Ask for the slow page, which app2 does not have, until app1 has answered."""
    while True:
        answer = requests.get(f"{url}/slow", timeout=300)
        if answer.status_code != requests.codes.not_found:
            bodies.append(answer.text)
            return


def test_new_versions_cost_no_request_and_replace_only_what_changed(
    changing_stack: Deployment,
) -> None:
    stack, slow = changing_stack, list[str]()
    change(stack, "app1", SLOW)
    stack.up()
    names = stack.output("containers")
    nginx = stack.ids()[names["nginx"]]
    old = stack.containers()[names["apps"]["app1"][0]]
    request = threading.Thread(target=ask_app1_slowly, args=(stack.url, slow))
    request.start()

    def look() -> object:
        log = old.logs()
        return None if b"slow begins" in log else log

    Wait(120, 0.1).until("app1 to have the slow request", look)
    with (
        wrk(stack.url, method="GET") as get,
        wrk(stack.url, method="POST", body="name=value") as post,
        wrk(stack.url, method="GET", keep_alive=False) as short,
    ):
        for app in ("app1", "app2"):
            change(stack, app, "\nVERSION = 2\n")
        stack.up()
        before = stack.ids()
        change(stack, "app2", "\nVERSION = 3\n")
        stack.up()
    request.join(timeout=300)
    assert slow == ["slow"]
    for load in (get, post, short):
        assert load.failures == []
        assert load.requests > 100
    after = stack.ids()
    kept = {name: id_ for name, id_ in after.items() if "-app2-" not in name}
    assert len(kept) == 2
    assert kept.items() <= before.items()
    assert not any(name in before for name in after.keys() - kept.keys())
    assert nginx in kept.values()
    assert sorted(str(c.id) for c in stack.labelled()) == sorted(after.values())


def test_a_version_that_does_not_start_gets_no_request_and_the_old_one_cleans_up(
    changing_stack: Deployment,
) -> None:
    stack = changing_stack
    stack.up()
    before, good = stack.ids(), app_file(stack, "app1").read_text()
    change(stack, "app1", "\nraise SystemExit('no database')\n")
    with (
        wrk(stack.url, method="GET") as get,
        wrk(stack.url, method="POST") as post,
        pytest.raises(PulumiError, match="no database"),
    ):
        stack.up()
    assert get.failures == post.failures == []
    assert set(before.values()) <= {str(c.id) for c in stack.labelled()}
    app_file(stack, "app1").write_text(good)
    stack.up()
    assert sorted(str(c.id) for c in stack.labelled()) == sorted(stack.ids().values())
    stack.refresh()
    stack.expect_no_changes()
    assert stack.shares(10) == {"app1": 6, "app2": 4}


def test_an_app_with_a_host_port_is_replaced_one_container_at_a_time(
    changing_stack: Deployment,
) -> None:
    stack, (one, two) = changing_stack, free_ports(2)
    stack.set_all({"apps.app1.directPort": one, "apps.app2.directPort": two})
    stack.up()
    for app in ("app1", "app2"):
        change(stack, app, "\nVERSION = 2\n")
    with wrk(stack.url, method="GET") as load:
        stack.up()
    assert f"app1 has port {one} of the host, which its old and its new" in stack.printed
    assert load.failures == []
    labels = sorted(c.labels.get(APP, "nginx") for c in stack.labelled())
    assert labels == ["app1", "app2", "nginx"]
