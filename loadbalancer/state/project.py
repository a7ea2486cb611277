"""The Pulumi project of a checkout: its name, backend, stacks and the selected one.

Read from files, since each `pulumi` process takes half a second or more.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

import yaml

DEFAULT_STACK = "dev"
"""The stack of every verb where none is named and none is selected."""


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
        # As Pulumi has it: `file://~/state` is in the home folder, `file://./state` in this one.
        path = Path(unquote(url.netloc + url.path)).expanduser()
        return (self.folder / path) / ".pulumi"

    def stack_file(self, stack: str) -> Path:
        """File with the config of a stack, named without its organization, as in Pulumi."""
        return self.folder / f"Pulumi.{stack.rpartition('/')[2]}.yaml"

    def selected(self, environ: Mapping[str, str] = os.environ) -> str:
        """Name the selected stack, DEFAULT_STACK where none is."""
        if environ.get("PULUMI_STACK"):
            return environ["PULUMI_STACK"]
        for folder in dict.fromkeys((self.folder.absolute(), self.folder.resolve())):
            path = hashlib.sha1(str(folder / "Pulumi.yaml").encode()).hexdigest()  # noqa: S324
            file = _home(environ) / "workspaces" / f"{self.name}-{path}-workspace.json"
            try:
                stack = json.loads(file.read_text()).get("stack")
            except (OSError, ValueError):
                continue
            if stack:
                return str(stack).removeprefix(f"organization/{self.name}/")
        return DEFAULT_STACK


def _home(environ: Mapping[str, str]) -> Path:
    return Path(environ.get("PULUMI_HOME") or Path.home() / ".pulumi")


def _login(environ: Mapping[str, str]) -> str:
    folder = environ.get("PULUMI_CREDENTIALS_PATH")
    try:
        path = (Path(folder) if folder else _home(environ)) / "credentials.json"
        return str(json.loads(path.read_text()).get("current") or "")
    except (OSError, ValueError):
        return ""
