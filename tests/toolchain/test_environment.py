"""The exports, evaluated by a real shell, and the embedded backend's folder."""

import json
import re
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from toolchain import environment, pulumicli
from toolchain.environment import Paths, prepare
from toolchain.steps import ToolchainError

SH = shutil.which("sh") or "/bin/sh"


def evaluated(text: str, environ: dict[str, str]) -> dict[str, str]:
    """Return the environment of a shell that has evaluated `text`."""
    done = subprocess.run(
        [SH, "-euc", 'eval "$1"; exec env -0', "sh", text],
        env=environ,
        capture_output=True,
        check=True,
    )
    pairs = (entry.partition("=") for entry in done.stdout.decode().split("\0") if entry)
    return {name: value for name, _, value in pairs}


@pytest.mark.parametrize("folder", ["plain", "with blanks", 'it\'s $HOME `id` "x" \\ *'])
def test_a_shell_gets_exactly_these_values(tmp_path: Path, folder: str) -> None:
    paths = Paths(state=tmp_path / folder / ".state", bin=tmp_path / folder / "bin", login="")
    path = "/usr/bin:/bin"
    got = evaluated(environment.shell({"PATH": path}, paths), {"PATH": path})
    assert got["PATH"] == f"{tmp_path / folder / 'bin'}:{path}"
    assert got["PULUMI_CONFIG_PASSPHRASE_FILE"] == str(paths.state / "passphrase")
    assert got["LOADBALANCER_CHECKOUT"] == str(paths.project)
    assert evaluated(environment.shell(got, Paths(paths.state, None, "")), got) == got


def test_variables_are_unset_by_a_shell(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name / ".state").mkdir(parents=True)
        for file in ("Pulumi.yaml", "lb"):
            (tmp_path / name / file).write_text("")
    environ = {"PATH": "/bin", "PULUMI_BACKEND_URL": (tmp_path / "a/.state").as_uri()}
    text = environment.shell(environ, Paths(tmp_path.resolve() / "b/.state", None, ""))
    assert "unset PULUMI_BACKEND_URL\n" in text
    assert "PULUMI_BACKEND_URL" not in evaluated(text, environ)


def test_every_line_is_an_export(tmp_path: Path) -> None:
    text = environment.shell({}, Paths(tmp_path / ".state", tmp_path / "bin", ""))
    assert all(line.startswith("export ") for line in text.splitlines())


def test_the_passphrase_is_made_once_and_only_this_user_can_read_it(tmp_path: Path) -> None:
    state = tmp_path / ".state"
    prepare(state)
    first = (state / "passphrase").read_text()
    assert len(first.strip()) >= 32
    assert stat.S_IMODE((state / "passphrase").stat().st_mode) == 0o600
    assert stat.S_IMODE(state.stat().st_mode) == 0o700
    prepare(state)
    assert (state / "passphrase").read_text() == first
    assert [path.name for path in state.iterdir()] == ["passphrase"]


def test_a_lost_passphrase_is_not_replaced_while_stacks_need_it(tmp_path: Path) -> None:
    state = tmp_path / ".state"
    stacks = state / ".pulumi" / "stacks" / "loadbalancer"
    stacks.mkdir(parents=True)
    (stacks / "dev.json").write_text("{}")
    (stacks / "dev.json.bak").write_text("{}")
    with pytest.raises(ToolchainError, match=r"passphrase is missing.*\(dev\)") as raised:
        prepare(state, {})
    prepare(state, {"PULUMI_CONFIG_PASSPHRASE": "that of the stacks"})
    assert not (state / "passphrase").exists()
    command = re.search(r"rm -r \S+$", str(raised.value))
    assert command
    subprocess.run([SH, "-c", command[0]], check=True)
    prepare(state, {})
    assert (state / "passphrase").exists()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PULUMI_HOME", str(tmp_path))
    monkeypatch.delenv("PULUMI_CREDENTIALS_PATH", raising=False)
    return tmp_path


@pytest.mark.parametrize(
    ("content", "login"),
    [
        (json.dumps({"current": "https://api.pulumi.com"}), "https://api.pulumi.com"),
        (json.dumps({"accounts": {}}), ""),
        ("[]", ""),
        ("{broken", ""),
    ],
)
def test_login_is_read_from_the_credentials_file(home: Path, content: str, login: str) -> None:
    (home / "credentials.json").write_text(content)
    assert environment.login({}) == login
    elsewhere = {"PULUMI_CREDENTIALS_PATH": str(home / "elsewhere")}
    assert environment.login(elsewhere) == ""


def test_without_pulumi_the_error_says_how_to_get_it(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(home))
    assert pulumicli.find() is None
    with pytest.raises(ToolchainError, match=r"\./lb up"):
        environment.locate(home)
