"""Updates that are killed or still running, and what `./lb repair` does about them."""

import os
import signal
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from loadbalancer.engine.wait import Wait
from tests.stack.deployment import Deployment
from tests.stack.editing import change
from tests.stack.load import wrk

PATIENCE = Wait(timeout=300, interval=0.02)

pytestmark = [pytest.mark.faults, pytest.mark.timeout(3600)]


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
def new_version(changing_stack: Deployment) -> Deployment:
    """A stack that is up, and new code for both apps that is not up yet."""
    changing_stack.up()
    for app in ("app1", "app2"):
        change(changing_stack, app, f"\nVERSION = {uuid.uuid4().hex!r}\n")
    return changing_stack


def repair(stack: Deployment) -> tuple[int, str]:
    """Run `repair`; returns its exit code and what it printed as errors."""
    command = (sys.executable, "-m", "loadbalancer", "repair", "--stack", stack.name)
    process = stack.process(*command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    _, errors = process.communicate(timeout=500)
    return process.returncode, errors


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
            PATIENCE.until("a container that is not in the state", unknown_container)
        finally:
            update.kill()
            update.wait()
        PATIENCE.until("the plugins to end", lambda: plugins(stack.folder) or None)
        stack.set("settle", 0)
        code, errors = repair(stack)
        assert code == 0, errors
    assert load.failures == []
    assert load.requests > 100
    stack.up()
    assert sorted(stack.ids().values()) == sorted(str(c.id) for c in stack.labelled())


def test_repair_does_not_take_the_lock_of_a_running_update(new_version: Deployment) -> None:
    stack = new_version
    update = stack.process(*stack.pulumi("up", "--yes", "--skip-preview"))
    try:
        PATIENCE.until("the lock", lambda: None if stack.locks() else "no lock")
        # It must not end before it is found.
        update.send_signal(signal.SIGSTOP)
        assert stack.locks()
        repaired, errors = repair(stack)
    finally:
        update.send_signal(signal.SIGCONT)
        code = update.wait(timeout=500)
    assert repaired == 1
    assert f"process {update.pid} " in errors
    assert code == 0
    # No plugin lives on after an update that was not killed.
    PATIENCE.until("the plugins to end", lambda: plugins(stack.folder) or None)
