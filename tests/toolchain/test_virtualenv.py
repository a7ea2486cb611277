"""A virtual environment that is made, kept, renewed and repaired; no package index is asked."""

import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

from toolchain import virtualenv
from toolchain.steps import Report, ToolchainError, silent
from toolchain.virtualenv import INSTALLING, ensure, python_of

WHEEL = "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


def write_wheel(folder: Path, version: str) -> Path:
    """Write the wheel of a package called `tiny`."""
    path = folder / f"tiny-{version}-py3-none-any.whl"
    info = f"tiny-{version}.dist-info"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr("tiny.py", f"VERSION = {version!r}\n")
        wheel.writestr(
            f"{info}/METADATA", f"Metadata-Version: 2.1\nName: tiny\nVersion: {version}\n"
        )
        wheel.writestr(f"{info}/WHEEL", WHEEL)
        wheel.writestr(f"{info}/RECORD", "")
    return path


@pytest.fixture
def requirements(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    path = tmp_path / "requirements.txt"
    path.write_text(f"{write_wheel(tmp_path, '1.0')}\n")
    return path


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment to copy, because making one takes seconds."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "requirements.txt").write_text("")
    ensure(folder / ".venv", folder / "requirements.txt", silent)
    return folder / ".venv"


@pytest.fixture
def venv(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    def create(folder: Path, _python: Path, _report: Report) -> None:
        shutil.copytree(made, folder, symlinks=True)

    create(tmp_path / ".venv", Path(), silent)
    monkeypatch.setattr(virtualenv, "create", create)
    return tmp_path / ".venv"


def version_of_tiny(venv: Path) -> str:
    code = "import tiny; print(tiny.VERSION)"
    done = subprocess.run(
        [venv / "bin" / "python", "-c", code], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_installs_once_and_then_finds(venv: Path, requirements: Path) -> None:
    assert ensure(venv, requirements, silent).how == "installed"
    assert version_of_tiny(venv) == "1.0"
    assert ensure(venv, requirements, silent).how == "found"


def test_changed_requirements_are_installed(venv: Path, requirements: Path) -> None:
    ensure(venv, requirements, silent)
    requirements.write_text(f"{write_wheel(requirements.parent, '2.0')}\n")
    assert ensure(venv, requirements, silent).how == "installed"
    assert version_of_tiny(venv) == "2.0"


def test_an_interrupted_installation_is_made_anew(venv: Path, requirements: Path) -> None:
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


def test_a_package_that_cannot_be_had_is_an_error_and_tried_again(
    venv: Path, requirements: Path
) -> None:
    good = requirements.read_text()
    requirements.write_text("no-such-package-anywhere==1\n")
    with pytest.raises(ToolchainError, match="no-such-package-anywhere"):
        ensure(venv, requirements, silent)
    requirements.write_text(good)
    assert ensure(venv, requirements, silent).how == "installed"
