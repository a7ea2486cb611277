"""What breaks while it runs, and what one command mends."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from loadbalancer.engine.wait import Wait
from tests.stack.deployment import Deployment
from tests.stack.load import wrk

PATIENCE = Wait(timeout=300, interval=0.02)

pytestmark = pytest.mark.timeout(3600)


def plugins(folder: Path) -> list[str]:
    """List the processes that Pulumi started for a project's folder and that still run."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            works_in = (process / "cwd").readlink()
            command = os.fsdecode((process / "cmdline").read_bytes().replace(b"\0", b" "))
        except OSError:
            continue
        if works_in == folder and "pulumi" in command:
            found.append(f"{process.name} {command}")
    return found


@pytest.fixture
def new_version(own_stack: Deployment) -> Iterator[Deployment]:
    """A stack that is up, and new code for both apps that is not up yet."""
    own_stack.up()
    for app in ("app1", "app2"):
        path = own_stack.folder / "apps" / app / "app.py"
        path.write_text(path.read_text() + "\nVERSION = 2\n")
    yield own_stack


def test_a_killed_up_costs_no_request_and_repair_cleans_up(new_version: Deployment) -> None:
    stack = new_version
    known = set(stack.ids().values())
    # So that the update does not end while it is looked for.
    stack.set("settle", 120)
    with wrk(stack.url, method="GET") as load:
        update = stack.process(*stack.pulumi("up", "--yes", "--skip-preview"))

        def unknown_container() -> object:
            assert update.poll() is None, "the update ended before it could be killed"
            # A build has containers of its own, which go with it and have other names.
            now = {c.id for c in stack.labelled() if str(c.name).startswith("loadbalancer-")}
            return None if now - known else "none"

        try:
            PATIENCE.until("a container that the state does not know", unknown_container)
        finally:
            update.kill()
            update.wait()
        PATIENCE.until("the plugins to end", lambda: plugins(stack.folder) or None)
        stack.set("settle", 0)
        repair = stack.process(
            sys.executable, "-m", "loadbalancer", "repair", "--stack", stack.name
        )
        assert repair.wait(timeout=500) == 0
    assert load.failures == []
    assert load.requests > 100
    stack.up()
    assert sorted(stack.ids().values()) == sorted(str(c.id) for c in stack.labelled())
    stack.expect_no_changes()


def test_repair_does_not_take_the_lock_of_a_running_update(new_version: Deployment) -> None:
    stack = new_version
    command = (sys.executable, "-m", "loadbalancer", "repair", "--stack", stack.name)
    update = stack.process(*stack.pulumi("up", "--yes", "--skip-preview"))
    try:
        PATIENCE.until("the lock", lambda: None if stack.locks() else "no lock")
        # It must not end before it is found.
        update.send_signal(signal.SIGSTOP)
        assert stack.locks()
        repair = stack.process(*command, stderr=subprocess.PIPE)
        _, said = repair.communicate(timeout=300)
    finally:
        update.send_signal(signal.SIGCONT)
        code = update.wait(timeout=500)
    assert repair.returncode == 1
    assert f"process {update.pid} on " in said
    assert code == 0


def test_no_plugin_lives_on_after_an_ordinary_up(own_stack: Deployment) -> None:
    own_stack.up()
    PATIENCE.until("the plugins to end", lambda: plugins(own_stack.folder) or None)
