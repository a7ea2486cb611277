"""What the program declares for a configuration, under Pulumi's mocks."""

import json
import runpy
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pulumi
import pulumi_docker as docker
import pytest
from pulumi.runtime import mocks, set_mocks

from loadbalancer import names
from loadbalancer.config.host_ports import HostPort
from loadbalancer.engine import container, ports
from loadbalancer.engine.container import Container, Port
from loadbalancer.nginx.process import SPOOL_FOLDER
from loadbalancer.providers import nginx_files
from loadbalancer.resources import stack
from loadbalancer.state import identity
from loadbalancer.state.deployment import RecordedNetwork
from loadbalancer.state.identity import Identity, backend, checkout
from loadbalancer.state.project import Project

Resources = dict[str, list[mocks.MockResourceArgs]]
Declare = Callable[..., Resources]

CONTAINER = "docker:index/container:Container"
IMAGE = "docker:index/remoteImage:RemoteImage"
NETWORK = "docker:index/network:Network"
HANDOVER = "pulumi-python:dynamic/loadbalancer:Handover"
FILES = "pulumi-python:dynamic/loadbalancer:NginxFiles"
ROUTE = "pulumi-python:dynamic/loadbalancer:Route"
PORTS = names.listening_ports(["app1", "app2"])


class Recorder(mocks.Mocks):
    """Answers as the engine does, and records what is declared."""

    def __init__(self) -> None:
        self.resources: Resources = {}

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str, dict[Any, Any]]:
        self.resources.setdefault(args.typ, []).append(args)
        given = {"name": f"{args.name}-1a2b3c4", "imageId": f"sha256:{args.name}", "port": 20000}
        inputs = {key: value for key, value in args.inputs.items() if value is not None}
        return f"{args.name}-id", {**given, **inputs}

    def call(self, args: mocks.MockCallArgs) -> tuple[dict[Any, Any], None]:
        return {}, None


@pytest.fixture
def declare(monkeypatch: pytest.MonkeyPatch) -> Declare:
    """Run __main__.py for a configuration; returns what it declared, by type."""

    def run(
        *,
        in_use: Mapping[HostPort, str] | None = None,
        running: Sequence[Container] = (),
        **config: object,
    ) -> Resources:
        values = {
            f"loadbalancer:{key}": value if isinstance(value, str) else json.dumps(value)
            for key, value in config.items()
        }
        monkeypatch.setenv("PULUMI_CONFIG", json.dumps(values))
        used = in_use or {}
        monkeypatch.setattr(
            ports, "in_use", lambda _, ports, __: {one: used[one] for one in ports if one in used}
        )
        monkeypatch.setattr(ports, "is_local", lambda _: True)
        monkeypatch.setattr(container, "find", lambda *_, **__: list(running))
        recorder = Recorder()
        set_mocks(recorder, project="loadbalancer", stack="test")

        @mocks.test  # type: ignore[untyped-decorator]
        def program() -> None:
            runpy.run_path("__main__.py", run_name="__main__")

        program()
        return recorder.resources

    return run


def containers(resources: Resources) -> dict[str, dict[str, Any]]:
    return {
        args.name.removeprefix("loadbalancer-test-"): args.inputs for args in resources[CONTAINER]
    }


def route(resources: Resources) -> str:
    (declared,) = resources[ROUTE]
    return str(declared.inputs["config"])


def labels(inputs: dict[str, Any]) -> dict[str, str]:
    return {label["label"]: label["value"] for label in inputs["labels"]}


def test_two_apps_behind_nginx(declare: Declare) -> None:
    resources = declare()
    assert sorted(containers(resources)) == ["app1-1", "app2-1", "nginx"]
    text = route(resources)
    assert f"server loadbalancer-test-app1-1-1a2b3c4:{PORTS['app1']} weight=3" in text
    assert f"server loadbalancer-test-app2-1-1a2b3c4:{PORTS['app2']} weight=2" in text


@pytest.mark.parametrize("weights", ['{"app1":7,"app2":3}', "app1=7,app2=3"])
def test_weights_reach_the_route_and_nothing_else(declare: Declare, weights: str) -> None:
    before, after = declare(), declare(weights=weights)
    assert "weight=7" in route(after)
    assert "weight=3" in route(after)
    for kind in before.keys() - {ROUTE}:
        declared = [{args.name: args.inputs for args in each[kind]} for each in (before, after)]
        assert declared[0] == declared[1]


