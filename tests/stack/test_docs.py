"""The commands of README.md and docs/, run in a fresh clone as they are in the pages.

Only names and ports that may be in use on this host are replaced.
"""

import os
import re
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import reduce
from math import gcd
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from tests import docs
from tests.docs import PAGES, PROJECT, README, Command
from tests.stack import leftovers
from tests.stack.deployment import free_ports
from tests.stack.load import wrk

pytestmark = [pytest.mark.xdist_group("docs"), pytest.mark.timeout(3600)]

ENVIRONMENTS = "./lb up --stack staging"
"""The README's command from which on it needs `make faults`: other stacks, rollouts, repair."""
DESTROY = "./lb down"
"""The README's command from which on the stack is destroyed; other pages run before it."""

ELSEWHERE = {
    "make test": "runs this test",
    "./lb watch": "runs until Ctrl-C: tests/stack/test_watch.py",
    "./lb watch --interval 5 --count 12": "takes a minute: tests/stack/test_watch.py",
    "./lb repair --stack staging": "the README repairs a stack; also tests/faults/test_repair.py",
    "./lb clean --yes": "the README cleans with a confirmation: tests/unit/test_state_clean.py",
    "prometheus --config.file=monitoring/prometheus.yml": "tests/stack/test_prometheus.py",
    "promtool test rules monitoring/rules_test.yml": "tests/unit/test_monitoring.py",
    **dict.fromkeys(
        (
            "./lb rollout start --to app1=0,app2=100",
            "./lb rollout start --to app1=0,app2=100 --linear 10%/60s",
            "./lb rollout start --to app1=0,app2=100 --canary 5%/10min"
            " --max-error-rate 0.5% --max-p99 300ms",
            "./lb rollout start --to app1=0,app2=100 --steps 10,50,100 --confirm 2,3"
            " --hook ./check.sh",
            "./lb rollout pause",
            "./lb rollout resume",
            "./lb rollout promote --full",
            "./lb rollout abort",
            "./lb rollback 12",
        ),
        "the README runs a rollout; tests/stack/test_rollout.py runs and controls others",
    ),
}
"""Commands that are not run here, and the reason."""


def commands(page: Path) -> list[Command]:
    """List the commands of a page that are run here and were not run in an earlier page."""
    found = [one for one in docs.commands(page.read_text()) if one.text not in ELSEWHERE]
    if page == README:
        return found
    known = {one.text for one in docs.commands(README.read_text())} - {"pulumi up"}
    return [one for one in found if one.text not in known]


@dataclass
class Shell:
    """A shell in a clone of the project, whose environment lasts from command to command."""

    folder: Path
    port: int
    stack: str = field(default_factory=leftovers.new_stack_name)
    staging: str = field(default_factory=leftovers.new_stack_name)
    environment: dict[str, str] = field(default_factory=dict)
    failed: str = ""
    """The command that failed; the commands after it would only fail for the same cause."""
    walked: int = 0
    """How many commands of the README have run."""

    @property
    def url(self) -> str:
        """The address at which nginx answers."""
        return f"http://127.0.0.1:{self.port}"

    def run(self, command: str) -> str:
        """Run a command, which must succeed; returns its standard output."""
        after = self.folder.parent / "environment"
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", f"{self.replaced(command)}\nenv -0 > {after}"],
            cwd=self.folder,
            env=self.environment,
            input="yes\n",  # the answer to a confirmation
            capture_output=True,
            text=True,
            timeout=1800,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        lines = after.read_text().rstrip("\0").split("\0")
        self.environment = dict(line.split("=", 1) for line in lines)
        return done.stdout

    def replaced(self, command: str) -> str:
        """Replace the ports and names that may be in use on this host."""
        command = re.sub(r"\b(8080|9090)\b", str(self.port), command)
        return re.sub(r"\bstaging\b", self.staging, command)

    def configured(self) -> dict[str, Any]:
        """Return the weights of the stack's last update."""
        weights = yaml.safe_load(self.run("pulumi stack output weights --json"))
        return {app: weight for app, weight in weights.items() if weight}

    def expect_the_configured_shares(self) -> None:
        """Send requests until every share must be exact, and compare them with the weights."""
        weights = self.configured()
        cycle = sum(weights.values()) // reduce(gcd, weights.values())
        rounds = 12  # a multiple of the number of containers of an app
        expected: Counter[str] = Counter()
        for app, weight in weights.items():
            share = weight * cycle * rounds // sum(weights.values())
            expected[app.removesuffix("-next").capitalize()] += share
        with requests.Session() as session:
            answers = [session.get(self.url, timeout=60).text for _ in range(cycle * rounds)]
        assert Counter(text.split()[4] for text in answers) == expected


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """A clone with a stack that is not up yet, whose rollouts and containers do not wait long."""
    folder = tmp_path_factory.mktemp("docs") / "project"
    subprocess.run(["git", "clone", "--quiet", str(PROJECT), str(folder)], check=True)
    (folder / ".venv").symlink_to(PROJECT / ".venv")
    port, admin_port = free_ports(2)
    shell = Shell(folder, port)
    template = (folder / "Pulumi.staging.yaml").read_text()
    (folder / f"Pulumi.{shell.staging}.yaml").write_text(f"{template}  loadbalancer:settle: 0\n")
    shell.environment = {
        **{
            key: value
            for key, value in os.environ.items()
            if "PULUMI" not in key and key != "LOADBALANCER_CHECKOUT"
        },
        # In place of `pulumi stack select`, which `./lb up --stack` would change, and of "yes".
        "PULUMI_STACK": shell.stack,
        "PULUMI_SKIP_CONFIRMATIONS": "true",
    }
    shell.environment.pop("STACK", None)
    outside = dict(shell.environment)
    values = {"port": port, "adminPort": admin_port, "settle": 0}
    quick = {
        "steps": "50,100",
        "stepTime": "1s",
        "interval": "1s",
        "minSamples": 1,
        "maxP99": "60s",
    }
    shell.run(f'eval "$(./lb env)"; pulumi stack init {shell.stack}')
    for key, value in {**values, **{f"rollout.{key}": one for key, one in quick.items()}}.items():
        shell.run(f"pulumi config set --path {key} {value}")
    shell.environment = outside
    try:
        yield shell
    finally:
        if (folder / ".state").exists():
            shell.run("./lb clean --yes")


