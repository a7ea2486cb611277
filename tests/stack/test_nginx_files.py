"""nginx.conf, njs and the page in the running nginx: changed at no cost, or not at all."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest
import requests

from loadbalancer import engine
from loadbalancer.engine import exec
from loadbalancer.engine.wait import Wait
from loadbalancer.nginx.live_files import FilesError, LiveFiles
from loadbalancer.nginx.process import CURRENT, FILES_FOLDER, ROUTE_FOLDER
from loadbalancer.providers import nginx_files
from loadbalancer.state.pulumi import PulumiError
from tests.stack.deployment import Changes, Deployment
from tests.stack.failing import wait_until_answered
from tests.stack.load import wrk

SIZE = "keepalive_timeout 75s"

Edit = Callable[[str, str, str], None]


@pytest.fixture
def edit(stack: Deployment) -> Edit:
    """Write a file of nginx's folder with another text in it; each edit is one of the first text.

    The next test that takes the stack sets its files back.
    """
    before: dict[Path, str] = {}

    def replace(name: str, old: str, new: str) -> None:
        path = stack.folder / "nginx" / name
        text = before.setdefault(path, path.read_text())
        assert old in text
        path.write_text(text.replace(old, new))

    return replace


def inside(stack: Deployment, *command: str, user: str = "") -> str:
    """Run a command in nginx's container; returns what it printed."""
    code, printed = exec.run(stack.nginx(), command, user=user)
    assert code == 0, printed
    return printed.strip()


def versions(stack: Deployment) -> int:
    """Count the versions in the volume, used or not."""
    return len(inside(stack, "find", FILES_FOLDER, "-name", "nginx.conf").splitlines())


def signals(stack: Deployment, since: int) -> list[str]:
    """List the signals that the engine has sent to nginx since a time (epoch seconds)."""
    wanted = {"container": stack.nginx().id, "event": "kill"}
    until = int(time.time()) + 1
    found = engine.connect().events(since=since, until=until, filters=wanted, decode=True)
    return [event["Action"] for event in found]


def operations(changes: Changes) -> Changes:
    """Count what an update did, by operation, without what it left as it was."""
    return {kind: count for kind, count in changes.items() if kind != "same"}


def test_a_change_costs_no_request_and_replaces_nothing(stack: Deployment, edit: Edit) -> None:
    before, admin = stack.ids(), stack.output("adminUrl")
    began = int(time.time())
    with (
        wrk(stack.url, method="GET") as get,
        wrk(stack.url, method="POST", body="name=value") as post,
        wrk(stack.url, method="GET", keep_alive=False) as short,
    ):
        for version in (1, 2):
            header = f"add_header X-Version {version} always;"
            edit("nginx.conf", "proxy_pass http://apps;", f"{header} proxy_pass http://apps;")
            edit("admin/index.html", "<h1>", f"<h1>Version {version}: ")
            edit("njs/exposition.js", "Versions of the image", f"Versions {version} of the image")
            assert operations(stack.up()) == {"update": 1}
            assert requests.get(stack.url, timeout=30).headers["X-Version"] == str(version)
            page, figures = (
                requests.get(f"{admin}{path}", timeout=30) for path in ("/", "/metrics")
            )
            assert f"Version {version}: " in page.text
            assert f"Versions {version} of the image" in figures.text
    for load in (get, post, short):
        assert load.failures == []
        assert load.requests > 100
    assert stack.ids() == before
    assert versions(stack) == 1
    assert stack.shares(10) == {"app1": 6, "app2": 4}
    # After a signal of the engine's, Docker does not start a container again with the machine.
    assert signals(stack, began) == []


def test_an_nginx_that_was_stopped_is_started_with_its_new_files(
    stack: Deployment, edit: Edit
) -> None:
    before, began = stack.ids(), int(time.time())
    stack.nginx().stop()
    assert signals(stack, began) == ["kill"]
    edit("nginx.conf", "proxy_pass http://apps;", "add_header X-New 1; proxy_pass http://apps;")
    assert operations(stack.up()) == {"update": 1}
    assert requests.get(stack.url, timeout=30).headers["X-New"] == "1"
    assert stack.ids() == before


@pytest.mark.faults
def test_what_nginx_refuses_is_reported_in_its_words_and_nothing_changes(
    stack: Deployment, edit: Edit
) -> None:
    before, served = stack.ids(), LiveFiles(stack.nginx()).in_force()
    edit("nginx.conf", SIZE, "keepalive_timeout much")
    with pytest.raises(PulumiError, match=r"invalid value in nginx.conf:\d+"):
        stack.up()
    assert stack.ids() == before
    assert LiveFiles(stack.nginx()).in_force() == served
    assert stack.shares(10) == {"app1": 6, "app2": 4}


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        ("nginx.conf", b"js_path njs;", b"", 'Cannot load module "record.js"'),
        ("njs/record.js", b"function", b"fonction", "SyntaxError"),
        ("nginx.conf", b"listen 127.0.0.1:8081;", b"listen 192.0.2.1:8081;", "bind"),
        # nginx accepts this one, but cannot report which generation it serves by.
        pytest.param(
            "nginx.conf",
            b"/generation {",
            b"/other {",
            "new workers to serve; last seen: nginx answ",
            marks=pytest.mark.faults,
        ),
    ],
)
def test_what_fails_leaves_the_old_files_serving(
    stack: Deployment, name: str, old: bytes, new: bytes, message: str
) -> None:
    nginx = LiveFiles(stack.nginx(), Wait(timeout=5))
    served = nginx.in_force()
    files = nginx_files.read(stack.folder / "nginx")
    assert old in files[name]
    with pytest.raises(FilesError, match=message):
        nginx.apply({**files, name: files[name].replace(old, new)})
    assert nginx.in_force() == served
    assert versions(stack) == 1
    assert stack.shares(10) == {"app1": 6, "app2": 4}


@pytest.mark.faults
def test_hand_edited_files_are_found_and_restored(stack: Deployment) -> None:
    desired = LiveFiles(stack.nginx()).in_force()
    inside(stack, "sed", "-i", "s/75s/76s/", f"{CURRENT}/nginx.conf", user="0")
    inside(stack, "rm", f"{CURRENT}/admin/page.js", user="0")
    assert operations(stack.refresh()) == {"update": 1}
    assert operations(stack.up()) == {"update": 1}
    assert LiveFiles(stack.nginx()).in_force() == desired


@pytest.mark.faults
def test_files_that_nginx_has_not_loaded_are_found_and_loaded(stack: Deployment) -> None:
    # As a process leaves it that was killed between writing and the reload.
    inside(
        stack, "sed", "-i", "s/default .*;/default x;/", f"{ROUTE_FOLDER}/generation.conf", user="0"
    )
    assert operations(stack.refresh()) == {"update": 2}
    assert operations(stack.up()) == {"update": 2}
    assert operations(stack.refresh()) == {}


@pytest.mark.faults
def test_an_nginx_that_starts_again_serves_by_its_files(stack: Deployment, edit: Edit) -> None:
    edit("nginx.conf", SIZE, "keepalive_timeout 76s")
    stack.up()
    expected = LiveFiles(stack.nginx()).in_force()
    stack.nginx().restart()
    wait_until_answered(stack, forgives=(requests.RequestException,))
    assert LiveFiles(stack.nginx()).in_force() == expected
    assert stack.shares(10) == {"app1": 6, "app2": 4}