def test_an_app_of_weight_0_runs_without_requests(declare: Declare) -> None:
    resources = declare(weights={"app2": 0})
    assert "app2-1" in containers(resources)
    assert f"loadbalancer-test-app2-1-1a2b3c4:{PORTS['app2']} down" in route(resources)


def test_replicas_share_their_apps_weight(declare: Declare) -> None:
    resources = declare(apps={"app2": {"replicas": 3}})
    assert sorted(containers(resources)) == ["app1-1", "app2-1", "app2-2", "app2-3", "nginx"]
    text = route(resources)
    assert "-app1-1-1a2b3c4:" in text
    assert text.count("weight=9") == 1
    assert text.count("weight=2") == 3


def test_apps_get_their_threads_workers_and_request_log(declare: Declare) -> None:
    found = containers(declare(threads=8, apps={"app2": {"workers": 2, "requestLog": "all"}}))
    kept = ("REQUEST_LOG=", "THREADS=", "WORKERS=")
    envs = {
        name: [env for env in found[name]["envs"] if env.startswith(kept)]
        for name in ("app1-1", "app2-1")
    }
    assert envs == {
        "app1-1": ["REQUEST_LOG=errors", "THREADS=8", "WORKERS=1"],
        "app2-1": ["REQUEST_LOG=all", "THREADS=8", "WORKERS=2"],
    }


def test_only_nginx_publishes_ports(declare: Declare) -> None:
    found = containers(declare(port="9090", bind="0.0.0.0"))  # noqa: S104
    assert found["nginx"]["ports"] == [
        {"external": 9090, "internal": 8080, "ip": "0.0.0.0"},  # noqa: S104
        {"external": 9113, "internal": 9113, "ip": "127.0.0.1"},
    ]
    assert not found["app1-1"].get("ports")
    assert not found["app2-1"].get("ports")


def test_the_metrics_name_the_image_of_nginx(declare: Declare) -> None:
    assert containers(declare())["nginx"]["envs"] == ["BUILD=nginx"]


def test_files_of_nginx_are_put_into_it_and_are_no_part_of_its_image(declare: Declare) -> None:
    (files,) = declare()["pulumi-python:dynamic/loadbalancer:NginxFiles"]
    assert files.inputs["container"] == "loadbalancer-test-nginx-id"
    assert {"nginx.conf", "njs/record.js", "admin/index.html"} <= files.inputs["files"].keys()
    assert not [name for name in files.inputs["files"] if name.startswith(("Docker", "image/"))]


def test_port_0_is_found_once_and_kept_in_the_state(declare: Declare) -> None:
    resources = declare(port="0", adminPort="0")
    found = resources["pulumi-python:dynamic/loadbalancer:Port"]
    assert sorted(args.name for args in found) == ["adminPort", "port"]


def test_direct_ports(declare: Declare) -> None:
    found = containers(declare(apps={"app1": {"directPort": 5001}}))
    (published,) = found["app1-1"]["ports"]
    assert published == {"external": 5001, "internal": PORTS["app1"], "ip": "127.0.0.1"}
    assert not found["app2-1"].get("ports")


def test_all_of_ipv6_means_ipv4_as_well(declare: Declare) -> None:
    found = containers(declare(bind="::"))
    assert [(one["external"], one["ip"]) for one in found["nginx"]["ports"]] == [
        (8080, "0.0.0.0"),  # noqa: S104
        (8080, "::"),
        (9113, "127.0.0.1"),
    ]


def test_a_container_with_ports_of_the_host_is_started_by_a_handover(declare: Declare) -> None:
    resources = declare(apps={"app1": {"directPort": 5001}}, drain=3)
    for name, one in containers(resources).items():
        publishes = name in {"app1-1", "nginx"}
        assert (one["start"], one["mustRun"]) == (not publishes, not publishes)
    handovers = {one.name: one.inputs for one in resources[HANDOVER]}
    assert {name: (one["container"], one["grace"]) for name, one in handovers.items()} == {
        "app1": ("loadbalancer-test-app1-1-id", 8),
        "nginx": ("loadbalancer-test-nginx-id", 3),
    }


