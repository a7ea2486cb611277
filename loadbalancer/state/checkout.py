"""Checkout: whose environment a shell has, which `./lb env` of another folder may have set.

`./lb env` names its folder in LOADBALANCER_CHECKOUT. The launcher `lb` replaces the variables of
another checkout by those of its own. Plain `pulumi` cannot, so the program refuses them.
"""

import os
from collections.abc import Mapping
from pathlib import Path

from loadbalancer.state.project import EMBEDDED, Project

CHECKOUT = "LOADBALANCER_CHECKOUT"
BACKEND = "PULUMI_BACKEND_URL"
PASSPHRASE = "PULUMI_CONFIG_PASSPHRASE"  # noqa: S105 - the name of a variable
PASSPHRASE_FILE = "PULUMI_CONFIG_PASSPHRASE_FILE"  # noqa: S105 - the name of a variable


class CheckoutError(RuntimeError):
    """The shell has the environment of another checkout; the message names both."""


def other(folder: Path, environ: Mapping[str, str] = os.environ) -> Path | None:
    """Name the checkout whose environment a shell has, if it is not the one in a folder."""
    named = environ.get(CHECKOUT)
    if not named or Path(named).resolve() == folder.resolve():
        return None
    return Path(named)


def refuse_other(folder: Path, environ: Mapping[str, str] = os.environ) -> None:
    """Refuse variables that would take the state or the passphrase of another checkout.

    Raises:
        CheckoutError: with both folders and the command that sets the right variables.
    """
    backend = Project(folder, "", environ.get(BACKEND, "")).file_backend
    # As in Pulumi, a passphrase in a variable counts before one in a file.
    file = None if PASSPHRASE in environ else environ.get(PASSPHRASE_FILE)
    used = {PASSPHRASE_FILE: file, BACKEND: backend and backend.parent}
    for variable, path in used.items():
        foreign = _checkout_of(Path(path), variable) if path else None
        if foreign is not None and foreign != folder.resolve():
            raise CheckoutError(
                f"this shell has the environment of {foreign}, not of {folder}: {variable} is "
                f'{environ[variable]}. Set that of this folder: cd {folder} && eval "$(./lb env)"'
            )


def _checkout_of(path: Path, variable: str) -> Path | None:
    """Name the checkout whose state a path is or, for a passphrase, whose state it is in."""
    state = path.resolve().parent if variable == PASSPHRASE_FILE else path.resolve()
    own = state.name == EMBEDDED and (state.parent / "Pulumi.yaml").is_file()
    return state.parent if own and (state.parent / "lb").is_file() else None
