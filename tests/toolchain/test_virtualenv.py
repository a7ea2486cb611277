"""A virtual environment that is made, kept, updated and repaired, without a package index."""

import importlib.util
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from tests.toolchain.wheels import write_wheel
from toolchain import virtualenv
from toolchain.steps import Report, ToolchainError, silent
from toolchain.virtualenv import INSTALLING, ensure, python_of


@pytest.fixture
def requirements(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    path = tmp_path / "requirements.txt"
    path.write_text(f"{write_wheel(tmp_path, '1.0')}\n")
    return path


@pytest.fixture
def venv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An environment that takes pip from the tests' own one: installing pip takes seconds."""

    def create(folder: Path, python: Path, _report: Report) -> None:
        subprocess.run([python, "-m", "venv", "--without-pip", folder], check=True)
        (packages,) = folder.glob("lib/python*/site-packages")
        (packages / "pip.pth").write_text(f"{sysconfig.get_path('purelib')}\n")

    monkeypatch.setattr(virtualenv, "create", create)
    create(tmp_path / ".venv", Path(sys.executable), silent)
    return tmp_path / ".venv"


def version_of_tiny(venv: Path) -> str:
    code = "import tiny; print(tiny.VERSION)"
    done = subprocess.run(
        [venv / "bin" / "python", "-c", code], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_an_environment_is_made_once_and_then_found(tmp_path: Path, requirements: Path) -> None:
    venv = tmp_path / ".venv"
    assert ensure(venv, requirements, silent).how == "installed"
    assert version_of_tiny(venv) == "1.0"
    assert ensure(venv, requirements, silent).how == "found"


def test_changed_requirements_are_installed(venv: Path, requirements: Path) -> None:
    ensure(venv, requirements, silent)
    requirements.write_text(f"{write_wheel(requirements.parent, '2.0')}\n")
    assert ensure(venv, requirements, silent).how == "installed"
    assert version_of_tiny(venv) == "2.0"


def test_an_interrupted_installation_is_made_again(venv: Path, requirements: Path) -> None:
    ensure(venv, requirements, silent)
    (venv / INSTALLING).touch()
    half_done = next(venv.glob("lib/python*/site-packages")) / "half-done.py"
    half_done.touch()
    assert ensure(venv, requirements, silent).how == "installed"
    assert not half_done.exists()
    assert version_of_tiny(venv) == "1.0"


def test_a_lost_interpreter_is_replaced(venv: Path, requirements: Path) -> None:
    ensure(venv, requirements, silent)
    python = venv / "bin" / "python"
    python.unlink()
    python.symlink_to("/nowhere/python3")
    assert ensure(venv, requirements, silent).how == "installed"
    assert python_of(venv) is not None


def test_a_missing_package_is_an_error_and_the_next_run_installs(
    venv: Path, requirements: Path
) -> None:
    good = requirements.read_text()
    requirements.write_text("no-such-package-anywhere==1\n")
    with pytest.raises(ToolchainError, match="no-such-package-anywhere"):
        ensure(venv, requirements, silent)
    requirements.write_text(good)
    assert ensure(venv, requirements, silent).how == "installed"


def test_an_activated_environment_can_be_imported_from(
    venv: Path, requirements: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ensure(venv, requirements, silent)
    monkeypatch.setattr(sys, "path", list(sys.path))
    virtualenv.activate(venv)
    virtualenv.activate(venv)
    found = importlib.util.find_spec("tiny")
    assert found is not None
    assert found.origin is not None
    assert Path(found.origin).is_relative_to(venv)
    assert sum(Path(path).is_relative_to(venv) for path in sys.path) == 1
