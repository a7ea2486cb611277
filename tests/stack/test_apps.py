"""Apps by convention, replicas, and the rotation against its model."""

import json
import subprocess
import sys
from collections import Counter

import pytest
import requests

from loadbalancer.engine.wait import Wait
from loadbalancer.names import APP
from loadbalancer.nginx.live_route import LiveRoute
from tests.rotation import turns
from tests.stack.deployment import Deployment


@pytest.mark.faults
def test_five_apps_each_get_their_share(changing_stack: Deployment) -> None:
    stack = changing_stack
    for number in (3, 4, 5):
        command = (sys.executable, "-m", "loadbalancer", "app", "new", f"app{number}")
        assert stack.process(*command, stdout=subprocess.DEVNULL).wait(timeout=300) == 0
    stack.set("weights", '{"app1":7,"app2":5,"app3":3,"app4":2}')
    diagnostics = stack.preview().partition("Diagnostics:")[2]
    assert diagnostics.count("apps/app5 has no weight, so it is not deployed.") == 1
    stack.set("weights", '{"app1":7,"app2":5,"app3":3,"app4":2,"app5":1}')
    stack.up()
    assert stack.shares(18) == {"app1": 7, "app2": 5, "app3": 3, "app4": 2, "app5": 1}


@pytest.mark.faults
def test_replicas_keep_the_share_of_their_app(changing_stack: Deployment) -> None:
    stack = changing_stack
    stack.set("apps.app2.replicas", 3)
    stack.up()
    nginx = stack.nginx()
    assert len(LiveRoute(nginx).workers()) >= 2
    containers = stack.containers()
    addresses = {
        name: next(iter(container.attrs["NetworkSettings"]["Networks"].values()))["IPAddress"]
        for name, container in containers.items()
    }
    cycle = 15  # 9 + 3 x 2
    for turn in range(4 * cycle):
        # A connection each, so that both workers take part.
        headers = {"Connection": "close", "X-Request-ID": f"turn-{turn}"}
        requests.get(stack.url, headers=headers, timeout=60)
    log: dict[str, str] = {}

    def every_turn_is_logged() -> object:
        for line in nginx.logs(stderr=False).splitlines():
            entry = json.loads(line)
            log[entry["id"]] = entry["upstream"].partition(":")[0]
        missing = [turn for turn in range(4 * cycle) if f"turn-{turn}" not in log]
        return f"no {missing}" if missing else None

    Wait(120, 0.1).until("nginx to log every turn", every_turn_is_logged)
    at = {address: name for name, address in addresses.items()}
    served = [at[log[f"turn-{turn}"]] for turn in range(4 * cycle)]

    weights = {name: 2 for name in sorted(addresses) if "-app2-" in name}
    weights |= {name: 9 for name in addresses if "-app1-" in name}
    order = sorted(weights)
    expected = [order[index] for index in turns([weights[name] for name in order], 5 * cycle)]
    # The rotation is where the requests before have left it.
    assert any(served == expected[start : start + 4 * cycle] for start in range(cycle))
    apps = Counter(containers[name].labels[APP] for name in served[:cycle])
    assert apps == {"app1": 9, "app2": 6}
    assert set(Counter(served[:cycle])[name] for name in order if "-app2-" in name) == {2}
