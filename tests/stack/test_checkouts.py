"""Two checkouts on one engine: whose stack it is, after renames and when a state is lost."""

import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest
import requests
import yaml

from loadbalancer import engine, names
from loadbalancer.engine import container
from loadbalancer.state.project import Project
from tests.stack import leftovers
from tests.stack.deployment import PROJECT, free_ports
from toolchain import environment, pulumicli

PARTS = ("Pulumi.yaml", "__main__.py", "lb", "loadbalancer", "toolchain", "apps", "nginx")
LONGEST = 900

Done = subprocess.CompletedProcess[str]


@dataclass
class Checkout:
    """A clone of the project, in which a person works with a shell."""

    folder: Path
    stack: str
    shell: dict[str, str]
    """The environment of the shell, in which `evaluate` sets variables."""
    config: dict[str, object] = field(default_factory=dict)

    def run(self, *command: str, **more: str) -> Done:
        """Run a command."""
        return subprocess.run(
            command,
            cwd=self.folder,
            env={**self.shell, "PWD": str(self.folder), **more},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=LONGEST,
            check=False,
        )

    def lb(self, *verb: str, **more: str) -> Done:
        """Run a verb for the stack."""
        return self.run(sys.executable, "lb", *verb, "--stack", self.stack, **more)

    def pulumi(self, *arguments: str, **more: str) -> Done:
        """Run plain pulumi for the stack."""
        own = ("--stack", self.stack) if arguments[:2] != ("stack", "init") else (self.stack,)
        return self.run("pulumi", *arguments, *own, "--non-interactive", **more)

    def evaluate(self) -> None:
        """Take the environment of this checkout into the shell, as README says."""
        script = f'eval "$({shlex.quote(sys.executable)} lb env)" && env -0'
        done = self.run("sh", "-euc", script)
        assert done.returncode == 0, done.stderr
        pairs = (entry.partition("=") for entry in done.stdout.split("\0") if entry)
        self.shell = {name: value for name, _, value in pairs}

    def configure(self, **values: object) -> None:
        """Write the file of the stack, which may not exist yet."""
        self.config |= values
        name = yaml.safe_load((self.folder / "Pulumi.yaml").read_text())["name"]
        config = {f"{name}:{key}": value for key, value in self.config.items()}
        file = self.folder / f"Pulumi.{self.stack}.yaml"
        before = yaml.safe_load(file.read_text()) if file.exists() else {}
        file.write_text(yaml.safe_dump({**(before or {}), "config": config}))

    @property
    def project(self) -> Project:
        """The project, as a verb finds it."""
        return Project.find(self.folder, self.shell)

    def output(self, name: str) -> str:
        """Read an output of the stack."""
        return self.pulumi("stack", "output", name).stdout.strip()


@dataclass(frozen=True)
class Two:
    """Checkout A, whose stack is up, and B, a fresh clone that has none."""

    a: Checkout
    b: Checkout

    def containers(self) -> dict[str, str]:
        """Find the running containers of A by their IDs."""
        every = leftovers.containers(engine.connect(), self.a.stack)
        return {str(one.id): str(one.name) for one in every if one.status == "running"}

    @contextmanager
    def untouched(self) -> Iterator[None]:
        """Check that the containers of A serve on, whatever is done meanwhile."""
        before = self.containers()
        assert len(before) == 3
        yield
        assert self.containers() == before
        assert requests.get(self.a.output("url"), timeout=30).ok


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory, base_images: Mapping[str, str]) -> Iterator[Two]:
    """Two checkouts, with a stack of the same name and the same ports; that of A is up."""
    root = tmp_path_factory.mktemp("checkouts").resolve()
    home = root / "home"
    home.mkdir()
    for part in ("bin", "plugins"):
        (home / part).symlink_to(pulumicli.home() / part)
    own = (environment.CHECKOUT, environment.BACKEND, *environment.PASSPHRASES, "PULUMI_STACK")
    shell = {name: value for name, value in os.environ.items() if name not in own}
    shell["PULUMI_HOME"] = str(home)
    name = leftovers.new_stack_name()
    admin, direct = free_ports(2)
    config = {
        "baseImages": dict(base_images),
        "port": 0,
        "adminPort": admin,
        "apps": {"app2": {"directPort": direct}},
        "settle": 0,
    }
    checkouts = [clone(root / folder, name, shell, config) for folder in ("a", "b")]
    found = Two(*checkouts)
    try:
        found.a.evaluate()
        done = found.a.lb("up")
        assert done.returncode == 0, done.stdout + done.stderr
        yield found
    finally:
        leftovers.remove(engine.connect(), name)


