"""An ephemeral stack: a copy of the project in a folder and with a backend of its own."""

import hashlib
import json
import os
import re
import secrets
import shutil
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any

import requests
import yaml
from docker.models.containers import Container

from loadbalancer import engine
from loadbalancer.engine.ports import is_bound
from loadbalancer.providers import port
from loadbalancer.state.project import Project
from loadbalancer.state.pulumi import Pulumi, PulumiError
from tests.stack import leftovers

PROJECT = Path(__file__).resolve().parents[2]
NAME = "loadbalancer"
"""The project's name, the prefix of its config keys."""
PARTS = ("Pulumi.yaml", "__main__.py", "lb", "loadbalancer", "toolchain", "apps", "nginx")
LEFT_OUT = {
    "apps": ("__pycache__",),
    "nginx": ("__pycache__",),
    "toolchain": ("build", "cmd", "shim", "__pycache__"),
}
"""What is not copied. Compiled modules of the program are: each copy would compile them again."""

EDITED = ("apps", "nginx")
"""Folders whose files tests edit."""

Changes = dict[str, int]
"""How many resources an update created, updated, replaced, deleted and left the same."""


def _own_ports() -> Iterator[int]:
    """Cycle through the ports that belong to this worker of pytest and to no other."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    own = port.RANGE[worker::workers]
    # Another run of the tests on this host most likely begins elsewhere.
    start = secrets.randbelow(len(own))
    return cycle((*own[start:], *own[:start]))


_PORTS = _own_ports()


def free_ports(count: int) -> list[int]:
    """Find ports of 127.0.0.1 that are free, and stay free until the caller publishes them.

    It takes some seconds until a container has the port. Meanwhile neither a connection of this
    host nor another test gets it.
    """
    free = (number for number in _PORTS if not is_bound("127.0.0.1", number))
    return [next(free) for _ in range(count)]


@dataclass
class Deployment:
    """One stack and what tests do with it."""

    folder: Path
    name: str
    environment: dict[str, str]
    applied: object = None
    """What `source` was at the last `up`; None before the first one and after one that failed."""
    printed: str = ""
    """What the last `up` printed."""

    @classmethod
    def create(
        cls, folder: Path, base_images: Mapping[str, str], name: str | None = None
    ) -> "Deployment":
        """Copy the project and create a stack in it, without bringing it up.

        A name of its own, where none is given.
        """
        project = folder / "project"
        project.mkdir()
        for part in PARTS:
            _copy(part, project)
        (project / ".venv").symlink_to(PROJECT / ".venv")
        (folder / "state").mkdir()
        environment = {
            "PULUMI_BACKEND_URL": f"{(folder / 'state').as_uri()}?metadata=skip",
            "PULUMI_CONFIG_PASSPHRASE": "of a test",
            "LOADBALANCER_CHECKOUT": str(project),
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            # Pulumi's processes are many and short; collecting garbage costs them a tenth.
            "GOGC": "400",
        }
        deployment = cls(project, name or leftovers.new_stack_name(), environment)
        deployment.pulumi_cli.run("stack", "init", deployment.name, "--no-select")
        port, admin_port = free_ports(2)
        deployment.set_all(
            {
                "baseImages": dict(base_images),
                "port": port,
                "adminPort": admin_port,
                "settle": 0,
            }
        )
        return deployment

    @classmethod
    @contextmanager
    def temporary(
        cls, folder: Path, base_images: Mapping[str, str], name: str | None = None
    ) -> Iterator["Deployment"]:
        """Create a stack; remove it at the end, with everything that it has left."""
        deployment = cls.create(folder, base_images, name)
        try:
            yield deployment
        finally:
            deployment.remove()

    @property
    def pulumi_cli(self) -> Pulumi:
        """Pulumi's CLI in the project's folder, on this stack's backend."""
        return Pulumi(self.folder, self.environment)

    @property
    def project(self) -> Project:
        """The copy of the project, as the command line finds it."""
        return Project.find(self.folder, {**os.environ, **self.environment})

    @property
    def _config_file(self) -> Path:
        return self.folder / f"Pulumi.{self.name}.yaml"

    @property
    def _backend(self) -> Path:
        return self.folder.parent / "state" / ".pulumi"

    # What the stack is made from

    def source(self) -> tuple[dict[str, Any], str]:
        """Return the config, and a digest of the files of the apps and of nginx."""
        digest = hashlib.sha256()
        for folder in EDITED:
            for path in sorted((self.folder / folder).rglob("*")):
                if path.is_file() and "__pycache__" not in path.parts:
                    digest.update(f"{path}\0".encode() + path.read_bytes() + b"\0")
        return self.config(), digest.hexdigest()

    def restore_files(self) -> None:
        """Copy the files of the apps and of nginx from the project once more."""
        for folder in EDITED:
            shutil.rmtree(self.folder / folder)
            _copy(folder, self.folder)

    def config(self) -> dict[str, Any]:
        """Return the values of the stack's config, by their full keys."""
        return dict(_load(self._config_file.read_text()).get("config") or {})

    def get(self, key: str) -> Any:
        """Return a value of the project's config by its key; None where it is not set."""
        return self.config().get(f"{NAME}:{key}")

    def set(self, path: str, value: object) -> None:
        """Set a value, as `pulumi config set --path` does, but without a process."""
        self.set_all({path: value})

    def set_all(self, values: Mapping[str, object]) -> None:
        """Set values by their paths, as one change of the file."""
        config = self.config()
        for path, value in values.items():
            *parents, last = f"{NAME}:{path}".split(".")
            place = config
            for parent in parents:
                place = place.setdefault(parent, {})
            place[last] = _typed(value) if parents else value
        self._write(config)

    def set_weights(self, **weights: int) -> None:
        """Set weights, each by its path."""
        self.set_all({f"weights.{app}": weight for app, weight in weights.items()})

    def unset(self, *keys: str) -> None:
        """Remove values by their keys, set or not."""
        removed = {f"{NAME}:{key}" for key in keys}
        self._write({key: value for key, value in self.config().items() if key not in removed})

    def replace_config(self, config: Mapping[str, Any]) -> None:
        """Write a config that `config` has returned before."""
        self._write(config)

    @contextmanager
    def configured(self, **values: object) -> Iterator[None]:
        """Set values by their keys while the block runs; afterwards the config is as before."""
        before = self.config()
        self.set_all(values)
        try:
            yield
        finally:
            self.replace_config(before)

    def _write(self, config: Mapping[str, Any]) -> None:
        # The salt of the passphrase is in the same file.
        content = _load(self._config_file.read_text()) | {"config": dict(config)}
        new = self._config_file.with_suffix(".new")
        new.write_text(yaml.safe_dump(content))
        new.replace(self._config_file)  # so that a verb that runs never reads half a file

    # Pulumi's commands

    def run(self, *arguments: str) -> str:
        """Run a command of Pulumi's CLI on this stack; returns what it printed.

        Unlike those of the product it ends with the test, when that is interrupted.

        Raises:
            PulumiError: when it fails; the message is everything that it printed.
        """
        # A file: plugins that outlive a command that is killed would keep a pipe open.
        with tempfile.TemporaryFile("w+") as out:
            done = subprocess.run(
                self.pulumi(*arguments),
                cwd=self.folder,
                env={**os.environ, **self.environment},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                check=False,
            )
            out.seek(0)
            printed = out.read()
        if done.returncode:
            raise PulumiError(printed, printed)
        return printed

    def up(self) -> Changes:
        """Run `pulumi up` without a preview; errors as of `run`."""
        source, self.applied = self.source(), None
        self.printed = self.run("up", "--yes", "--skip-preview")
        self.applied = source
        return self._last_changes()

    def refresh(self) -> Changes:
        """Run `pulumi refresh`; errors as of `run`."""
        self.run("refresh", "--yes", "--skip-preview")
        return self._last_changes()

    def destroy(self) -> None:
        """Run `pulumi destroy`; errors as of `run`."""
        self.run("destroy", "--yes", "--skip-preview")

    def preview(self) -> str:
        """Run `pulumi preview`; returns what it printed. Errors as of `run`."""
        return self.run("preview")

    def expect_no_changes(self) -> None:
        """Run `pulumi preview --expect-no-changes`; errors as of `run`."""
        self.run("preview", "--expect-no-changes")

    def pulumi(self, *arguments: str) -> list[str]:
        """Return a command line of the CLI for this stack."""
        return ["pulumi", *arguments, "--stack", self.name, "--non-interactive"]

    def process(self, *command: str, **options: Any) -> "subprocess.Popen[str]":
        """Start a program in the project's folder, on this stack's backend."""
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env={**os.environ, **self.environment},
            text=True,
            **options,
        )

    # What Pulumi has recorded

    def checkpoint(self) -> dict[str, Any]:
        """Return the stack's state as the backend has it; empty before the first update."""
        file = self._backend / "stacks" / NAME / f"{self.name}.json"
        found: dict[str, Any] = json.loads(file.read_text())["checkpoint"].get("latest") or {}
        return found

    def outputs(self) -> dict[str, Any]:
        """Return the outputs of the last update, whoever ran it; empty before the first."""
        for resource in self.checkpoint().get("resources") or []:
            if resource["type"] == "pulumi:pulumi:Stack":
                return dict(resource.get("outputs") or {})
        return {}

    def output(self, name: str) -> Any:
        """Return an output of the last update."""
        return self.outputs()[name]

    def cancel(self) -> None:
        """Remove the lock of an update that was killed, where there is one."""
        if self.locks():
            self.run("cancel", "--yes")

    def locks(self) -> list[Path]:
        """List the locks of updates that are running or were killed."""
        return list((self._backend / "locks").rglob("*.json"))

    def _last_changes(self) -> Changes:
        folder = self._backend / "history" / NAME / self.name
        newest = max(folder.glob("*.history.json"))
        return dict(json.loads(newest.read_text())["resourceChanges"] or {})

    # What is running

    @property
    def url(self) -> str:
        """The address at which nginx answers."""
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
        """Count the answers of each app to so many requests."""
        found = (re.search(r"App\d", body) for body in self.answers(count))
        return dict(Counter(match.group().lower() for match in found if match))

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
        """List every container with the stack's label, in its state or not."""
        return leftovers.containers(engine.connect(), self.name)

    def nginx(self) -> Container:
        """Find nginx's container."""
        return engine.connect().containers.get(self.output("containers")["nginx"])

    def leftovers(self) -> list[str]:
        """List what carries the stack's label or name on this host."""
        return leftovers.find(engine.connect(), self.name)

    def remove(self) -> None:
        """Remove everything of the stack, also what `destroy` cannot remove."""
        try:
            self.cancel()
            self.destroy()
        finally:
            leftovers.remove(engine.connect(), self.name)


def _copy(part: str, project: Path) -> None:
    source = PROJECT / part
    if source.is_dir():
        left_out = shutil.ignore_patterns(*LEFT_OUT.get(part, ()))
        shutil.copytree(source, project / part, ignore=left_out)
    else:
        shutil.copy2(source, project / part)


def _load(text: str) -> dict[str, Any]:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return dict(yaml.load(text, loader) or {})  # noqa: S506 - both are safe ones


def _typed(value: object) -> object:
    """Turn a text into what `pulumi config set --path` makes of it: whole numbers and booleans."""
    if not isinstance(value, str):
        return value
    if value in ("true", "false"):
        return value == "true"
    return int(value) if re.fullmatch(r"0|-?[1-9]\d*", value) else value