def after_up(shell: Shell, printed: str) -> None:
    assert f"Live: {shell.url}" in printed
    assert 'eval "$(./lb env)"' in printed


def after_address_of_the_page(shell: Shell, printed: str) -> None:
    assert "<title>" in requests.get(printed.strip(), timeout=60).text


def after_logs(shell: Shell, printed: str) -> None:
    assert " 200 " in printed
    assert "app2" not in printed


def after_metrics(shell: Shell, printed: str) -> None:
    """Compare the metrics of nginx with the table of docs/metrics.md."""
    found = re.findall(r"^# HELP loadbalancer_(\S+) (.*)\n# TYPE \S+ (\S+)$", printed, re.MULTILINE)
    table = docs.rows(
        (shell.folder / "docs" / "metrics.md").read_text(), "| name | type | labels | meaning |"
    )
    assert [(name, text, kind) for name, kind, _, text in table] == found


def after_history(shell: Shell, printed: str) -> None:
    """Find who and why in the table."""
    for role in ("%cn", "%s"):
        assert shell.run(f"git log -1 --format={role}").strip() in printed


def after_rollout(shell: Shell, printed: str) -> None:
    assert "app1=0,app1-next=6,app2=4" in printed
    shell.expect_the_configured_shares()


def after_down(shell: Shell, printed: str) -> None:
    with pytest.raises(requests.ConnectionError):
        requests.get(shell.url, timeout=60)


def after_recreate(shell: Shell, printed: str) -> None:
    # Before any plain `pulumi`, which writes a salt again.
    file = (shell.folder / f"Pulumi.{shell.stack}.yaml").read_text()
    shell.expect_the_configured_shares()
    untracked = set(shell.run("git status --short").splitlines())
    stacks = (f"Pulumi.{name}.yaml" for name in (shell.stack, shell.staging))
    made = ("apps/app1-next/", *stacks)
    assert untracked == {f"?? {path}" for path in made}
    # docs/rollout.md has set secret weights, which need it.
    assert ("encryptionsalt:" in file) == ("secure:" in file)
    assert "baseImages" not in file


def after_clean(shell: Shell, printed: str) -> None:
    assert shell.stack in printed
    assert not (shell.folder / ".state").exists()


AFTER: dict[str, Callable[[Shell, str], None]] = {
    "make up": after_up,
    "pulumi up": lambda shell, _: shell.expect_the_configured_shares(),
    "pulumi stack output adminUrl": after_address_of_the_page,
    "./lb logs --app app1 --status 200": after_logs,
    "./lb rollout start --to app1=0,app1-next=6,app2=4": after_rollout,
    "./lb history": after_history,
    "./lb rollback": lambda shell, _: shell.expect_the_configured_shares(),
    "./lb repair": lambda shell, _: shell.expect_the_configured_shares(),
    'curl --fail --silent "$(pulumi stack output adminUrl)/metrics"': after_metrics,
    DESTROY: after_down,
    "./lb recreate": after_recreate,
    "./lb clean": after_clean,
}
"""What must hold after a command."""


def run(shell: Shell, command: Command) -> None:
    """Run a command of a page under load if it is a rollout, and check what it did."""
    assert not shell.failed, f"a command before failed: {shell.failed}"
    shell.failed = command.text
    rollout = command.text.startswith("./lb rollout start")
    with wrk(shell.url, method="GET", rate=50) if rollout else nullcontext() as load:
        printed = shell.run(command.text)
    assert not load or not load.failures
    if command.output:
        assert printed.strip() == command.output
    if command.text in AFTER:
        AFTER[command.text](shell, printed)
    shell.failed = ""


def walk(shell: Shell, *, until: str) -> None:
    """Run the commands of the README before one of them, except for those that have run."""
    found = commands(README)
    end = [one.text for one in found].index(until)
    for command in found[shell.walked : end]:
        run(shell, command)
    shell.walked = max(shell.walked, end)


def test_readme_of_one_stack(shell: Shell) -> None:
    walk(shell, until=ENVIRONMENTS)


@pytest.mark.faults
def test_readme_until_the_stack_is_destroyed(shell: Shell) -> None:
    walk(shell, until=DESTROY)


@pytest.mark.faults
@pytest.mark.parametrize("page", PAGES[1:], ids=docs.name)
def test_page(shell: Shell, page: Path) -> None:
    walk(shell, until=DESTROY)
    for command in commands(page):
        run(shell, command)


@pytest.mark.faults
def test_readme_destroys_and_recreates(shell: Shell) -> None:
    walk(shell, until=DESTROY)
    for command in commands(README)[shell.walked :]:
        run(shell, command)
