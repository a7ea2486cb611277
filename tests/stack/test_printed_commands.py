"""Commands that errors and hints print: each is run in the state in which it is printed.

The stack is not the selected one, so that a command without `--stack` would be noticed. The list of
all printed commands, and of the tests that run them, is in tests/unit/test_printed_commands.py.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import requests
import yaml

from loadbalancer import engine
from tests import configfile
from tests.stack import leftovers
from tests.stack.deployment import PROJECT, free_ports
from tests.stack.load import wrk

pytestmark = [
    pytest.mark.faults,
    pytest.mark.xdist_group("printed"),
    pytest.mark.timeout(1800),
]

CONFIG = """\
# As Pulumi writes it, except for this comment
config:
  loadbalancer:port: "{port}"
  loadbalancer:adminPort: "{admin}"
  loadbalancer:settle: "0"
  loadbalancer:rollout:
    atOnce: true
    stepTime: 1s
    interval: 1s
    minSamples: 1
    maxP99: 9s
"""
LONGEST = 900
ROUNDS = 3


@dataclass(frozen=True)
class Done:
    """A command that has ended: its exit code and all that it printed."""

    code: int
    printed: str


@dataclass
class Checkout:
    """A copy of the project as a clone has it, and a stack there that is not the selected one."""

    folder: Path
    port: int
    stack: str = field(default_factory=leftovers.new_stack_name)

    @property
    def file(self) -> Path:
        """File with the stack's configuration."""
        return self.folder / f"Pulumi.{self.stack}.yaml"

    def run(self, command: str) -> Done:
        """Run a command in a new shell, which knows nothing of earlier ones."""
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=self.folder,
            env={
                key: value
                for key, value in os.environ.items()
                if not key.startswith(("PULUMI", "LOADBALANCER")) and key != "STACK"
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=LONGEST,
            check=False,
        )
        return Done(done.returncode, done.stdout)

    def lb(self, verb: str, code: int = 0) -> str:
        """Run a verb for the stack; returns what it printed."""
        done = self.run(f"./lb {verb} --stack {self.stack}")
        assert done.code == code, done.printed
        return done.printed

    def pulumi(self, command: str) -> Done:
        """Run plain pulumi with the environment of the folder."""
        return self.run(f'eval "$(./lb env)" && pulumi {command}')

    def preview(self, *options: str) -> Done:
        return self.pulumi(f"preview --non-interactive --stack {self.stack} {' '.join(options)}")

    def follow(self, text: str, expected: str) -> Done:
        """Run the command that a text prints, which has to be the expected one."""
        command = expected.format(stack=self.stack)
        assert re.search(rf"{re.escape(command)}(?=[.,;]? *$|[.;] )", text, re.MULTILINE), text
        done = self.pulumi(command.partition(" ")[2]) if command.startswith("pulumi") else None
        return done or self.run(command)

    def answers(self) -> set[str]:
        """Ask nginx ten times; returns the apps that answer."""
        url = f"http://127.0.0.1:{self.port}"
        bodies = [requests.get(url, timeout=60).text for _ in range(30)]
        return {found.group().lower() for body in bodies if (found := re.search(r"App\d", body))}


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    """A stack that has a configuration and is not up yet."""
    folder = tmp_path_factory.mktemp("printed") / "project"
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=PROJECT, stdout=subprocess.PIPE, text=True, check=True
    )
    for name in listed.stdout.rstrip("\0").split("\0"):
        if (PROJECT / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(PROJECT / name, folder / name, follow_symlinks=False)
    (folder / ".venv").symlink_to(PROJECT / ".venv")
    port, admin = free_ports(2)
    found = Checkout(folder, port)
    found.file.write_text(CONFIG.format(port=port, admin=admin))
    try:
        yield found
    finally:
        if (folder / ".state").exists():
            found.run("./lb clean --yes")
        leftovers.remove(engine.connect(), found.stack)


def test_a_stack_that_does_not_exist_is_created(checkout: Checkout) -> None:
    before = checkout.file.read_text()
    done = checkout.follow(checkout.lb("status", 1), "./lb up --stack {stack}")
    assert done.code == 0, done.printed
    assert checkout.answers() == {"app1", "app2"}
    checkout.lb("status")
    # Neither a salt nor the names of base images that this machine has made.
    assert checkout.file.read_text() == before
    assert checkout.preview("--expect-no-changes").code == 0


FAULTS = (
    "weights app1=six,app2=3",
    "--path apps.app1.replicas true",
    "limits memory=1,cpus=2",
    "port 80800",
    "wieghts app1=7",
    "directPorts app1=x",
    "--secret drain 0",
    "--path rollout.canary 5%",
)


def test_the_commands_for_an_invalid_configuration_make_it_valid(checkout: Checkout) -> None:
    before = checkout.file.read_text()
    option = f"--stack {checkout.stack}"
    for fault in FAULTS:
        done = checkout.pulumi(f"config set {option} {fault}")
        assert done.code == 0, done.printed
    try:
        done = checkout.preview()
        assert done.code != 0
        for _ in range(ROUNDS):
            _, _, faulty = done.printed.partition("invalid configuration for stack ")
            fixes = re.findall(r"(?:Set it|Remove it|[Uu]se another): (pulumi .*)", faulty)
            assert fixes or done.code == 0, done.printed
            for command in configfile.commands(" && ".join(dict.fromkeys(fixes))):
                fixed = checkout.pulumi(command.partition(" ")[2])
                assert fixed.code == 0, f"{command}\n{fixed.printed}"
            done = checkout.preview()
        assert done.code == 0, done.printed
        values = yaml.safe_load(checkout.file.read_text())["config"]
        assert values["loadbalancer:weights"] == "app1=6,app2=3"
        assert values["loadbalancer:limits"] == "memory=256,cpus=2"
        assert values["loadbalancer:port"] == str(checkout.port)  # the deployed one
        assert set(values["loadbalancer:drain"]) == {"secure"}
    finally:
        checkout.file.write_text(before)


def test_an_app_that_leaves_is_named_and_kept(checkout: Checkout) -> None:
    before = checkout.file.read_text()
    try:
        checkout.pulumi(f"config set weights app1=6 --stack {checkout.stack}")
        done = checkout.preview()
        assert done.code == 0, done.printed
        leaves = "app2 leaves: it is not in weights; 1 container is removed. To keep it: "
        assert leaves in done.printed
        command = "pulumi config set weights app1=6,app2=4 --stack {stack}"
        assert checkout.follow(done.printed, command).code == 0
        done = checkout.preview("--expect-no-changes")
        assert done.code == 0, done.printed
        assert " leaves" not in done.printed
        # --path on a list replaces it: what leaves then is said as well.
        shutil.copytree(checkout.folder / "apps/app2", checkout.folder / "apps/web")
        done = checkout.preview()
        command = "pulumi config set weights app1=6,app2=4,web=1 --stack {stack}"
        assert checkout.follow(done.printed, command).code == 0
        assert "create" in checkout.preview().printed
    finally:
        checkout.file.write_text(before)
        shutil.rmtree(checkout.folder / "apps/web", ignore_errors=True)


def test_a_new_app_answers_after_the_commands_of_app_new(checkout: Checkout) -> None:
    done = checkout.run(f"PULUMI_STACK={checkout.stack} ./lb app new app3")
    assert done.code == 0, done.printed
    (command,) = re.findall(r"^eval .*", done.printed, re.MULTILINE)
    done = checkout.run(command)
    assert done.code == 0, done.printed
    assert checkout.answers() == {"app1", "app2", "app3"}
    done = checkout.run("./lb app new app3")
    assert done.code == 1
    assert checkout.follow(done.printed, "./lb app new app4").code == 0
    shutil.rmtree(checkout.folder / "apps/app4")


def test_a_broken_stack_is_found_and_repaired(checkout: Checkout) -> None:
    containers = leftovers.containers(engine.connect(), checkout.stack)
    (nginx,) = (one for one in containers if "nginx" in str(one.name))
    nginx.stop()
    printed = checkout.lb("watch --count 1", 1)
    done = checkout.follow(printed, "./lb status --stack {stack}")
    assert done.code == 2, done.printed
    assert str(nginx.name) in done.printed
    done = checkout.follow(done.printed, "./lb repair --stack {stack}")
    assert done.code == 0, done.printed
    checkout.lb("status")
    assert checkout.answers() == {"app1", "app2", "app3"}


def test_a_missing_target_and_rollout_are_answered_with_a_command_that_works(
    checkout: Checkout,
) -> None:
    command = "./lb rollout start --to app1=0,app2=0,app3=100 --stack {stack}"
    printed = checkout.lb("rollout start", 2)
    assert command.format(stack=checkout.stack) in printed
    printed = checkout.lb("rollout resume", 1)
    with wrk(f"http://127.0.0.1:{checkout.port}", method="GET", rate=50):
        done = checkout.follow(printed, command)
    assert done.code == 0, done.printed
    assert checkout.answers() == {"app3"}
    printed = checkout.lb("rollback 99", 2)
    done = checkout.follow(printed, "./lb history --stack {stack}")
    assert done.code == 0
    assert "rollout" in done.printed
    assert "encryptionsalt" not in checkout.file.read_text()


def test_what_needs_a_stack_that_is_up_says_how_to_bring_it_up(checkout: Checkout) -> None:
    checkout.lb("down")
    command = "./lb up --stack {stack}"
    up = command.format(stack=checkout.stack)
    for verb in ("logs", "watch --count 1", "rollout start --to app1=1,app2=0,app3=0"):
        assert up in checkout.lb(verb, 1)
    done = checkout.follow(checkout.lb("status"), command)
    assert done.code == 0, done.printed
    assert checkout.answers() == {"app3"}


def test_an_invalid_configuration_in_a_shell_without_pulumi(checkout: Checkout) -> None:
    before = checkout.file.read_text()
    try:
        checkout.pulumi(f"config set --path weights.app1 x --stack {checkout.stack}")
        printed = checkout.lb("up", 1)
        environment = 'eval "$(./lb env)"'
        assert environment in printed
        command = f"pulumi config set --path weights.app1 0 --stack {checkout.stack}"  # deployed
        assert command in printed
        done = checkout.run(f"{environment} && {command}")
        assert done.code == 0, done.printed
        assert checkout.preview("--expect-no-changes").code == 0
    finally:
        checkout.file.write_text(before)


def test_the_last_folder_of_an_app_is_created(checkout: Checkout) -> None:
    apps = checkout.folder / "apps"
    kept = checkout.folder.parent / "kept"
    kept.mkdir()
    before = checkout.file.read_text()
    for app in ("app1", "app2", "app3"):
        shutil.move(apps / app, kept / app)
    try:
        checkout.pulumi(f"config rm weights --stack {checkout.stack}")
        done = checkout.preview()
        assert done.code != 0
        assert checkout.follow(done.printed, "./lb app new app1").code == 0
        assert checkout.preview().code == 0
    finally:
        shutil.rmtree(apps / "app1", ignore_errors=True)
        for app in ("app1", "app2", "app3"):
            shutil.move(kept / app, apps / app)
        checkout.file.write_text(before)
