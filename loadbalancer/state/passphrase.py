"""The passphrase of a stack: why it is not the right one, and a salt that nothing needs."""

import os
import re
from collections.abc import Mapping

import yaml

from loadbalancer.state.checkout import PASSPHRASE, PASSPHRASE_FILE
from loadbalancer.state.config_file import is_secret
from loadbalancer.state.project import EMBEDDED, Project

_GENERATED = "passphrase"
_SALT = re.compile(r"^encryptionsalt:.*\n?", re.MULTILINE)


def explain(project: Project, stack: str, environ: Mapping[str, str] = os.environ) -> str:
    """Say which passphrase was used, and what to do when it is not the right one."""
    generated = project.folder.resolve() / EMBEDDED / _GENERATED
    right = "Set the right one: export PULUMI_CONFIG_PASSPHRASE=..."
    # In the order in which Pulumi takes them.
    variable = next((name for name in (PASSPHRASE, PASSPHRASE_FILE) if name in environ), None)
    if variable is None:
        return 'No passphrase is set. Set that of this folder: eval "$(./lb env)"'
    if environ[variable] == str(generated):
        file = project.stack_file(stack).name
        return f"{file} is encrypted with another one than that of {generated}. {right}"
    used = f"It is that of {variable} in this shell."
    if project.embedded and generated.is_file():
        return f"{used} Without it, that of {generated} is used: unset {variable}"
    return f"{used} {right}"


def drop_unused_salt(project: Project, stack: str) -> bool:
    """Remove the salt of another passphrase from a stack's file, where no value needs it.

    The file may come from another checkout, or from a state that was lost. Returns whether it was
    removed; a file with encrypted values stays as it is.
    """
    path = project.stack_file(stack)
    try:
        text = path.read_text()
        content = yaml.safe_load(text)
    except (OSError, yaml.YAMLError):
        return False
    if not isinstance(content, Mapping) or is_secret(content.get("config") or {}):
        return False
    without = _SALT.sub("", text)
    if without == text:
        return False
    if without.strip():
        new = path.with_name(f".{path.name}.{os.getpid()}")
        new.write_text(without)
        new.replace(path)  # so that nobody reads half a file
    else:
        path.unlink()
    return True


def tidy(project: Project, stack: str) -> None:
    """Remove the salt that Pulumi has written into a stack's file, where no value needs it.

    Call it only when no other command for the stack can be running, which may write the file. The
    salt belongs to the passphrase of this folder. In git, where the file is kept, it would keep the
    other clones from using the file. With a passphrase of the user's own it stays.
    """
    if project.embedded:
        drop_unused_salt(project, stack)
