"""A stack to copy: making one takes a second, and many tests need a new one."""

import subprocess
from pathlib import Path

import pytest

from tests.toolchain.pulumiproject import BIN, environment, write_project


@pytest.fixture(scope="session")
def new_stack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the config file and the backend of a new stack `dev`."""
    folder = tmp_path_factory.mktemp("new") / "project"
    state = folder / ".state"
    state.mkdir(parents=True)
    write_project(folder, {"name": "python"})
    variables = environment(state)
    del variables["PULUMI_STACK"]  # it would have to exist
    command: list[str | Path] = [
        BIN / "pulumi",
        "stack",
        "init",
        "dev",
        "--no-select",
        "--non-interactive",
    ]
    subprocess.run(command, cwd=folder, env=variables, check=True, capture_output=True)
    return folder
