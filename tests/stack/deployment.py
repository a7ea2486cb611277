"""An ephemeral stack: the project copied to a folder of its own, with a backend of its own."""

import os
import secrets
import shutil
import subprocess
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from itertools import cycle
from pathlib import Path
from typing import Any

import requests
from docker.models.containers import Container
from pulumi import automation

from loadbalancer import engine, names
from loadbalancer.drift import orphans
from loadbalancer.engine.ports import is_bound
from loadbalancer.providers import port

PROJECT = Path(__file__).resolve().parents[2]
PARTS = ("Pulumi.yaml", "__main__.py", "loadbalancer", "apps", "nginx")


def _own_ports() -> Iterator[int]:
    """Go round the ports that are for this process and not for the other workers of pytest."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    own = port.RANGE[worker::workers]
    # Another run of the tests on this host most likely begins elsewhere.
    start = secrets.randbelow(len(own))
    return cycle((*own[start:], *own[:start]))


_PORTS = _own_ports()


def free_ports(count: int) -> list[int]:
    """Find ports of 127.0.0.1 that nobody listens on, nor will until the caller does.

    Some seconds go by before a container has the port. Meanwhile neither a connection of this host
    nor another test is given it.
    """
    free = (number for number in _PORTS if not is_bound("127.0.0.1", number))
    return [next(free) for _ in range(count)]


@cache
def _pulumi_command() -> automation.PulumiCommand:
    """Find Pulumi's CLI once: each of these runs it to ask for its version."""
    return automation.PulumiCommand()


def changes(result: automation.UpResult | automation.RefreshResult) -> dict[str, int]:
    """Count what an update did, by operation."""
    return {str(kind): count for kind, count in (result.summary.resource_changes or {}).items()}


