"""The environment of a checkout: where `pulumi` is, and the passphrase of the embedded backend.

Pulumi.yaml names the embedded backend, so that plain `pulumi` in a checkout uses the state of that
checkout whatever else a shell has. A backend that the user has chosen is named by a variable, which
counts before Pulumi.yaml; a login alone would not. What `./lb env` of another checkout has set is
replaced.

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
from urllib.parse import unquote, urlsplit

from loadbalancer.engine import address
from toolchain import pulumicli
from toolchain.steps import ToolchainError

STATE = ".state"
PASSPHRASE = "passphrase"  # noqa: S105 - the name of the file
PASSPHRASE_FILE = "PULUMI_CONFIG_PASSPHRASE_FILE"  # noqa: S105 - the name of a variable
PASSPHRASES = ("PULUMI_CONFIG_PASSPHRASE", PASSPHRASE_FILE)
BACKEND = "PULUMI_BACKEND_URL"
CHECKOUT = "LOADBALANCER_CHECKOUT"
"""Variable with the folder of the checkout whose environment a shell has."""
CLOUD = "https://api.pulumi.com"
"""Backend of those who have an access token and no login."""


@dataclass(frozen=True)
class Paths:
    """Where the project's state and this user's Pulumi are."""

    state: Path
    """The folder of the embedded backend, absolute."""
    bin: Path | None
    """The folder to put in front of PATH; None when PATH leads to the right CLI already."""
    login: str
    """The backend that this user has logged in to; empty for none."""

    @property
    def project(self) -> Path:
        """The folder of the checkout, absolute."""
        return self.state.parent


def prepared(project: Path) -> Paths:
    """Return the paths of a project, after making the embedded backend ready if it is used.

    Raises ToolchainError when there is no Pulumi CLI yet, or when the passphrase is missing.
    """
    paths = locate(project)
    own = without_others(os.environ, paths)
    if uses_embedded(own, paths):
        prepare(paths.state, own)
    return paths


def without_others(environ: Mapping[str, str], paths: Paths) -> dict[str, str]:
    """Return an environment without the state and the passphrase of another checkout."""
    found = {
        PASSPHRASE_FILE: Path(environ.get(PASSPHRASE_FILE, "/")).parent,
        BACKEND: _folder_of(environ.get(BACKEND, "")),
    }
    named = environ.get(CHECKOUT)
    foreign = {
        name for name, state in found.items() if state and _is_of_another(state, paths, named)
    }
    return {name: value for name, value in environ.items() if name not in foreign}


def _folder_of(backend: str) -> Path | None:
    """Return the folder of a file backend; None for another one."""
    url = urlsplit(backend)
    return Path(unquote(url.netloc + url.path)) if url.scheme == "file" else None


def _is_of_another(state: Path, paths: Paths, named: str | None) -> bool:
    """Return whether a folder is the embedded backend of another checkout.

    That may be gone, such as when its folder was renamed: then it is known by the name that its
    environment has left.
    """
    beside = state.resolve().parent
    is_checkout = all((beside / name).is_file() for name in ("Pulumi.yaml", "lb"))
    is_named = named is not None and Path(named).resolve() == beside
    return state.name == STATE and (is_checkout or is_named) and beside != paths.project


def note(environ: Mapping[str, str], paths: Paths) -> str:
    """Say that the shell has the environment of another checkout; empty where it does not."""
    named = environ.get(CHECKOUT)
    if named and Path(named).resolve() != paths.project:
        other = named
    elif dropped := environ.keys() - without_others(environ, paths).keys():
        other = " and ".join(f"{name}={environ[name]}" for name in sorted(dropped))
    else:
        return ""
    return (
        f"note: this shell has the environment of {other}. "
        f"This command uses that of {paths.project}, as the shell does after: "
        f'eval "$({shlex.quote(str(paths.project / "lb"))} env)"'
    )


def uses_embedded(environ: Mapping[str, str], paths: Paths) -> bool:
    """Return whether the embedded backend is used: when the user has chosen no other."""
    chosen = chosen_backend(environ, paths)
    return not chosen or _is_in(chosen, paths.state)


def chosen_backend(environ: Mapping[str, str], paths: Paths) -> str:
    """Return the backend that the user has chosen, by a variable or a login; empty for none."""
    if environ.get(BACKEND):
        return environ[BACKEND]
    return paths.login or (CLOUD if environ.get("PULUMI_ACCESS_TOKEN") else "")


def _is_in(backend: str, state: Path) -> bool:
    """Return whether a backend is the file backend in a folder, however its address is written."""
    folder = _folder_of(backend)
    return folder is not None and folder.expanduser().resolve() == state.resolve()


def exports(environ: Mapping[str, str], paths: Paths) -> dict[str, str]:
    """Return the variables to set, apart from PATH.

    A backend or a passphrase of the user's own is kept. The generated passphrase goes with the
    embedded backend only: stacks kept elsewhere must not depend on a file in this folder.
    """
    own = without_others(environ, paths)
    chosen = {"PULUMI_SKIP_UPDATE_CHECK": "true", CHECKOUT: str(paths.project)}
    if not uses_embedded(own, paths):
        chosen[BACKEND] = chosen_backend(own, paths)
    elif not any(name in own for name in PASSPHRASES):
        chosen[PASSPHRASE_FILE] = str(paths.state / PASSPHRASE)
    return {name: value for name, value in chosen.items() if environ.get(name) != value}


def shell(environ: Mapping[str, str], paths: Paths) -> str:
    """Return lines for a POSIX shell that set and unset variables."""
    lines = []
    if paths.bin is not None:
        lines.append(f'export PATH={shlex.quote(str(paths.bin))}:"$PATH"')
    exported = exports(environ, paths)
    dropped = environ.keys() - without_others(environ, paths).keys() - exported.keys()
    lines += [f"unset {name}" for name in sorted(dropped)]
    lines += [f"export {name}={shlex.quote(value)}" for name, value in exported.items()]
    lines += _engine(environ)
    return "".join(f"{line}\n" for line in lines)


def _engine(environ: Mapping[str, str]) -> list[str]:
    """Return the commands with which Docker's provider uses the engine of `docker ps`, as well."""
    try:
        return address.commands(address.changes(environ))
    except address.AddressError:
        return []  # the first request reports it


def merged(environ: Mapping[str, str], paths: Paths) -> dict[str, str]:
    """Return a whole environment for a program started from here."""
    path = environ.get("PATH", os.defpath)
    front = f"{paths.bin}{os.pathsep}" if paths.bin is not None else ""
    own = without_others(environ, paths)
    return {**own, **exports(environ, paths), "PATH": f"{front}{path}"}


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


def prepare(state: Path, environ: Mapping[str, str] = os.environ) -> None:
    """Create the embedded backend's folder and its passphrase where they do not exist yet.

    Raises ToolchainError when there are stacks, the passphrase that they need is missing, and the
    environment has none either.
    """
    state.mkdir(mode=0o700, exist_ok=True)
    state.chmod(0o700)
    passphrase = state / PASSPHRASE
    if passphrase.exists():
        return
    stacks = stacks_in(state)
    if stacks and any(name in environ for name in PASSPHRASES):
        return
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
