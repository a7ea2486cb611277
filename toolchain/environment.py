"""The environment in which `pulumi` uses the embedded backend, unless the user chose another.

Used before every `./lb` command, so it imports little and starts no process where it can.
"""

from __future__ import annotations

import base64
import json
import os
import shlex
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from toolchain import pulumicli
from toolchain.steps import ToolchainError

STATE = ".state"
PASSPHRASE = "passphrase"  # noqa: S105 - the name of the file
PASSPHRASES = ("PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE")


@dataclass(frozen=True)
class Paths:
    """Where the project's state and this user's Pulumi are."""

    state: Path
    """The folder of the embedded backend, absolute."""
    bin: Path | None
    """The folder to put in front of PATH; None when PATH leads to the right CLI already."""
    login: str
    """The backend that this user has logged in to; empty for none."""


def prepared(project: Path) -> Paths:
    """Return the paths of a project, after making the embedded backend ready if it is used.

    Raises ToolchainError when there is no Pulumi CLI yet, or when the passphrase is missing.
    """
    paths = locate(project)
    if uses_embedded(os.environ, paths):
        prepare(paths.state)
    return paths


def uses_embedded(environ: Mapping[str, str], paths: Paths) -> bool:
    """Return whether the embedded backend is used: when the user has chosen no other."""
    if environ.get("PULUMI_BACKEND_URL"):
        return _is_in(environ["PULUMI_BACKEND_URL"], paths.state)
    if environ.get("PULUMI_ACCESS_TOKEN"):
        return False
    return not paths.login or _is_in(paths.login, paths.state)


def _is_in(backend: str, state: Path) -> bool:
    """Return whether a backend's address, without its options, is that of a folder."""
    return backend.partition("?")[0] == backend_url(state).partition("?")[0]


def backend_url(state: Path) -> str:
    """Return the address of a file backend.

    Without metadata: the files for it are not written atomically, and a killed CLI would leave
    one that keeps the state from being read.
    """
    return f"file://{quote(str(state))}?metadata=skip"


def exports(environ: Mapping[str, str], paths: Paths) -> dict[str, str]:
    """Return the variables to set, apart from PATH.

    A backend or a passphrase of the user's own is kept. The generated passphrase goes with the
    embedded backend only: stacks kept elsewhere must not depend on a file in this folder.
    """
    chosen = {"PULUMI_SKIP_UPDATE_CHECK": "true"}
    if uses_embedded(environ, paths):
        chosen["PULUMI_BACKEND_URL"] = backend_url(paths.state)
        if not any(name in environ for name in PASSPHRASES):
            chosen["PULUMI_CONFIG_PASSPHRASE_FILE"] = str(paths.state / PASSPHRASE)
    return {name: value for name, value in chosen.items() if environ.get(name) != value}


def shell(environ: Mapping[str, str], paths: Paths) -> str:
    """Return the exports as lines for a POSIX shell."""
    lines = []
    if paths.bin is not None:
        lines.append(f'export PATH={shlex.quote(str(paths.bin))}:"$PATH"')
    for name, value in exports(environ, paths).items():
        lines.append(f"export {name}={shlex.quote(value)}")
    return "".join(f"{line}\n" for line in lines)


def merged(environ: Mapping[str, str], paths: Paths) -> dict[str, str]:
    """Return a whole environment for a program started from here."""
    path = environ.get("PATH", os.defpath)
    front = f"{paths.bin}{os.pathsep}" if paths.bin is not None else ""
    return {**environ, **exports(environ, paths), "PATH": f"{front}{path}"}


def login(environ: Mapping[str, str]) -> str:
    """Return the backend that `pulumi login` has stored; empty for none."""
    folder = environ.get("PULUMI_CREDENTIALS_PATH")
    path = (Path(folder) if folder else pulumicli.home()) / "credentials.json"
    try:
        stored = json.loads(path.read_text())
    except (OSError, ValueError):
        return ""
    return str(stored.get("current") or "") if isinstance(stored, dict) else ""


def locate(project: Path) -> Paths:
    """Return the paths of a project. Raises ToolchainError when there is no Pulumi CLI yet."""
    found = pulumicli.find(recorded=True)
    if found is None:
        raise ToolchainError("Pulumi is not installed yet. Install it: ./lb up")
    folder = found[0].parent
    on_path = shutil.which("pulumi")
    right = on_path is not None and Path(on_path) == found[0]
    state = project.resolve() / STATE
    return Paths(state=state, bin=None if right else folder, login=login(os.environ))


def prepare(state: Path) -> None:
    """Create the embedded backend's folder and its passphrase where they do not exist yet.

    Raises ToolchainError when there are stacks and the passphrase that they need is missing.
    """
    state.mkdir(mode=0o700, exist_ok=True)
    state.chmod(0o700)
    passphrase = state / PASSPHRASE
    if passphrase.exists():
        return
    stacks = stacks_in(state)
    if stacks:
        raise ToolchainError(
            f"{passphrase} is missing, and there are stacks that it encrypts "
            f"({', '.join(stacks)}). Put it back, or set the passphrase: "
            f"export PULUMI_CONFIG_PASSPHRASE=... Without it, start over: rm -r {state}"
        )
    partial = state / f".{PASSPHRASE}.{os.getpid()}"
    partial.unlink(missing_ok=True)
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(base64.urlsafe_b64encode(os.urandom(32)).decode() + "\n")
        file.flush()
        os.fsync(descriptor)
    try:
        # A link, not a rename: of two runs at the same time, the passphrase of the first one stays.
        os.link(partial, passphrase)
    except FileExistsError:
        pass
    finally:
        partial.unlink()


def stacks_in(state: Path) -> list[str]:
    """Return the names of the stacks that a file backend holds."""
    folder = state / ".pulumi" / "stacks"
    files = (path for path in folder.rglob("*.json*") if not path.name.endswith(".bak"))
    return sorted({path.name.partition(".json")[0] for path in files})