def clone(folder: Path, name: str, shell: dict[str, str], config: dict[str, object]) -> Checkout:
    """Copy the project to a folder."""
    folder.mkdir()
    for part in PARTS:
        source = PROJECT / part
        if source.is_dir():
            left_out = shutil.ignore_patterns("build", "cmd", "shim", "__pycache__")
            shutil.copytree(source, folder / part, ignore=left_out)
        else:
            shutil.copy2(source, folder / part)
    for part in (".venv", "requirements.txt"):
        (folder / part).symlink_to(PROJECT / part)
    found = Checkout(folder, name, dict(shell))
    found.configure(**config)
    return found


def commands(text: str, start: str) -> list[list[str]]:
    """Find the commands in a message."""
    return [
        shlex.split(one) for one in re.findall(rf"{re.escape(start)}[^\n]*?(?=\.? *$)", text, re.M)
    ]


@pytest.mark.faults
def test_the_stack_that_was_brought_up_is_selected_and_its_checkout_is_named(two: Two) -> None:
    shown = two.a.run("pulumi", "stack", "--show-name", "--non-interactive").stdout.strip()
    assert shown == two.a.stack
    for verb in ("status", "history", "logs", "rollout status"):
        done = two.a.run(sys.executable, "lb", *verb.split())
        assert done.returncode == 0, done.stdout + done.stderr
    for one in container.find(engine.connect(), {names.STACK: two.a.stack}):
        assert one.labels[names.CHECKOUT] == f"{socket.gethostname()}:{two.a.folder}"
        assert one.labels[names.BACKEND] == ".state"


@pytest.mark.faults
def test_a_checkout_does_nothing_to_the_stack_whose_environment_the_shell_has(two: Two) -> None:
    b = two.b
    b.shell = dict(two.a.shell)
    with two.untouched():
        for verb in ("down", "status", "logs", "history", "rollout status", "repair"):
            done = b.lb(*verb.split())
            assert (done.returncode, done.stdout) == (1, ""), (verb, done.stdout)
            assert f"note: this shell has the environment of {two.a.folder}" in done.stderr
            assert f"no stack named '{b.stack}' found" in done.stderr
        for command in ("destroy --yes --skip-preview", "up --yes --skip-preview", "cancel --yes"):
            done = b.pulumi(*command.split())
            assert done.returncode != 0
            assert f"no stack named '{b.stack}' found" in done.stderr
        assert b.pulumi("stack", "init").returncode == 0
        done = b.pulumi("up", "--yes", "--skip-preview")
        assert done.returncode != 0
        assert f"environment of {two.a.folder}, not of {b.folder}" in done.stdout
        assert f'cd {b.folder} && eval "$(./lb env)"' in done.stdout
        assert b.pulumi("destroy", "--yes", "--skip-preview").returncode == 0
        done = b.lb("logs")
        assert done.returncode == 1
        assert "has no container" in done.stderr
        # The printed command helps: the passphrase is that of B, with which the stack begins anew.
        assert b.pulumi("stack", "rm", "--yes").returncode == 0
        b.configure()
        b.evaluate()
        assert str(two.a.folder) not in json.dumps(b.shell)
        assert "note" not in b.lb("down").stderr


