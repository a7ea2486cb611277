"""The engine's address: the one of `docker ps`, for the verbs, the provider and the builds."""

import hashlib
import http.server
import json
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest

from loadbalancer import engine
from loadbalancer.engine import address, client
from loadbalancer.engine.address import LOCAL, Address, AddressError, Tls
from tests.contexts import write_context

REMOTE = "tcp://198.18.0.1:2375"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A folder for DOCKER_CONFIG with two contexts, of which `build` is selected."""
    write_context(tmp_path, "build", REMOTE)
    write_context(tmp_path, "other", "ssh://ops@other")
    (tmp_path / "config.json").write_text(json.dumps({"currentContext": "build"}))
    return tmp_path


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, Address(REMOTE, "context build")),
        ({"DOCKER_HOST": ""}, Address(REMOTE, "context build")),
        ({"DOCKER_CONTEXT": "other"}, Address("ssh://ops@other", "context other")),
        ({"DOCKER_CONTEXT": "default"}, Address(LOCAL, "context default")),
        (
            {"DOCKER_HOST": "tcp://h:1", "DOCKER_CONTEXT": "other"},
            Address("tcp://h:1", "DOCKER_HOST"),
        ),
        ({"DOCKER_HOST": "tcp://h"}, Address("tcp://h:2375", "DOCKER_HOST")),
        ({"DOCKER_HOST": "h:1"}, Address("tcp://h:1", "DOCKER_HOST")),
        ({"DOCKER_HOST": "tcp://[fd00::1]"}, Address("tcp://[fd00::1]:2375", "DOCKER_HOST")),
        ({"DOCKER_HOST": "unix://"}, Address(LOCAL, "DOCKER_HOST")),
    ],
)
def test_a_variable_counts_before_the_selected_context(
    config: Path, environ: dict[str, str], expected: Address
) -> None:
    assert address.resolve({"DOCKER_CONFIG": str(config), **environ}) == expected


@pytest.mark.parametrize("content", [None, "", "[]", "{}", '{"currentContext": "default"}'])
def test_without_a_selected_context_the_engine_is_the_local_one(
    tmp_path: Path, content: str | None
) -> None:
    if content is not None:
        (tmp_path / "config.json").write_text(content)
    assert address.resolve({"DOCKER_CONFIG": str(tmp_path)}) == Address()


def test_the_contexts_of_a_user_are_in_the_home_folder(config: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / ".docker").symlink_to(config)
    assert address.resolve({"HOME": str(home)}).host == REMOTE


@pytest.mark.parametrize("selected", ["DOCKER_CONTEXT", "config.json"])
def test_a_context_that_does_not_exist_is_an_error_and_not_the_local_engine(
    tmp_path: Path, selected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.delenv("DOCKER_CONTEXT", raising=False)
    if selected == "DOCKER_CONTEXT":
        monkeypatch.setenv("DOCKER_CONTEXT", "gone")
    else:
        (tmp_path / "config.json").write_text('{"currentContext": "gone"}')
    with pytest.raises(AddressError, match=f"{selected}.*'gone' not found.*docker context"):
        engine.connect()
    assert engine.remote_host() is None


def test_a_damaged_context_is_named(config: Path) -> None:
    (path,) = (config / "contexts" / "meta").glob(
        f"{hashlib.sha256(b'build').hexdigest()}/meta.json"
    )
    path.write_text('{"Endpoints": []}')
    with pytest.raises(AddressError, match=r"'build'.*meta\.json"):
        address.resolve({"DOCKER_CONFIG": str(config)})


def test_an_invalid_port_is_named() -> None:
    with pytest.raises(AddressError, match="DOCKER_HOST: invalid address 'tcp://h:port'"):
        address.resolve({"DOCKER_HOST": "tcp://h:port"})


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"DOCKER_HOST": "tcp://h", "DOCKER_TLS_VERIFY": "1"}, ("tcp://h:2376", True)),
        ({"DOCKER_HOST": "tcp://h:1", "DOCKER_TLS": "1"}, ("tcp://h:1", False)),
        ({"DOCKER_TLS_VERIFY": "1"}, ("tcp://localhost:2376", True)),
        # Only these two turn TLS on, and for no socket.
        ({"DOCKER_HOST": "tcp://h", "DOCKER_CERT_PATH": "/c"}, ("tcp://h:2375", None)),
        ({"DOCKER_HOST": "tcp://h", "DOCKER_TLS_VERIFY": ""}, ("tcp://h:2375", None)),
        ({"DOCKER_HOST": "unix:///s", "DOCKER_TLS_VERIFY": "1"}, ("unix:///s", None)),
        ({"DOCKER_HOST": "ssh://h", "DOCKER_TLS_VERIFY": "1"}, ("ssh://h", None)),
    ],
)
def test_tls_is_that_of_docker(
    tmp_path: Path, environ: dict[str, str], expected: tuple[str, bool | None]
) -> None:
    found = address.resolve({"DOCKER_CONFIG": str(tmp_path), **environ})
    assert (found.host, found.tls.verify if found.tls else None) == expected


@pytest.mark.parametrize(("chosen", "folder"), [({"DOCKER_CERT_PATH": "/c"}, "/c"), ({}, "/d")])
def test_certificates_are_where_docker_looks(chosen: dict[str, str], folder: str) -> None:
    environ = {"DOCKER_CONFIG": "/d", "DOCKER_HOST": "tcp://h", "DOCKER_TLS_VERIFY": "1"}
    assert address.resolve(environ | chosen).tls == Tls(Path(folder))


def test_a_context_brings_its_certificates(tmp_path: Path) -> None:
    folder = write_context(tmp_path, "tls", "tcp://h:2376", certificates=True)
    environ = {"DOCKER_CONFIG": str(tmp_path), "DOCKER_CONTEXT": "tls"}
    assert address.resolve(environ) == Address("tcp://h:2376", "context tls", Tls(folder))
    assert address.changes(environ) == {
        "DOCKER_HOST": "tcp://h:2376",
        "DOCKER_CONTEXT": None,
        "DOCKER_CERT_PATH": str(folder),
        "DOCKER_TLS_VERIFY": "1",
        "DOCKER_BUILDKIT": "0",
    }


def test_tls_without_verification_is_refused_for_the_provider_only(tmp_path: Path) -> None:
    write_context(tmp_path, "open", "tcp://h:2376", unverified=True)
    environ = {"DOCKER_CONFIG": str(tmp_path), "DOCKER_CONTEXT": "open"}
    assert address.resolve(environ).tls is not None
    with pytest.raises(AddressError, match=r"without verification.*context open"):
        address.changes(environ)
    assert address.applied(environ) == environ


@pytest.mark.parametrize(
    ("environ", "needed"),
    [
        ({"DOCKER_HOST": "tcp://h:1"}, {}),
        ({"DOCKER_HOST": "tcp://h"}, {"DOCKER_HOST": "tcp://h:2375"}),
        ({}, {"DOCKER_HOST": REMOTE}),
        ({"DOCKER_CONTEXT": "build"}, {"DOCKER_HOST": REMOTE, "DOCKER_CONTEXT": None}),
        ({"DOCKER_CONTEXT": "default"}, {"DOCKER_HOST": LOCAL, "DOCKER_CONTEXT": None}),
        ({"DOCKER_HOST": LOCAL, "DOCKER_CONTEXT": "build"}, {"DOCKER_CONTEXT": None}),
        ({"DOCKER_HOST": LOCAL, "DOCKER_CERT_PATH": "/c"}, {"DOCKER_CERT_PATH": None}),
    ],
)
def test_the_provider_and_the_builds_need_some_variables(
    config: Path, environ: dict[str, str], needed: dict[str, str | None]
) -> None:
    environ = {"DOCKER_CONFIG": str(config), **environ}
    assert address.changes(environ) == needed
    # With them everything agrees, and the engine is the same.
    after = address.applied(environ)
    assert address.changes(after) == {}
    assert address.resolve(after).host == address.resolve(environ).host


def test_the_commands_that_set_the_variables_are_in_the_error(config: Path) -> None:
    environ = {"DOCKER_CONFIG": str(config), "DOCKER_CONTEXT": "build"}
    with pytest.raises(AddressError) as raised:
        address.check(environ)
    message = str(raised.value)
    assert message.startswith(f"Docker uses the engine {REMOTE} (context build), but")
    commands = message.partition("environment: ")[2]
    names = ("DOCKER_CONFIG", "DOCKER_HOST", "DOCKER_CONTEXT")
    script = f"{commands}; env"
    shell = subprocess.run(["sh", "-c", script], env=environ, capture_output=True, check=True)
    lines = [line.partition("=") for line in shell.stdout.decode().splitlines()]
    address.check({name: value for name, _, value in lines if name in names})


def test_the_usual_machine_needs_no_variable(tmp_path: Path) -> None:
    environ = {"DOCKER_CONFIG": str(tmp_path), "PATH": "/bin"}
    assert address.changes(environ) == {}
    assert address.applied(environ) == environ


PROXY = "http://proxy:3128"


@pytest.mark.parametrize(
    ("host", "environ", "expected"),
    [
        ("tcp://10.1.2.3:2375", {}, None),
        ("tcp://10.1.2.3:2375", {"HTTP_PROXY": PROXY}, PROXY),
        ("tcp://10.1.2.3:2375", {"http_proxy": "proxy:3128"}, PROXY),
        ("tcp://10.1.2.3:2375", {"HTTPS_PROXY": PROXY, "ALL_PROXY": PROXY}, None),
        # Never for this machine, nor for a socket.
        ("tcp://127.0.0.1:2375", {"HTTP_PROXY": PROXY}, None),
        ("tcp://127.1.2.3:2375", {"HTTP_PROXY": PROXY}, None),
        ("tcp://localhost:2375", {"HTTP_PROXY": PROXY}, None),
        ("tcp://[::1]:2375", {"HTTP_PROXY": PROXY}, None),
        (LOCAL, {"HTTP_PROXY": PROXY, "ALL_PROXY": PROXY}, None),
        ("ssh://h", {"HTTP_PROXY": PROXY}, None),
        # NO_PROXY as Go reads it.
        *(
            (host, {"HTTP_PROXY": PROXY, "NO_PROXY": excluded}, PROXY if used else None)
            for host, excluded, used in (
                ("tcp://10.1.2.3:2375", "10.1.2.3", False),
                ("tcp://10.1.2.3:2375", "10.1.2.3:2375", False),
                ("tcp://10.1.2.3:2375", "10.1.2.3:80", True),
                ("tcp://10.1.2.3:2375", "example.org, 10.0.0.0/8", False),
                ("tcp://10.1.2.3:2375", "10.2.0.0/16", True),
                ("tcp://10.1.2.3:2375", "*", False),
                ("tcp://[fd00::2]:2375", "fd00::/8", False),
                ("tcp://[fd00::2]:2375", "fd00::2", False),
                ("tcp://[fd00::2]:2375", "[fd00::2]:2375", False),
                ("tcp://[fd00::2]:2375", "[fd00::2]:80", True),
                ("tcp://a.example.org:2375", "example.org", False),
                ("tcp://a.example.org:2375", ".example.org", False),
                ("tcp://a.example.org:2375", "*.example.org", False),
                ("tcp://example.org:2375", "example.org", False),
                ("tcp://example.org:2375", ".example.org", True),
                ("tcp://notexample.org:2375", "example.org", True),
                ("tcp://10.1.2.3:2375", ",/,", True),
            )
        ),
    ],
)
def test_the_proxy_is_the_one_that_docker_uses(
    host: str, environ: dict[str, str], expected: str | None
) -> None:
    assert Address(host).proxy(environ) == expected


def test_with_tls_it_is_the_proxy_for_https() -> None:
    found = Address("tcp://10.1.2.3:2376", "", Tls(Path("/c")))
    assert found.proxy({"HTTP_PROXY": "http://other", "HTTPS_PROXY": PROXY}) == PROXY


def test_an_error_says_which_engine_and_what_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
    with pytest.raises(engine.EngineError):
        client.connect()
    assert client.location() == "at tcp://127.0.0.1:1 (DOCKER_HOST)"


class Engine(http.server.BaseHTTPRequestHandler):
    """Answers what a client asks first, and notes how it was asked."""

    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.asked.append(f"{self.path} {self.headers.get('Authorization')}")
        body = json.dumps({"ApiVersion": "1.41", "Version": "20.10"}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:
        """Log nothing."""


@pytest.fixture
def server() -> Iterator[http.server.HTTPServer]:
    with http.server.HTTPServer(("127.0.0.1", 0), Engine) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        Engine.asked.clear()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_an_engine_on_tcp_is_asked_without_a_proxy(
    server: http.server.HTTPServer, variable: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password secret")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{server.server_port}")
    monkeypatch.setenv(variable, "http://127.0.0.1:1")
    assert engine.connect().version()["Version"] == "20.10"
    assert Engine.asked == ["/version None", "/v1.41/version None"]


def test_a_proxy_that_docker_uses_is_used(
    server: http.server.HTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://engine.invalid:2375")
    monkeypatch.setenv("HTTP_PROXY", f"127.0.0.1:{server.server_port}")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    engine.connect()
    assert Engine.asked == ["http://engine.invalid:2375/version None"]
