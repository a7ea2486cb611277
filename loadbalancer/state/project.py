"""The Pulumi project of a checkout: its name, backend, stacks and the selected one.

Read from files, since each `pulumi` process takes half a second or more.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import yaml

DEFAULT_STACK = "dev"
"""The stack of every verb where none is named and none is selected."""

EMBEDDED = ".state"
"""Folder of the embedded backend, in the project's folder."""

ORGANIZATION = "organization"
"""The one organization that a file backend knows."""


@dataclass(frozen=True)
class Project:
    """One checkout: its folder, the name in Pulumi.yaml and the address of its backend.

    `backend` is empty where none is chosen, so that Pulumi would ask.
    """

    folder: Path
    name: str
    backend: str

    @classmethod
    def find(cls, folder: Path, environ: Mapping[str, str] = os.environ) -> "Project":
        """Read the project in a folder.

        As Pulumi does, PULUMI_BACKEND_URL counts before Pulumi.yaml, and that before the login.
        """
        described = yaml.safe_load((folder / "Pulumi.yaml").read_text())
        configured = (described.get("backend") or {}).get("url", "")
        backend = environ.get("PULUMI_BACKEND_URL") or configured or _login(environ)
        return cls(folder, str(described["name"]), str(backend))

    @property
    def file_backend(self) -> Path | None:
        """Folder in which a file backend keeps everything; None where it is another backend."""
        url = urlsplit(self.backend)
        if url.scheme != "file":
            return None
        # As in Pulumi: `file://~/state` is in the home folder, `file://./state` in this one.
        path = Path(unquote(url.netloc + url.path)).expanduser()
        return (self.folder / path) / ".pulumi"

    @property
    def embedded(self) -> bool:
        """Whether the backend is the one in this folder, which no other checkout shares."""
        backend = self.file_backend
        return backend is not None and backend.parent.resolve() == (
            self.folder.resolve() / EMBEDDED
        )

    def qualified(self, stack: str) -> tuple[str, str]:
        """Split the name of a stack, in any form that Pulumi takes, into its project and name."""
        *parents, name = stack.split("/")
        return (parents[1] if len(parents) == 2 else self.name), name  # noqa: PLR2004

    def checkpoints(self, stack: str) -> list[Path]:
        """List the files in which a file backend may keep a stack, those that exist.

        Backends that an old Pulumi made have no folders for projects.
        """
        if self.file_backend is None:
            return []
        project, name = self.qualified(stack)
        stacks = self.file_backend / "stacks"
        for folder in (stacks / project, stacks):
            found = [folder / f"{name}{suffix}" for suffix in (".json", ".json.gz")]
            if existing := [one for one in found if one.is_file()]:
                return existing
        return []

    def former(self, stack: str) -> str | None:
        """Name the project that a stack was in before Pulumi.yaml gave it another name.

        Only the embedded backend tells: others may have stacks of this name in other projects.
        """
        if not self.embedded or self.checkpoints(stack):
            return None
        _, name = self.qualified(stack)
        return next((project for project, one in self._every() if one == name), None)

    def of_former_projects(self) -> list[str]:
        """List the stacks of the embedded backend that are in projects of other names."""
        every = self._every() if self.embedded else []
        others = ((project, name) for project, name in every if project != self.name)
        return [f"{ORGANIZATION}/{project}/{name}" for project, name in others]

    def _every(self) -> list[tuple[str, str]]:
        """List the stacks of a file backend with their projects."""
        files = (self.file_backend or Path()).glob("stacks/*/*.json*")
        found = (path for path in files if path.name.endswith((".json", ".json.gz")))
        return sorted({(path.parent.name, path.name.partition(".json")[0]) for path in found})

    def stack_file(self, stack: str) -> Path:
        """File with the config of a stack, named without its organization, as in Pulumi."""
        return self.folder / f"Pulumi.{stack.rpartition('/')[2]}.yaml"

    def stacks(self) -> list[str]:
        """List the stacks of the project in a file backend; none for another backend."""
        if self.file_backend is None:
            return []
        folder = self.file_backend / "stacks" / self.name
        files = (*folder.glob("*.json"), *folder.glob("*.json.gz"))
        return sorted({path.name.partition(".json")[0] for path in files})

    def selected(self, environ: Mapping[str, str] = os.environ) -> str:
        """Name the stack that `pulumi` in this shell would use; DEFAULT_STACK where none is.

        PULUMI_STACK counts before the selection, which Pulumi keeps by backend, one file for each
        path by which a project is reached.
        """
        if environ.get("PULUMI_STACK"):
            return environ["PULUMI_STACK"]
        workspace = _read(_workspace(environ, self.name, self._folder_of_shell(environ)))
        stack = (workspace.get("stacks") or {}).get(self.backend)
        if stack:
            return str(stack).removeprefix(f"organization/{self.name}/")
        return DEFAULT_STACK

    def _folder_of_shell(self, environ: Mapping[str, str]) -> Path:
        """Find the path by which the shell reached the project, which may be a symbolic link."""
        current = Path(environ.get("PWD") or Path.cwd())
        for folder in (current, *current.parents):
            if folder.exists() and folder.samefile(self.folder):
                return folder
        return self.folder.resolve()


def _workspace(environ: Mapping[str, str], name: str, folder: Path) -> Path:
    """Name the file in which Pulumi keeps what is selected in a folder."""
    path = hashlib.sha1(str(folder / "Pulumi.yaml").encode()).hexdigest()  # noqa: S324
    return _home(environ) / "workspaces" / f"{name}-{path}-workspace.json"


def _home(environ: Mapping[str, str]) -> Path:
    return Path(environ.get("PULUMI_HOME") or Path.home() / ".pulumi")


def _login(environ: Mapping[str, str]) -> str:
    folder = environ.get("PULUMI_CREDENTIALS_PATH")
    stored = _read((Path(folder) if folder else _home(environ)) / "credentials.json")
    return str(stored.get("current") or "")


def _read(path: Path) -> dict[str, Any]:
    """Read an object from a file; an empty one where there is none."""
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