def test_requests_in_flight_do_not_hold_the_port_of_nginx_for_long(declare: Declare) -> None:
    (handover,) = declare(drain=600)[HANDOVER]
    assert handover.inputs["grace"] == 5


def nginx_as_it_runs(
    port: int, image: str = "sha256:nginx", ips: Sequence[str] = ("127.0.0.1",)
) -> Container:
    published = {*(Port(ip, port, 8080) for ip in ips), Port("127.0.0.1", 9113, 9113)}
    own = names.labels("loadbalancer", "test")
    return Container("id", "nginx", "running", None, image, own, ports=frozenset(published))


@pytest.mark.parametrize(
    ("running", "said"),
    [
        (nginx_as_it_runs(8080), []),
        (nginx_as_it_runs(8080, "sha256:old"), ["since its image changes"]),
        (nginx_as_it_runs(8081), ["since port changes"]),
    ],
)
def test_the_preview_says_that_nginx_is_replaced(
    declare: Declare, monkeypatch: pytest.MonkeyPatch, running: Container, said: list[str]
) -> None:
    logged: list[str] = []
    monkeypatch.setattr(pulumi.log, "info", lambda text, *_: logged.append(text))
    monkeypatch.setattr(Identity, "owns", lambda *_: True)
    declare(running=[running])
    found = [text for text in logged if text.startswith("nginx's container is replaced")]
    assert len(found) == len(said)
    assert all(reason in text for reason, text in zip(said, found, strict=True))


@pytest.mark.parametrize(
    ("running", "ignored"),
    [
        ([], False),
        ([nginx_as_it_runs(8080, ips=("::", "0.0.0.0"))], True),  # noqa: S104
        ([nginx_as_it_runs(8080, ips=("::",))], False),
        ([nginx_as_it_runs(8081, ips=("::", "0.0.0.0"))], False),  # noqa: S104
        ([nginx_as_it_runs(8080, ips=("::", "0.0.0.0"))] * 2, False),  # noqa: S104
    ],
)
def test_the_order_of_addresses_is_no_change(
    monkeypatch: pytest.MonkeyPatch, declare: Declare, running: list[Container], *, ignored: bool
) -> None:
    found: dict[str, object] = {}
    original: Any = docker.Container.__init__

    def record(self: docker.Container, name: str, *args: object, **options: Any) -> None:
        found[name] = options["opts"].ignore_changes
        original(self, name, *args, **options)

    monkeypatch.setattr(docker.Container, "__init__", record)
    monkeypatch.setattr(Identity, "owns", lambda *_: True)
    declare(bind="::", running=running)
    assert found["loadbalancer-test-nginx"] == (["ports"] if ignored else None)
    assert found["loadbalancer-test-app1-1"] is None


def test_no_container_waits_for_an_engine_that_stores_its_output_slowly(declare: Declare) -> None:
    options = [one["logOpts"] for one in containers(declare()).values()]
    assert options == [{"mode": "non-blocking", "max-buffer-size": "4m"}] * 3


def test_bodies_of_requests_are_stored_in_a_volume(declare: Declare) -> None:
    volumes = containers(declare())["nginx"]["volumes"]
    assert [one["volumeName"] for one in volumes if one["containerPath"] == SPOOL_FOLDER] == [
        "loadbalancer-test-spool-1a2b3c4"
    ]


@pytest.mark.parametrize("name", ["app1-1", "app2-1", "nginx"])
def test_every_container_has_few_rights(declare: Declare, name: str) -> None:
    found = containers(declare())[name]
    assert found["readOnly"] is True
    assert found["capabilities"] == {"drops": ["ALL"]}
    assert found["securityOpts"] == ["no-new-privileges"]
    assert "privileged" not in found


@pytest.mark.parametrize(
    ("name", "probe"),
    [
        ("app1-1", "/srv/_server/probe.sh"),
        ("nginx", "http://127.0.0.1:8081/healthz"),
    ],
)
def test_every_container_has_a_healthcheck(declare: Declare, name: str, probe: str) -> None:
    found = containers(declare())[name]["healthcheck"]
    assert found["tests"][-1] == probe
    assert found["interval"] == "1s"


