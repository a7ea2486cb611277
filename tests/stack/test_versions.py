"""New versions of apps: no request fails, and a version that does not start gets none."""

import re
import shlex
import subprocess
import sys
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

SCREEN = 24
"""Lines of a terminal."""

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
    before = stack.ids()
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
        change(stack, "app1", "\nVERSION = 2\n")
        stack.up()
    request.join(timeout=300)
    assert slow == ["slow"]
    for load in (get, post, short):
        assert load.failures == []
        assert load.requests > 100
    after = stack.ids()
    kept = {name: id_ for name, id_ in after.items() if "-app1-" not in name}
    assert len(kept) == 2
    assert kept.items() <= before.items()
    assert not any(name in before for name in after.keys() - kept.keys())
    assert names["nginx"] in kept
    assert sorted(str(c.id) for c in stack.labelled()) == sorted(after.values())


def run_printed(stack: Deployment, command: str) -> tuple[int, str]:
    """Run a command as an error has printed it; returns exit code and output."""
    program, *arguments = shlex.split(command)
    known = {"./lb": [sys.executable, "-m", "loadbalancer"], "pulumi": ["pulumi"]}
    more = ["--yes", "--skip-preview"] if program == "pulumi" else []
    process = stack.process(
        *(*known[program], *arguments, *more), stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    printed = process.communicate(timeout=1200)[0]
    return process.returncode, printed


@pytest.mark.faults
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
        pytest.raises(PulumiError) as caught,
    ):
        stack.up()
    assert get.failures == post.failures == []
    assert set(before.values()) <= {str(c.id) for c in stack.labelled()}

    error = str(caught.value)
    assert "the route was not changed, the version before keeps serving: container " in error
    assert "ended with exit code 1" in error
    assert "  no database" in error
    start, end = error.index("the route was not changed"), error.index("Correct apps/app1, then: ")
    assert len(error[start:end].splitlines()) <= SCREEN
    logs, correct = re.findall(r"(?:logged|then): ((?:\./lb|pulumi) .*)", error[start:])[:2]
    code, printed = run_printed(stack, logs)
    assert code == 0
    assert "no database" in printed

    # The stack serves, and its newest version does not.
    code, printed = run_printed(stack, f"./lb repair --stack {stack.name}")
    assert code == 1
    again = "This version of app1 failed in an update before, and is tried once more. It failed "
    assert f"{again}since container " in printed
    assert printed.count("the version before keeps serving") >= 1
    assert stack.shares(10) == {"app1": 6, "app2": 4}

    app_file(stack, "app1").write_text(good)
    code, printed = run_printed(stack, correct)
    assert code == 0, printed
    assert sorted(str(c.id) for c in stack.labelled()) == sorted(stack.ids().values())
    stack.refresh()
    stack.expect_no_changes()
    assert stack.shares(10) == {"app1": 6, "app2": 4}


@pytest.mark.faults
def test_a_version_whose_health_check_fails_shows_what_its_probe_got(
    changing_stack: Deployment,
) -> None:
    stack = changing_stack
    stack.up()
    good = app_file(stack, "app2").read_text()
    app_file(stack, "app2").write_text(good.replace('return "ok"', "return 'no queue', 500"))
    with pytest.raises(PulumiError) as caught:
        stack.up()
    error = str(caught.value)
    assert re.search(r"container \S+-app2-1-\S+ is unhealthy\.", error)
    assert re.search(r"GET /healthz on port \d+: status 500 after \d+ ms: no queue", error)
    assert f"./lb logs --app app2 --stack {stack.name}" in error
    assert stack.shares(10) == {"app1": 6, "app2": 4}


@pytest.mark.faults
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
