"""Leaving nothing behind: every stack of the embedded backend, and the backend itself."""

import os
import shutil
from pathlib import Path
from urllib.parse import quote, urlsplit

from pulumi import automation


def clean(project: Path, *, confirmed: bool) -> int:
    """Destroy the stacks that the embedded backend holds, then remove it; asks first.

    A backend of the user's own is left alone. Returns the exit code, 1 if the answer was no.
    """
    state = project / ".state"
    if urlsplit(os.environ.get("PULUMI_BACKEND_URL", "")).path != quote(str(state)):
        print("This shell uses a backend of its own, which stays. Destroy a stack: make down")
        return 1
    workspace = automation.LocalWorkspace(work_dir=str(project))
    names = [summary.name for summary in workspace.list_stacks()]
    print(f"This destroys the stacks {', '.join(names) or '(none)'} and removes {state.name}/")
    print("with their history and the passphrase of their secrets.")
    if not confirmed and input("Type yes to go on: ") != "yes":
        print("Nothing was changed.")
        return 1
    for name in names:
        stack = automation.select_stack(name, work_dir=str(project))
        stack.destroy(on_output=print)
        workspace.remove_stack(name)
        (project / f"Pulumi.{name}.yaml").unlink(missing_ok=True)
    shutil.rmtree(state)
    return 0
