"""Apps whose threads are all taken: busy is not sick."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from tests.stack.deployment import Deployment
from tests.stack.editing import change
from tests.stack.terminal import PATIENCE, run

pytestmark = [pytest.mark.faults, pytest.mark.timeout(3600)]

WAITS = """
import os
import time


@app.get("/wait")
def wait() -> str:
    print("waits", flush=True)
    while not os.path.exists("/tmp/let-go"):
        time.sleep(0.02)
    return "waited"
"""


@pytest.mark.parametrize("threads", [32, 2], ids=["some", "all"])
def test_busy_containers_are_healthy_and_left_alone(
    changing_stack: Deployment, threads: int
) -> None:
    """Case A1: 16 slow requests take some threads of both apps, or all of them."""
    stack = changing_stack
    stack.set("threads", threads)
    for name in ("app1", "app2"):
        change(stack, name, WAITS)
    stack.up()
    names = [name for names in stack.output("containers")["apps"].values() for name in names]
    apps = [stack.containers()[name] for name in names]

    def waiting() -> object:
        seen = [app.logs().count(b"waits") for app in apps]
        return None if sum(min(count, threads) for count in seen) >= min(16, 2 * threads) else seen

    def runs() -> list[tuple[object, ...]]:
        for app in apps:
            app.reload()
        return [
            (app.id, app.attrs["State"]["StartedAt"], app.attrs["RestartCount"]) for app in apps
        ]

    def checked() -> list[str]:
        for app in apps:
            app.reload()
        return [app.attrs["State"]["Health"]["Log"][-1]["Start"] for app in apps]

    with ThreadPoolExecutor(16) as pool:
        slow = [pool.submit(requests.get, f"{stack.url}/wait", timeout=600) for _ in range(16)]
        try:
            PATIENCE.until("requests in both apps", waiting)
            before = checked()
            PATIENCE.until(
                "a health check of both apps",
                lambda: None if not set(before) & set(checked()) else "none",
            )
            assert [app.attrs["State"]["Health"]["Status"] for app in apps] == ["healthy"] * 2
            code, out, _ = run(stack, "status")
            if threads > len(slow):
                assert code == 0, out
                assert len(stack.answers(10)) == 10
            else:
                # The address is busy, and the containers are as declared.
                assert "no answer within" in out
                assert "drift in 1 of" in out
            before_repair = runs()
            code, out, errors = run(stack, "repair")
            assert code == 0, (out, errors)
            assert runs() == before_repair
            assert sorted(stack.ids().values()) == sorted(str(c.id) for c in stack.labelled())
            assert not any(one.done() for one in slow)
        finally:
            for app in apps:
                app.exec_run(["touch", "/tmp/let-go"])  # noqa: S108 - in the container
        assert [one.result().text for one in slow] == ["waited"] * 16