@pytest.mark.faults
def test_a_port_of_another_checkout_is_refused_with_its_stack_and_a_free_one(two: Two) -> None:
    b = two.b
    b.evaluate()
    with two.untouched():
        done = b.lb("up")
        printed = done.stdout + done.stderr
        assert done.returncode == 1
        whose = f"of stack {two.a.stack} of {socket.gethostname()}:{two.a.folder}"
        for key in ("adminPort", "apps.app2.directPort"):
            assert re.search(rf"{re.escape(key)}: \d+ is in use .* {re.escape(whose)}", printed), (
                printed
            )
        assert not (
            b.project.checkpoints(b.stack) and b.pulumi("stack", "output").stdout.count("http")
        )
        for command in set(map(tuple, commands(printed, "pulumi config set"))):
            assert b.run(*command).returncode == 0
        done = b.pulumi("preview")
        assert done.returncode == 0, done.stdout + done.stderr
        assert b.lb("down").returncode == 0


@pytest.mark.faults
def test_a_copy_of_a_checkout_does_not_act_on_its_stack(two: Two) -> None:
    folder = two.a.folder.parent / "copy"
    shutil.copytree(two.a.folder, folder, symlinks=True)
    copy = Checkout(folder, two.a.stack, dict(two.b.shell))
    copy.evaluate()
    with two.untouched():
        for verb in ("down", "status", "logs", "repair", "up"):
            done = copy.lb(verb)
            assert done.returncode == 1, done.stdout
            assert f"is a copy of {two.a.folder}" in done.stderr
        done = copy.pulumi("up", "--yes", "--skip-preview")
        assert done.returncode != 0
        assert f"is a copy of {two.a.folder}" in done.stdout
        (command,) = set(map(tuple, commands(copy.lb("status").stderr, "rm -r")))
        assert command == ("rm", "-r", str(folder / ".state"))
        assert copy.run(*command).returncode == 0
        copy.evaluate()
        done = copy.lb("status")
        assert done.returncode == 1
        assert f"no stack named '{copy.stack}' found" in done.stderr
    shutil.rmtree(folder)


@pytest.mark.faults
def test_a_passphrase_of_another_project_is_named_with_the_file_without_it(two: Two) -> None:
    variable = "PULUMI_CONFIG_PASSPHRASE"
    # Without an encrypted value no passphrase is wrong.
    assert two.a.pulumi("config", "set", "--secret", "other:token", "secret").returncode == 0
    with two.untouched():
        for verb in ("up", "down"):
            done = two.a.lb(verb, **{variable: "of another project"})
            assert done.returncode == 1
            said = done.stderr.splitlines()[-1]
            assert "incorrect passphrase. It is that of PULUMI_CONFIG_PASSPHRASE" in said
            assert (
                f"{two.a.folder}/.state/passphrase is used: unset PULUMI_CONFIG_PASSPHRASE" in said
            )
        ((*command,),) = commands(said, "unset")
        script = f"{shlex.join(command)} && ./lb up --stack {shlex.quote(two.a.stack)}"
        done = two.a.run("sh", "-c", script, **{variable: "of another project"})
        assert done.returncode == 0, done.stderr


def expect_as_before(checkout: Checkout) -> None:
    """Check that everything goes on: preview, status, logs, history and rollouts."""
    done = checkout.pulumi("preview", "--expect-no-changes")
    assert done.returncode == 0, done.stdout + done.stderr
    done = checkout.lb("status")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "app1-1" in checkout.lb("logs").stdout
    updates = json.loads(checkout.lb("history", "--json").stdout)
    assert updates[0]["weights"] == {"app1": 6, "app2": 4}, updates
    assert checkout.lb("rollout", "status").returncode == 0


