"""Replacements of containers with ports of the host: the old one serves until the new one can."""

import re
import socket
import subprocess
from typing import Any

import pytest
import requests
from docker.models.containers import Container

from benchmarks.family import descendants, parents_of_all
from loadbalancer import engine
from loadbalancer.engine.handover import HandoverError, hand_over
from loadbalancer.engine.wait import Wait
from loadbalancer.state.pulumi import PulumiError
from tests.faults.killing import end
from tests.stack.deployment import Deployment, free_ports
from tests.stack.editing import change
from tests.stack.load import wrk
from tests.stack.relay import relay
from tests.stack.rolling import run

pytestmark = [pytest.mark.faults, pytest.mark.timeout(3600)]

UP = r"pulumi up(?: --stack \S+)?"
FIX = re.compile(rf"Now: (?P<now>.*?) && {UP}\. Then: (?P<then>.*?) && {UP}")
ANSWER = re.compile(r"Salam alikom, this is App[12] :\) ")


def answer(url: str) -> str:
    """Ask once, past any proxy."""
    with requests.Session() as session:
        session.trust_env = False
        return session.get(url, timeout=60).text


@pytest.fixture
def stack(module_stack: Deployment) -> Deployment:
    """A stack that is up as its config says."""
    if module_stack.applied != module_stack.source():
        module_stack.up()
    return module_stack


def test_an_image_that_does_not_start_leaves_the_old_nginx_serving(stack: Deployment) -> None:
    dockerfile, before = stack.folder / "nginx/Dockerfile", stack.nginx()
    good = dockerfile.read_text()
    assert "exec nginx " in good
    dockerfile.write_text(good.replace("exec nginx ", "exec /bin/no-such-nginx "))
    with wrk(stack.url, method="GET") as load, pytest.raises(PulumiError) as failed:
        stack.up()
    assert f"{before.name} keeps serving" in str(failed.value)
    assert "no-such-nginx" in str(failed.value)
    assert load.failures == []
    assert load.requests > 100
    # No container is left of the trial.
    assert not any(map(is_trial, stack.labelled()))

    dockerfile.write_text(f"{good}ENV VERSION=2\n")
    said = "nginx's container is replaced, since its image changes"
    assert said in stack.preview()
    stack.up()
    assert stack.shares(10) == {"app1": 6, "app2": 4}
    assert before.id not in {one.id for one in stack.labelled()}
    assert sorted(str(one.id) for one in stack.labelled()) == sorted(stack.ids().values())


def is_trial(container: Container) -> bool:
    return str(container.name).endswith("-trial")


def test_nginx_gives_no_answer_of_its_own_in_the_gap_of_its_replacement(stack: Deployment) -> None:
    dockerfile = stack.folder / "nginx/Dockerfile"
    dockerfile.write_text(f"{dockerfile.read_text()}ENV GAP=1\n")
    said = re.sub(r"\s+", " ", stack.preview())
    assert re.search(r"Expect about \d+ s without answers on \S+", said), said
    with wrk(stack.url, method="GET", rate=200) as load:
        stack.up()
    assert load.requests > 100
    # Connections are refused or closed, and whatever answers is an app.
    assert {kind.split()[0] for kind in load.failures} <= {"connect", "read", "write"}
    assert stack.shares(10) == {"app1": 6, "app2": 4}


