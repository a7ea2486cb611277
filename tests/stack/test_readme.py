"""The README's commands, run as they stand there, in a fresh clone."""

import os
import re
import subprocess
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests
import yaml

from tests.stack.deployment import PROJECT, free_ports
from tests.stack.load import wrk

README = (PROJECT / "README.md").read_text()
BLOCKS = re.findall(r"^```sh\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
ENTER = 'eval "$(make env)"\n'
STACK = f"readme-{uuid.uuid4().hex[:6]}"


def block_with(command: str) -> str:
    """Find the one code block that holds a command."""
    (found,) = [block for block in BLOCKS if command in block]
    return str(found)


@dataclass
class Shell:
    """A user's shell in a clone of the project."""

    folder: Path
    port: int

    @property
    def url(self) -> str:
        """The address that the stack has to print."""
        return f"http://127.0.0.1:{self.port}"

    def run(self, script: str, answer: str = "") -> str:
        """Run lines of the README; each must succeed. Returns what they print."""
        environment = {key: value for key, value in os.environ.items() if "PULUMI" not in key}
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=self.folder,
            # What a person types at a prompt is given here: the stack's name, and yes.
            env={**environment, "STACK": STACK, "PULUMI_SKIP_CONFIRMATIONS": "true"},
            input=answer,
            capture_output=True,
            text=True,
            timeout=1800,
            check=False,
        )
        assert done.returncode == 0, f"{script}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def shares(self, count: int = 100) -> dict[str, int]:
        """Count the answers to so many requests."""
        with requests.Session() as session:
            url = self.url
            return dict(Counter(session.get(url, timeout=60).text.split()[4] for _ in range(count)))


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """A clone whose stack has a port of its own, since 8080 may be taken here."""
    folder = tmp_path_factory.mktemp("clone") / "project"
    subprocess.run(["git", "clone", "--quiet", str(PROJECT), str(folder)], check=True)
    (folder / ".venv").symlink_to(PROJECT / ".venv")
    port, admin_port = free_ports(2)
    shell = Shell(folder, port)
    shell.run(
        f"{ENTER}pulumi stack init {STACK} && pulumi config set port {port}"
        f" && pulumi config set adminPort {admin_port}"
    )
    try:
        yield shell
    finally:
        if (folder / ".state").exists():
            shell.run("make clean", answer="yes\n")


@pytest.mark.timeout(7200)
def test_up_change_repair_down_and_recreate(shell: Shell) -> None:
    printed = shell.run(block_with("make up  ").splitlines()[0])
    assert f"Live: {shell.url}" in printed
    assert 'eval "$(make env)"' in printed
    assert shell.shares() == {"App1": 60, "App2": 40}

    shell.run(block_with("pulumi config set --path weights.app1 7"))
    assert shell.shares() == {"App1": 70, "App2": 30}

    shell.run(ENTER + block_with("docker build "))

    page, _, logs = (line.partition(" #")[0] for line in block_with("make watch").splitlines())
    admin = shell.run(ENTER + page).strip()
    assert "<title>" in requests.get(admin, timeout=60).text
    told = shell.run(logs)
    assert " 200 " in told
    assert "app2" not in told

    # Thirty seconds a step are for people; the config says what a test can wait for. And how slow
    # an app is says nothing here, where a busy machine may stall for longer than the usual limit.
    quick = {"stepTime": "1s", "interval": "1s", "minSamples": "1", "maxP99": "60s"}
    for key, value in quick.items():
        shell.run(f"{ENTER}pulumi config set --path rollout.{key} {value}")
    with wrk(shell.url, method="GET", rate=50) as load:
        printed = shell.run(block_with("cp -r apps/app1 "))
    assert not load.failures
    assert "Reached app1=0,app1-next=6,app2=4" in printed
    history, rollback = (
        line for line in block_with("make history").splitlines() if "make rollout" not in line
    )
    assert "Reached app1=0,app1-next=6,app2=4" in shell.run(history)
    shell.run(rollback)
    assert shell.shares() == {"App1": 70, "App2": 30}
    shell.run(f"{ENTER}pulumi config rm rollout && pulumi config rm --path weights.app1-next")
    shell.run("rm -r apps/app1-next")

    shell.run(block_with("make repair"))
    assert shell.shares() == {"App1": 70, "App2": 30}

    shell.run(ENTER + block_with("make app NAME=app3"))
    assert shell.shares(90) == {"App1": 42, "App2": 18, "App3": 30}
    shell.run(f"{ENTER}pulumi config rm --path weights.app3 && pulumi config rm replicas")
    shell.run("rm -r apps/app3")

    down, recreate, clean = block_with("make recreate").splitlines()
    shell.run(down)
    with pytest.raises(requests.ConnectionError):
        shell.shares()
    shell.run(recreate)
    assert shell.shares() == {"App1": 70, "App2": 30}
    assert not shell.run("git status --short")

    printed = shell.run(clean, answer="yes\n")
    assert STACK in printed
    assert not (shell.folder / ".state").exists()


def test_every_verb_that_the_readme_names_is_one() -> None:
    verbs = set(re.findall(r"^([a-z]+):", (PROJECT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"`?make ([a-z]+)", "".join(BLOCKS))) <= verbs


def test_the_table_of_the_config_is_that_of_pulumi_yaml() -> None:

    declared = yaml.safe_load((PROJECT / "Pulumi.yaml").read_text())["config"]
    table = README[README.index("## Config") : README.index("| output")]
    assert re.findall(r"^\| `(\w+)`", table, re.MULTILINE) == list(declared)