@dataclass
class Deployment:
    """One stack and what a test asks of it."""

    folder: Path
    stack: automation.Stack
    environment: dict[str, str]
    log: list[str] = field(default_factory=list)
    _outputs: automation.OutputMap = field(default_factory=dict)

    @classmethod
    def create(cls, folder: Path, base_images: Mapping[str, str]) -> "Deployment":
        """Copy the project and make a stack in it that nobody else has; nothing is up yet."""
        project = folder / "project"
        project.mkdir()
        for part in PARTS:
            source = PROJECT / part
            if source.is_dir():
                left_out = shutil.ignore_patterns("__pycache__")
                shutil.copytree(source, project / part, ignore=left_out)
            else:
                shutil.copy(source, project / part)
        (project / ".venv").symlink_to(PROJECT / ".venv")
        (folder / "state").mkdir()
        environment = {
            "PULUMI_BACKEND_URL": f"{(folder / 'state').as_uri()}?metadata=skip",
            "PULUMI_CONFIG_PASSPHRASE": "of a test",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "GOGC": "400",  # Pulumi's processes are many and short; collecting costs a tenth
        }
        stack = automation.create_stack(
            f"test-{uuid.uuid4().hex[:8]}",
            work_dir=str(project),
            opts=automation.LocalWorkspaceOptions(
                env_vars=environment, pulumi_command=_pulumi_command()
            ),
        )
        deployment = cls(project, stack, environment)
        port, admin_port = free_ports(2)
        deployment.set_all(
            {
                **{f"baseImages.{key}": name for key, name in base_images.items()},
                "port": port,
                "adminPort": admin_port,
                "settle": 0,
            }
        )
        return deployment

    @classmethod
    @contextmanager
    def temporary(cls, folder: Path, base_images: Mapping[str, str]) -> Iterator["Deployment"]:
        """Create one that is removed in the end, with all that is left of it."""
        deployment = cls.create(folder, base_images)
        try:
            yield deployment
        finally:
            deployment.remove()

    def set(self, key: str, value: object) -> None:
        """Set a value of the config by its path, as `pulumi config set --path` does."""
        text = automation.ConfigValue(str(value))
        self.stack.set_config(key, text, path="." in key)

    def set_all(self, values: Mapping[str, object]) -> None:
        """Set values of the config by their paths, as `pulumi config set-all --path` does."""
        texts = {key: automation.ConfigValue(str(value)) for key, value in values.items()}
        self.stack.set_all_config(texts, path=True)

    def set_weights(self, **weights: int) -> None:
        """Set weights, each by its path."""
        self.set_all({f"weights.{app}": weight for app, weight in weights.items()})

    def up(self) -> automation.UpResult:
        """Run `pulumi up`."""
        result = self.stack.up(on_output=self.log.append)
        self._outputs = result.outputs
        return result

    def expect_no_changes(self) -> None:
        """Run `pulumi preview --expect-no-changes`."""
        self.stack.preview(expect_no_changes=True, on_output=self.log.append)

    def pulumi(self, *arguments: str) -> list[str]:
        """Write a command line of the CLI for this stack."""
        return ["pulumi", *arguments, "--stack", self.stack.name, "--non-interactive"]

    def process(self, *command: str, **options: Any) -> "subprocess.Popen[str]":
        """Start a program in the project's folder, on this stack's backend."""
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env={**os.environ, **self.environment},
            text=True,
            **options,
        )

    def output(self, name: str) -> Any:
        """Return one of the outputs that the last `up` printed."""
        return self._outputs[name].value

    @property
    def url(self) -> str:
        """The address that the stack prints."""
        return str(self.output("url"))

    def answers(self, count: int) -> list[str]:
        """Send requests one after the other over one connection; return the bodies."""
        with requests.Session() as session:
            url, bodies = self.url, []
            for _ in range(count):
                answer = session.get(url, timeout=60)
                answer.raise_for_status()
                bodies.append(answer.text)
        return bodies

    def shares(self, count: int) -> dict[str, int]:
        """Count which app answered how many of so many requests."""
        names_ = {f"Salam alikom, this is App{n} :) ": f"app{n}" for n in (1, 2)}
        return dict(Counter(names_[body] for body in self.answers(count)))

    def containers(self) -> dict[str, Container]:
        """Find the containers that the outputs name, by that name."""
        output = self.output("containers")
        every = [output["nginx"], *(name for group in output["apps"].values() for name in group)]
        client = engine.connect()
        return {name: client.containers.get(name) for name in every}

    def ids(self) -> dict[str, str]:
        """Find the containers' IDs by their names."""
        return {name: str(container.id) for name, container in self.containers().items()}

    def labelled(self) -> list[Container]:
        """List every container with the stack's label, whether a state knows it or not."""
        filters: dict[str, str | list[str] | bool] = {"label": f"{names.STACK}={self.stack.name}"}
        return engine.connect().containers.list(all=True, ignore_removed=True, filters=filters)

    def nginx(self) -> Container:
        """Find nginx's container."""
        return engine.connect().containers.get(self.output("containers")["nginx"])

    def leftovers(self) -> list[str]:
        """List what carries the stack's labels or name on this host."""
        client = engine.connect()
        found = orphans.find(client, "loadbalancer", self.stack.name, known=())
        labelled = [f"{orphan.kind} {orphan.name}" for orphan in found]
        # As the engine lists them: to look at one again fails where another test has removed it.
        tags = [tag for image in client.api.images() for tag in image["RepoTags"] or ()]
        return labelled + [tag for tag in tags if self.stack.name in tag]

    def remove(self) -> None:
        """Remove everything of the stack, also what `destroy` could not."""
        try:
            self.stack.cancel()
            self.stack.destroy(on_output=self.log.append)
        finally:
            self._remove_labelled()

    def _remove_labelled(self) -> None:
        client = engine.connect()
        for container in self.labelled():
            container.remove(force=True)
        for orphan in list(orphans.find(client, "loadbalancer", self.stack.name, known=())):
            orphan.remove()