@pytest.mark.faults
def test_a_renamed_stack_project_and_folder_go_on(two: Two) -> None:
    a, first, folder = two.a, two.a.stack, two.a.folder
    file = folder / "Pulumi.yaml"
    with two.untouched():
        # `untouched` finds the containers by their label, which keeps the first name.
        assert a.pulumi("stack", "rename", f"{first}-renamed").returncode == 0
        a.stack = f"{first}-renamed"
        expect_as_before(a)

        file.write_text(file.read_text().replace("name: loadbalancer", "name: balancer", 1))
        done = a.lb("status")
        assert done.returncode == 1
        (command,) = commands(done.stderr, "pulumi stack rename")
        done = a.run(*command)
        assert done.returncode == 0, done.stderr
        done = a.pulumi("preview")
        assert done.returncode != 0
        assert "has keys of its former name: loadbalancer:adminPort" in done.stdout
        a.configure()
        expect_as_before(a)

        a.folder = folder.with_name("moved")
        folder.rename(a.folder)
        a.evaluate()
        expect_as_before(a)
        a.configure(weights={"app1": 1, "app2": 1})
        done = a.pulumi("up", "--yes", "--skip-preview")
        assert done.returncode == 0, done.stdout
        assert "replaced" not in done.stdout
        a.configure(weights={"app1": 6, "app2": 4})
        assert a.lb("repair").returncode == 0

        a.folder.rename(folder)
        a.folder = folder
        a.evaluate()
        file.write_text(file.read_text().replace("name: balancer", "name: loadbalancer", 1))
        back = [f"organization/{name}/{a.stack}" for name in ("balancer", "loadbalancer")]
        assert a.run("pulumi", "stack", "rename", "--stack", *back).returncode == 0
        a.configure()
        assert a.pulumi("stack", "rename", first).returncode == 0
        a.stack = first
        expect_as_before(a)


@pytest.mark.faults
def test_a_stack_whose_state_was_lost_is_named_taken_over_and_removed(two: Two) -> None:
    a, before = two.a, two.containers()
    url = a.output("url")
    a.configure(port=int(url.rpartition(":")[2]))
    shutil.rmtree(a.folder / ".state")
    a.evaluate()
    for verb in ("status", "repair", "down", "repair --orphans adopt", "up"):
        done = a.lb(*verb.split())
        assert done.returncode == 1, (verb, done.stdout)
        printed = done.stdout + done.stderr
        assert f"--stack {a.stack} --orphans remove" in printed, (verb, printed)
        if "adopt" not in verb:
            assert all(name in printed for name in before.values()), (verb, printed)
        assert two.containers() == before
    with clients(url) as failed_at:
        done = a.lb("repair", "--orphans", "remove")
        assert done.returncode == 0, done.stdout + done.stderr
        assert a.lb("status").returncode == 0
    assert not set(two.containers()) & set(before)
    left = leftovers.containers(engine.connect(), a.stack)
    assert len({one.labels[names.NETWORK] for one in left}) == 1
    # The lost stack has served until there was something to take over.
    ready = max(one.attrs["State"]["StartedAt"] for one in left if names.APP in one.labels)
    assert all(at > ready for at in failed_at), (ready, failed_at[0])


@contextmanager
def clients(url: str) -> Iterator[list[str]]:
    """Send requests one after the other; yields when each that failed began, as Docker tells it."""
    failed_at: list[str] = []
    done = threading.Event()

    def ask() -> None:
        while not done.wait(0.05):
            now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
            try:
                requests.get(url, timeout=30).raise_for_status()
            except requests.RequestException:
                failed_at.append(now)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield failed_at
    finally:
        done.set()
        thread.join()
    if failed_at:
        print(f"requests failed from {failed_at[0]} to {failed_at[-1]}")


@pytest.mark.faults
def test_down_removes_what_a_lost_state_has_left_when_told_so(two: Two) -> None:
    a = two.a
    shutil.rmtree(a.folder / ".state")
    a.evaluate()
    assert two.b.lb("down", "--orphans", "remove").returncode == 0
    assert len(two.containers()) == 3
    done = a.run(sys.executable, "lb", "clean", "--yes")
    assert "./lb clean --orphans remove" in done.stdout
    assert len(two.containers()) == 3
    done = a.run("sh", "-c", "echo yes | ./lb clean --orphans remove")
    assert done.returncode == 0, done.stderr
    assert leftovers.find(engine.connect(), a.stack) == []