@pytest.mark.parametrize(
    ("moment", "everything"), [("stopped", True), ("stopped", False), ("trial", True)]
)
def test_an_update_that_is_killed_while_nginx_hands_over_is_repaired(
    stack: Deployment, moment: str, everything: bool
) -> None:
    """Killed alone, its plugins may go on beside the repair."""
    dockerfile, old = stack.folder / "nginx/Dockerfile", stack.nginx()
    dockerfile.write_text(f"{dockerfile.read_text()}ENV KILLED={moment}-{everything}\n")
    stack.applied = None
    update = stack.process(
        *stack.pulumi("up", "--yes", "--skip-preview"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )

    def look() -> object:
        assert update.poll() is None, "the update ended before it could be killed"
        if moment == "trial":
            return None if any(map(is_trial, stack.labelled())) else "no trial"
        old.reload()
        return old.status if old.status == "running" else None

    try:
        Wait(300, 0.01).until("the moment of the kill", look)
    finally:
        family = descendants(parents_of_all(), update.pid) if everything else []
        update.kill()
        for pid in family:
            end(pid)
        update.wait()
    print({str(one.name): one.status for one in stack.labelled()})
    code, out = run(stack, "repair")
    assert code == 0, out
    assert stack.shares(10) == {"app1": 6, "app2": 4}
    assert sorted(str(one.id) for one in stack.labelled()) == sorted(stack.ids().values())
    assert not any(map(is_trial, stack.labelled()))
    assert run(stack, "status")[0] == 0
    stack.applied = stack.source()


def test_ports_of_nginx_are_exchanged_and_published_on_ipv6_in_one_update(
    stack: Deployment,
) -> None:
    port, admin_port = stack.get("port"), stack.get("adminPort")
    stack.set_all({"port": admin_port, "adminPort": port, "bind": "::"})
    stack.up()
    assert stack.url == f"http://127.0.0.1:{admin_port}"
    for url in (stack.url, f"http://[::1]:{admin_port}"):
        assert ANSWER.fullmatch(answer(url))
    assert answer(f"{stack.output('adminUrl')}/healthz")
    assert stack.output("adminUrl") == f"http://127.0.0.1:{port}"
    # The engine lists both addresses in an order of its own, which must not replace nginx.
    stack.refresh()
    stack.expect_no_changes()


def test_a_port_goes_from_an_app_to_nginx_in_the_two_updates_that_the_preview_names(
    stack: Deployment,
) -> None:
    (direct,) = free_ports(1)
    stack.set_all({"apps": {"app1": {"directPort": direct}}, "bind": "127.0.0.1"})
    stack.up()
    before = stack.ids()
    stack.unset("apps")
    stack.set("port", direct)
    with pytest.raises(PulumiError, match=f"port: {direct} is published by app1") as refused:
        stack.up()
    assert stack.ids() == before
    fix = FIX.search(re.sub(r"\s+", " ", str(refused.value)))
    assert fix
    for command in (fix["now"], fix["then"]):
        stack.run(*command.split()[1:])
        stack.up()
    assert stack.url == f"http://127.0.0.1:{direct}"
    assert stack.shares(10) == {"app1": 6, "app2": 4}


def test_a_version_that_does_not_start_leaves_the_port_of_its_app_answering(
    stack: Deployment,
) -> None:
    (direct,) = free_ports(1)
    stack.set_all({"apps": {"app1": {"directPort": direct}}})
    stack.up()
    app = stack.folder / "apps/app1/app.py"
    good, url = app.read_text(), stack.output("directUrls")["app1"]
    change(stack, "app1", "\nraise SystemExit('no database')\n")
    with wrk(url, method="GET") as load, pytest.raises(PulumiError, match="no database"):
        stack.up()
    assert load.failures == []
    assert load.requests > 100
    app.write_text(good)
    stack.unset("apps")
    stack.up()


def test_an_address_that_this_host_does_not_have_is_refused(stack: Deployment) -> None:
    refused = r"bind: 192\.0\.2\.1 is not an address of this host"
    with stack.configured(bind="192.0.2.1"), pytest.raises(PulumiError, match=refused):
        stack.preview()


def test_a_port_that_is_taken_meanwhile_puts_the_old_nginx_back(stack: Deployment) -> None:
    client, old, port = engine.connect(), stack.nginx(), int(stack.get("port"))
    attributes = old.attrs
    bound = [{"HostIp": "0.0.0.0", "HostPort": str(port)}]  # noqa: S104
    config: dict[str, Any] = {
        **{key: value for key, value in attributes["Config"].items() if key != "Hostname"},
        "HostConfig": {
            **attributes["HostConfig"],
            "PortBindings": {"8080/tcp": bound},
            "NetworkMode": next(iter(attributes["NetworkSettings"]["Networks"])),
        },
    }
    create: Any = client.api.create_container_from_config
    name = f"{old.name}-next"
    created = create(config, name)["Id"]
    try:
        # The engine can publish the port on all addresses only if no program has it on another.
        with (
            socket.create_server(("127.0.0.2", port)),
            pytest.raises(HandoverError, match=f"{old.name} was started again and serves"),
        ):
            hand_over(client, created, grace=5)
    finally:
        client.api.remove_container(created, force=True)

    def look() -> object:
        return None if ANSWER.fullmatch(answer(stack.url)) else "no answer"

    Wait(60, forgives=(requests.RequestException,)).until("the old nginx to answer", look)
    old.reload()
    assert old.status == "running"


def test_the_printed_address_leads_to_the_machine_of_the_engine(
    stack: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An engine under an address that is not this host's loopback, as seen from elsewhere."""
    (network,) = stack.nginx().attrs["NetworkSettings"]["Networks"].values()
    bridge = network["Gateway"]  # an address of this host
    with relay(bridge) as address:
        monkeypatch.setitem(stack.environment, "DOCKER_HOST", address)
        monkeypatch.setitem(stack.environment, "NO_PROXY", "*")
        preview = re.sub(r"\s+", " ", stack.preview())
        assert f"bind: 127.0.0.1 is reached from {bridge} alone" in preview
        assert "pulumi config set bind 0.0.0.0" in preview
        with stack.configured(bind="0.0.0.0"):  # noqa: S104
            stack.up()
            assert stack.url == f"http://{bridge}:{stack.get('port')}"
            assert ANSWER.fullmatch(answer(stack.url))
