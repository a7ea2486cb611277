"""Up and down, again and again, and nothing is left."""

import pytest
import requests

from loadbalancer.engine import exec
from loadbalancer.engine.wait import Wait
from tests.stack.deployment import Deployment, free_ports


def test_preview_is_clean_after_up_and_after_refresh(stack: Deployment) -> None:
    stack.up()
    stack.expect_no_changes()
    stack.refresh()
    stack.expect_no_changes()


@pytest.mark.timeout(3600)
def test_destroy_leaves_nothing_and_up_works_again(own_stack: Deployment) -> None:
    for _ in range(3):
        own_stack.up()
        assert own_stack.shares(10) == {"app1": 6, "app2": 4}
        own_stack.destroy()
        assert own_stack.leftovers() == []
    own_stack.up()


def test_direct_ports_lead_past_nginx(own_stack: Deployment) -> None:

    one, two = free_ports(2)
    own_stack.set_all({"apps.app1.directPort": one, "apps.app2.directPort": two})
    own_stack.up()
    urls = own_stack.output("directUrls")
    assert urls == {"app1": f"http://127.0.0.1:{one}", "app2": f"http://127.0.0.1:{two}"}
    assert requests.get(urls["app2"], timeout=60).text == "Salam alikom, this is App2 :) "


def test_containers_have_no_more_rights_than_they_need(stack: Deployment) -> None:
    for container in stack.containers().values():
        host = container.attrs["HostConfig"]
        assert host["ReadonlyRootfs"]
        assert host["CapDrop"] == ["ALL"]
        assert host["SecurityOpt"] == ["no-new-privileges"]
        _, user = exec.run(container, ["id", "-u"])
        assert int(user) > 0
        published = [port for port in container.ports.values() if port]
        assert bool(published) == (container.name == stack.nginx().name)


def test_a_request_id_goes_through_and_is_logged_by_both(stack: Deployment) -> None:

    answer = requests.get(stack.url, headers={"X-Request-ID": "of-a-test"}, timeout=60)
    assert answer.headers["X-Request-ID"] == "of-a-test"
    containers = stack.containers()
    nginx = stack.nginx().name

    def look() -> object:
        logged = [name for name, one in containers.items() if b"of-a-test" in one.logs()]
        # nginx, which logs after it has answered, and one app.
        return None if len(logged) == 2 and nginx in logged else logged

    Wait(120, 0.5).until("both to have logged it", look)
    made = requests.get(stack.url, timeout=60).headers["X-Request-ID"]
    assert len(made) == 32