def test_apps_run_without_root_within_their_limits(declare: Declare) -> None:
    found = containers(declare(limits={"memory": 64, "cpus": 0.5}))["app1-1"]
    assert found["user"] == "10001:10001"
    assert (found["memory"], found["memorySwap"]) == (64, 64)
    assert found["cpuQuota"] / found["cpuPeriod"] == 0.5


def test_an_app_has_limits_of_its_own(declare: Declare) -> None:
    config = {"limits": {"memory": 64, "cpus": 0.5}, "apps": {"app2": {"limits": {"memory": 96}}}}
    found = containers(declare(**config))
    assert {name: found[name].get("memory") for name in ("app1-1", "app2-1", "nginx")} == {
        "app1-1": 64,
        "app2-1": 96,
        "nginx": None,
    }
    assert found["app2-1"]["cpuQuota"] / found["app2-1"]["cpuPeriod"] == 0.5


def test_everything_is_labelled_with_project_stack_and_checkout(declare: Declare) -> None:
    resources = declare()
    found = [
        labels(args.inputs)
        for kind in (CONTAINER, "docker:index/network:Network", "docker:index/volume:Volume")
        for args in resources[kind]
    ]
    found += [args.inputs["build"]["label"] for args in resources[IMAGE]]
    project = Project.find(Path())
    expected = names.labels(
        "loadbalancer", "test", checkout=checkout(project), backend=backend(project)
    )
    assert len(found) > 8
    assert [one for one in found if not expected.items() <= one.items()] == []


def test_images_belong_to_the_stack_and_are_tagged_by_content(declare: Declare) -> None:
    images = {args.name: args.inputs for args in declare()[IMAGE]}
    for name, repository in (("app1", "apps/app1"), ("app2", "apps/app2"), ("nginx", "nginx")):
        prefix, tag = images[name]["name"].split(":")
        assert prefix == f"loadbalancer-test-1a2b3c4/{repository}"
        assert len(tag) == 12


def test_base_images_come_from_config(declare: Declare) -> None:
    resources = declare(baseImages={"python": "python:3.13", "nginx": "nginx:1.31"})
    arguments = {args.name: args.inputs["build"]["buildArgs"] for args in resources[IMAGE]}
    assert arguments["app1"] == {"APP": "app1", "PYTHON_IMAGE": "python:3.13"}
    assert arguments["nginx"] == {"NGINX_IMAGE": "nginx:1.31"}


def test_ports_of_the_host_are_checked_before_anything_is_declared(
    declare: Declare, monkeypatch: pytest.MonkeyPatch
) -> None:
    errors: list[str] = []
    monkeypatch.setattr(pulumi.log, "error", errors.append)
    with pytest.raises(SystemExit, match="32"):
        declare(in_use={HostPort("127.0.0.1", 8080): "container web"})
    assert "port: 8080 is in use on this host by container web" in errors[0]


def test_an_invalid_value_is_refused_before_anything_is_declared(
    declare: Declare, monkeypatch: pytest.MonkeyPatch
) -> None:
    errors: list[str] = []
    monkeypatch.setattr(pulumi.log, "error", errors.append)
    with pytest.raises(SystemExit, match="32"):
        declare(weights={"app1": -3})
    (error,) = errors
    assert error.startswith("invalid configuration for stack test:\nweights.app1: -3 is not a")


RECORDED = names.labels("balancer", "dev", checkout="host:/before", backend=".state")


