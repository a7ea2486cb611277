"""The whole stack over DOCKER_HOST: nothing goes past the engine's address."""

import asyncio
import os
import re
import shlex
import shutil
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from docker import DockerClient

from loadbalancer import engine, names
from loadbalancer.engine import container, exec
from loadbalancer.state.pulumi import PulumiError
from tests.contexts import write_context
from tests.stack.deployment import Deployment

SOCKET = "/var/run/docker.sock"


LATE = 0.05
"""Seconds by which the engine's answers come late, so that their parts arrive together."""


DEAD_PROXY = "http://127.0.0.1:9"


def verb(stack: Deployment, name: str) -> tuple[int, str]:
    """Run a verb; returns its exit code, and its last line up to the number of resources."""
    arguments = (sys.executable, "-m", "loadbalancer", name, "--stack", stack.name)
    process = stack.process(*arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    output, _ = process.communicate(timeout=600)
    assert output.strip(), f"{name} printed nothing"
    return process.returncode, output.splitlines()[-1].partition(" in ")[0]


@dataclass
class Forwarder:
    """A way to the local engine under a TCP address, and what came that way."""

    tls: ssl.SSLContext | None = None
    address: str = ""
    """The address as in DOCKER_HOST."""
    connections: int = 0
    posted: list[str] = field(default_factory=list)
    """The first lines of requests that change something, or build."""

    async def start(self) -> None:
        """Begin to listen on a free port of this machine."""
        server = await asyncio.start_server(self._connect, "127.0.0.1", 0, ssl=self.tls)
        self.address = f"tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}"

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        source, target = await asyncio.open_unix_connection(SOCKET)
        await asyncio.gather(
            self._pass_on(reader, target, 0.0), self._pass_on(source, writer, LATE)
        )
        for one in (target, writer):
            one.close()

    async def _pass_on(
        self, source: asyncio.StreamReader, target: asyncio.StreamWriter, late: float
    ) -> None:
        """Copy bytes one way until the source ends, however it does; then end the target's too."""
        with suppress(OSError):
            while data := await source.read(65536):
                if data.startswith(b"POST "):
                    self.posted.append(data.partition(b"\r\n")[0].decode())
                await asyncio.sleep(late)
                target.write(data)
                await target.drain()
        with suppress(OSError):
            if target.can_write_eof():
                target.write_eof()
            else:  # TLS ends in both directions
                target.close()


@contextmanager
def forwarded(tls: ssl.SSLContext | None = None) -> Iterator[Forwarder]:
    """Forward a port of this machine to the local engine."""
    forwarder, loop = Forwarder(tls), asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(forwarder.start(), loop).result(60)
        yield forwarder
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()


@pytest.fixture
def engine_over_tcp() -> Iterator[Forwarder]:
    """The local engine under a TCP address."""
    with forwarded() as forwarder:
        yield forwarder


def test_a_command_in_a_container_loses_no_output(
    engine_over_tcp: Forwarder, stack: Deployment
) -> None:
    nginx = DockerClient(engine_over_tcp.address).containers.get(str(stack.nginx().id))
    for _ in range(5):
        code, printed = exec.run(nginx, ["sh", "-c", "echo out; echo err >&2; exit 7"])
        assert (code, sorted(printed.split())) == (7, ["err", "out"])
    assert exec.run(nginx, ["id", "-u"], user="0") == (0, "0\n")
    code, printed = exec.run(nginx, ["no-such-program"])
    assert code in {126, 127}
    assert "no-such-program" in printed


def test_the_list_and_the_inspection_of_containers_agree(stack: Deployment) -> None:
    client = engine.connect()
    inspected = [container.inspect(client, id_) for id_ in stack.ids().values()]
    found = {one.id: replace(one, details=None) for one in inspected if one}
    assert len(found) == 3
    listed = container.find(client, names.labels("loadbalancer", stack.name))
    assert {one.id: one for one in listed} == found


@pytest.mark.faults
def test_destroy_up_change_and_refresh_over_docker_host(
    engine_over_tcp: Forwarder,
    changing_stack: Deployment,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    forwarder, stack = engine_over_tcp, changing_stack
    monkeypatch.setitem(stack.environment, "DOCKER_HOST", forwarder.address)
    # Docker asks an engine on this machine without a proxy.
    monkeypatch.setitem(stack.environment, "HTTP_PROXY", DEAD_PROXY)
    monkeypatch.setitem(stack.environment, "ALL_PROXY", DEAD_PROXY)
    stack.destroy()
    assert stack.leftovers() == []
    stack.up()
    assert stack.shares(10) == {"app1": 6, "app2": 4}
    assert stack.url.startswith("http://127.0.0.1:")
    assert any(" /grpc " in line for line in forwarder.posted), "nothing was built here"
    before = forwarder.connections
    stack.set_weights(app1=7, app2=3)
    assert stack.up()["update"] == 1
    assert stack.shares(10) == {"app1": 7, "app2": 3}
    assert stack.refresh().keys() == {"same"}
    assert forwarder.connections > before > 0
    assert verb(stack, "status") == (0, f"{stack.name}: no drift")


@pytest.mark.faults
def test_one_engine_by_a_context_of_another_folder(
    engine_over_tcp: Forwarder,
    stack: Deployment,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write_context(tmp_path, "tcp", engine_over_tcp.address)
    monkeypatch.setitem(stack.environment, "DOCKER_CONFIG", str(tmp_path))
    monkeypatch.setitem(stack.environment, "DOCKER_CONTEXT", "tcp")
    assert verb(stack, "status") == (0, f"{stack.name}: no drift")
    asked_by_status = engine_over_tcp.connections
    assert asked_by_status > 0
    # The verbs run Pulumi so that its provider follows.
    assert "unchanged" in stack.pulumi_cli.run("preview", "--refresh", stack=stack.name)
    assert engine_over_tcp.connections > asked_by_status + 1
    # Plain `pulumi` says what it needs, and does nothing else.
    with pytest.raises(PulumiError) as raised:
        stack.preview()
    match = re.search(r"(unset DOCKER_CONTEXT; export DOCKER_HOST=\S+)", str(raised.value))
    assert match, raised.value
    script = f"{match[1]}; exec {shlex.join(stack.pulumi('preview', '--expect-no-changes'))}"
    process = stack.process("sh", "-c", script, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    output, _ = process.communicate(timeout=600)
    assert process.returncode == 0, output


@pytest.fixture
def certificates(tmp_path: Path) -> Path:
    """A folder with an authority, a certificate of 127.0.0.1, and one of a client."""
    folder = tmp_path / "certificates"
    folder.mkdir()
    authority = ["-x509", "-subj", "/CN=authority", "-keyout", "ca-key.pem", "-out", "ca.pem"]
    signed = ["-x509", "-CA", "ca.pem", "-CAkey", "ca-key.pem"]
    name = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    for options in (
        authority,
        [*signed, *name, "-keyout", "server-key.pem", "-out", "server.pem"],
        [*signed, "-subj", "/CN=client", "-keyout", "key.pem", "-out", "cert.pem"],
    ):
        command = ["openssl", "req", "-newkey", "rsa:2048", "-nodes", "-days", "2", *options]
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return folder


@pytest.mark.faults
def test_up_with_the_certificates_of_a_context(
    certificates: Path, changing_stack: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack = changing_stack
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=certificates / "ca.pem")
    tls.load_cert_chain(certificates / "server.pem", certificates / "server-key.pem")
    tls.verify_mode = ssl.CERT_REQUIRED
    (stack.folder / "apps" / "app1" / "VERSION").write_text("another image")
    with forwarded(tls) as forwarder:
        folder = write_context(tmp_path, "tls", forwarder.address, certificates=True)
        for name in ("ca.pem", "cert.pem", "key.pem"):
            shutil.copy(certificates / name, folder)
        monkeypatch.setitem(stack.environment, "DOCKER_CONFIG", str(tmp_path))
        monkeypatch.setitem(stack.environment, "DOCKER_CONTEXT", "tls")
        stack.pulumi_cli.up(stack.name)
        assert any("/build?" in line for line in forwarder.posted), "nothing was built here"
        assert verb(stack, "status") == (0, f"{stack.name}: no drift")
    assert stack.shares(10) == {"app1": 6, "app2": 4}


def test_a_context_that_does_not_exist_is_named(
    stack: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(stack.environment, "DOCKER_CONFIG", str(tmp_path))
    monkeypatch.setitem(stack.environment, "DOCKER_CONTEXT", "gone")
    code, line = verb(stack, "status")
    assert (code, line.startswith("error: DOCKER_CONTEXT: Docker context 'gone' not found")) == (
        1,
        True,
    )
    with pytest.raises(PulumiError, match="Docker context 'gone' not found") as raised:
        stack.preview()
    assert "List the contexts: docker context ls" in str(raised.value)
    environ = {**os.environ, **stack.environment}
    listed = subprocess.run(
        ["docker", "context", "ls"], env=environ, capture_output=True, text=True, check=True
    )
    assert "default" in listed.stdout