@pytest.fixture
def renamed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stack whose network was created when it, the project and the folder had other names."""
    network = RecordedNetwork("balancer-dev", "balancer-dev-1", RECORDED)
    found = lambda project, stack: Identity(project, stack, (network,))  # noqa: E731
    monkeypatch.setattr(identity, "read", found)


@pytest.mark.usefixtures("renamed")
def test_a_renamed_stack_keeps_its_names_and_labels(declare: Declare) -> None:
    resources = declare()
    (network,) = resources[NETWORK]
    assert (network.name, labels(network.inputs)) == ("balancer-dev", RECORDED)
    assert {one.name for one in resources[CONTAINER]} == {
        "balancer-dev-app1-1",
        "balancer-dev-app2-1",
        "balancer-dev-nginx",
    }
    for one in resources[CONTAINER]:
        assert RECORDED.items() <= labels(one.inputs).items()


@pytest.mark.usefixtures("renamed")
def test_keys_of_a_former_project_name_are_refused(
    declare: Declare, monkeypatch: pytest.MonkeyPatch
) -> None:
    errors: list[str] = []
    monkeypatch.setattr(pulumi.log, "error", errors.append)
    monkeypatch.setattr(stack, "get_config_env", lambda: {"balancer:port": "1", "docker:host": ""})
    with pytest.raises(SystemExit, match="32"):
        declare()
    (error,) = errors
    assert "Pulumi.test.yaml has keys of its former name: balancer:port." in error
    assert "write loadbalancer: in place of balancer:" in error


def test_the_environment_of_another_checkout_is_refused(
    declare: Declare, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    errors: list[str] = []
    monkeypatch.setattr(pulumi.log, "error", errors.append)
    (tmp_path / ".state").mkdir()
    for name in ("Pulumi.yaml", "lb"):
        (tmp_path / name).touch()
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE_FILE", str(tmp_path / ".state/passphrase"))
    with pytest.raises(SystemExit, match="32"):
        declare()
    (error,) = errors
    assert error.startswith(f"this shell has the environment of {tmp_path}, not of {Path.cwd()}")


@pytest.mark.parametrize("conflict", [True, False])
def test_the_preview_names_what_a_lost_state_has_left(
    declare: Declare, monkeypatch: pytest.MonkeyPatch, *, conflict: bool
) -> None:
    said: list[str] = []
    monkeypatch.setattr(pulumi.log, "warn", said.append)
    monkeypatch.setattr(pulumi.log, "error", said.append)
    own = Identity(Project.find(Path.cwd()), "test").fresh
    left = Container("id", "old-nginx", "running", None, "", {**own, names.NETWORK: "old"})
    if conflict:
        with pytest.raises(SystemExit, match="32"):
            declare(running=[left], in_use={HostPort("127.0.0.1", 8080): "container old-nginx"})
    else:
        assert CONTAINER in declare(running=[left])
    (message,) = said
    assert "stack test of this folder has left old-nginx, which no Pulumi state has" in message
    assert message.endswith("./lb repair --stack test --orphans remove")
    # And `repair` has the new stack take over from it, as the test on a real stack shows.
    monkeypatch.setenv(names.TAKES_OVER, "old")
    said.clear()
    declare(running=[left])
    assert said == []


def test_a_state_elsewhere_is_read_by_pulumi(
    declare: Declare, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, dict[str, Any]]] = []
    urn = "urn:pulumi:test::loadbalancer::docker:index/network:Network::balancer-dev"
    given = [{"label": key, "value": value} for key, value in RECORDED.items()]
    network = {"type": NETWORK, "outputs": {"name": "balancer-dev-1", "labels": given}}

    def call(_: Recorder, args: mocks.MockCallArgs) -> tuple[dict[Any, Any], list[Any]]:
        asked.append((args.token, args.args))
        return {"outputs": {urn: network}}, []

    monkeypatch.setenv("PULUMI_BACKEND_URL", "s3://bucket")
    monkeypatch.setattr(Recorder, "call", call)
    assert {one.name for one in declare()[CONTAINER]} >= {"balancer-dev-nginx"}
    ((function, arguments),) = asked
    assert function == "pulumi:pulumi:readStackResourceOutputs"
    assert arguments["stackName"].endswith("/loadbalancer/test")


def test_settings_are_files_of_nginx_that_stand_in_place_of_those_of_its_folder(
    declare: Declare,
) -> None:
    def files(**config: object) -> tuple[dict[str, str], dict[str, str]]:
        (declared,) = declare(**config)[FILES]
        return declared.inputs["files"], declared.inputs["settings"]

    digests, texts = files()
    assert digests.keys() == nginx_files.read(Path("nginx")).keys()
    changed, larger = files(http={"maxBody": "1GB"}, port=8200)
    assert {name for name in digests if digests[name] != changed[name]} == texts.keys()
    assert "client_max_body_size 1073741824;" in larger["settings/public.conf"]
    assert '$published_port { default "8200"; }' in larger["settings/http.conf"]
