"""The command line: verbs, options, help, completion, errors, and the page that describes them."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from loadbalancer import cli
from loadbalancer.cli import errors, options, verbs
from loadbalancer.config.model import RolloutSettings
from loadbalancer.config.problems import ConfigError, Problem
from loadbalancer.drift.lost import LostError
from loadbalancer.drift.repair import RepairError
from loadbalancer.logs.filter import FilterError
from loadbalancer.rollout.errors import RolloutError, RolloutHalted, UsageError
from loadbalancer.state.checkout import CheckoutError
from loadbalancer.state.identity import IdentityError
from loadbalancer.state.project import Project
from loadbalancer.state.pulumi import (
    LockedError,
    PassphraseError,
    PulumiError,
    StackNotFoundError,
)

PROJECT = Path(__file__).resolve().parents[2]
VERBS = (
    "up",
    "down",
    "recreate",
    "status",
    "repair",
    "watch",
    "logs",
    "app new",
    "rollout start",
    "rollout status",
    "rollout pause",
    "rollout resume",
    "rollout promote",
    "rollout abort",
    "history",
    "rollback",
    "env",
    "clean",
)
WITHOUT_STACK = {"app new", "env", "clean"}
HALF = 2


def _walk(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    if not hasattr(command, "list_commands"):
        yield " ".join(path), command
        return
    for name in command.list_commands(None):
        yield from _walk(command.get_command(None, name), (*path, name))


COMMANDS = dict(_walk(typer.main.get_command(verbs.app)))


def _options(verb: str) -> set[str]:
    """List the long options of a verb."""
    names = [name for one in COMMANDS[verb].params for name in one.opts]
    return {name for name in names if name.startswith("--")} - {"--help"}


def _sections() -> dict[str, str]:
    """Split docs/commands.md by its verbs."""
    parts = re.split(r"^### (.+)$", (PROJECT / "docs/commands.md").read_text(), flags=re.MULTILINE)
    return dict(zip(parts[1::HALF], parts[2::HALF], strict=True))


def run(*arguments: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    """Run the command line in this process."""
    code = cli.main(arguments)
    out, err = capsys.readouterr()
    return code, out, err


def test_there_is_every_verb() -> None:
    assert set(COMMANDS) == set(VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_help_has_examples_and_exit_codes(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(*verb.split(), "--help", capsys=capsys)
    assert code == 0
    examples = out.partition("Examples:")[2].partition("Exit codes:")[0].split("\n")
    made = [line.strip() for line in examples if line.strip()]
    assert made
    assert all(f"./lb {verb}" in line for line in made)
    assert re.search(r"^ +0  success$", out, re.MULTILINE)
    assert re.search(r"^ +2  .*wrong usage$", out, re.MULTILINE)
    assert all(option in out for option in _options(verb))


@pytest.mark.parametrize("verb", VERBS)
def test_an_example_of_the_help_has_only_options_that_there_are(
    verb: str, capsys: pytest.CaptureFixture[str]
) -> None:
    _, out, _ = run(*verb.split(), "--help", capsys=capsys)
    examples = out.partition("Examples:")[2]
    assert set(re.findall(r"--[a-z0-9-]+", examples)) <= _options(verb)


def test_every_verb_for_a_stack_takes_its_name() -> None:
    assert {verb for verb in VERBS if "--stack" not in _options(verb)} == WITHOUT_STACK


def test_rollout_start_has_an_option_for_each_key_of_the_configuration() -> None:
    keys = {f"--{name.replace('_', '-')}" for name in RolloutSettings.model_fields}
    assert _options("rollout start") == keys | {"--stack", "--json"}


@pytest.mark.parametrize("verb", VERBS)
def test_the_page_describes_a_verb_with_its_options_and_an_example(verb: str) -> None:
    sections = _sections()
    assert set(sections) == set(VERBS)
    section = sections[verb]
    listed = section.partition("Options:")[2].partition("Exit codes:")[0]
    assert set(re.findall(r"`(--[a-z0-9-]+)`", listed)) == _options(verb)
    example = re.search(r"```sh\n(.*)\n```", section)
    assert example and f"./lb {verb}" in example[1]
    assert set(re.findall(r"--[a-z0-9-]+", example[1])) <= _options(verb)


@pytest.mark.parametrize("verb", VERBS)
def test_the_page_has_the_exit_codes_of_the_help(
    verb: str, capsys: pytest.CaptureFixture[str]
) -> None:
    _, out, _ = run(*verb.split(), "--help", capsys=capsys)
    codes = re.findall(r"^ +(\d)  ", out.partition("Exit codes:")[2], re.MULTILINE)
    described = _sections()[verb].partition("Exit codes:")[2]
    assert re.findall(r"\b\d\b", described) == codes


@pytest.mark.parametrize(
    "arguments",
    [
        ("nothing",),
        ("status", "--bogus"),
        ("watch", "--interval", "0"),
        ("watch", "--interval", "nan"),
        ("watch", "--interval", "3601"),
        ("watch", "--count", "-1"),
        ("logs", "--tail", "many"),
        ("logs", "--tail", "10000000"),
        ("logs", "--status", "9"),
        ("rollback", "first"),
        ("app", "new"),
    ],
)
def test_wrong_usage_ends_with_2(
    arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = run(*arguments, capsys=capsys)
    assert (code, out) == (2, "")
    assert err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (ConfigError([Problem("port", 0.5, "is not whole", "Set it: x")]), 1, "error: port: 0.5"),
        (PulumiError("incorrect passphrase"), 1, "error: incorrect passphrase"),
        (
            StackNotFoundError("no stack named 'staging' found", stack="staging"),
            1,
            "error: no stack named 'staging' found. Create it: ./lb up --stack staging",
        ),
        (LockedError("the stack is locked", stack="dev"), 1, "killed: ./lb repair --stack dev"),
        (PassphraseError("incorrect passphrase", stack="dev"), 1, "passphrase. It is that of PULU"),
        (CheckoutError("this shell has the environment of a"), 1, "error: this shell has"),
        (IdentityError("b is a copy of a"), 1, "error: b is a copy of a"),
        (LostError("stack dev of this folder has left"), 1, "error: stack dev of this folder"),
        (RepairError("process 1 is updating"), 1, "error: process 1 is updating"),
        (ConnectionRefusedError("refused"), None, ""),
        (FilterError("--status: '9' is no code"), 2, "error: --status"),
        (UsageError("--to: missing target weights"), 2, "error: --to: missing"),
        (RolloutError("a rollout is running"), 1, "error: a rollout is running"),
        (RolloutHalted("somebody else set the weights"), 4, "halted: somebody else"),
    ],
)
def test_an_error_has_one_message_and_its_exit_code(
    error: Exception,
    code: int | None,
    message: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "of another project")
    if code is None:
        with pytest.raises(type(error)):
            errors.report(error)
        return
    assert errors.report(error) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err


def test_an_engine_that_is_gone_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from docker.errors import DockerException  # noqa: PLC0415 - only this test needs it

    monkeypatch.delenv("DOCKER_HOST", raising=False)
    assert errors.report(DockerException("connection refused")) == 1
    assert "error: Docker engine on this machine: connection refused" in capsys.readouterr().err


def test_the_stack_is_the_given_one_else_the_selected_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Project, "selected", lambda *_: "of the shell")
    assert options.target("given")[1] == "given"
    assert options.target(None)[1] == "of the shell"


def test_rollout_status_imports_nothing_that_takes_long() -> None:
    code = (
        "import sys; from loadbalancer import cli; from loadbalancer.rollout import commands; "
        "from loadbalancer.display import rollout; "
        "print({'pulumi', 'docker', 'pydantic', 'rich', 'requests'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=PROJECT
    )
    assert done.stdout == "set()\n"


@pytest.fixture
def bare(tmp_path: Path) -> dict[str, str]:
    """The environment of a machine without Pulumi."""
    return {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "PULUMI_HOME": str(tmp_path)}


def _lb(
    program: Path, *arguments: str, environ: dict[str, str], cwd: Path
) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, program, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=environ,
        cwd=cwd,
    )


def _copy(tmp_path: Path) -> Path:
    """Copy what the launcher needs to a project without a virtual environment."""
    project = tmp_path / "bare project"
    project.mkdir()
    (project / "lb").write_text((PROJECT / "lb").read_text())
    (project / "loadbalancer").symlink_to(PROJECT / "loadbalancer")
    toolchain = project / "toolchain"
    toolchain.mkdir()
    for path in (PROJECT / "toolchain").glob("*.py"):
        (toolchain / path.name).symlink_to(path)
    return project


@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb not in {"up", "recreate"}])
def test_on_a_bare_machine_a_verb_says_what_to_run(
    verb: str, tmp_path: Path, bare: dict[str, str]
) -> None:
    done = _lb(_copy(tmp_path) / "lb", *verb.split(), environ=bare, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(r"error: .*: \./lb up\n", done.stderr)


def test_a_virtual_environment_that_lacks_a_package_is_an_error_that_says_what_to_run() -> None:
    for broken in ("typer", "yaml"):
        code = (
            f"import runpy, sys; sys.modules[{broken!r}] = None; "
            "sys.argv[1:] = ['status']; runpy.run_module('loadbalancer', run_name='__main__')"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=False
        )
        assert done.returncode == 1
        assert done.stderr == f"error: {broken} is missing in .venv. Install it: ./lb up\n"


def test_up_runs_the_toolchain_first_and_ends_where_that_fails(
    tmp_path: Path, bare: dict[str, str]
) -> None:
    project = _copy(tmp_path)
    (project / "toolchain" / "__main__.py").unlink()
    (project / "toolchain" / "__main__.py").write_text("print('installing'); raise SystemExit(7)")
    for verb in ("up", "recreate"):
        done = _lb(project / "lb", verb, environ=bare, cwd=tmp_path)
        assert (done.returncode, done.stdout, done.stderr) == (7, "installing\n", "")
    done = _lb(project / "lb", "up", "--help", environ=bare, cwd=tmp_path)
    assert "installing" not in done.stdout


def _venv(project: Path) -> None:
    """Make a virtual environment of a kind: a Python that tells what it was started with."""
    python = project / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text('#!/bin/sh\npwd; echo "$@"; env\n')
    python.chmod(0o755)


def _pulumi(folder: Path) -> None:
    """Put a CLI of a kind into a Pulumi home."""
    names = ("pulumi-language-python", "pulumi-language-python-exec")
    (folder / "bin").mkdir()
    for name in (*names, "pulumi-resource-pulumi-python", "pulumi"):
        (folder / "bin" / name).write_text("#!/bin/sh\necho v3.999.0\n")
        (folder / "bin" / name).chmod(0o755)


def test_a_verb_runs_in_the_project_with_the_environment_from_any_folder_and_through_a_link(
    tmp_path: Path, bare: dict[str, str]
) -> None:
    project = _copy(tmp_path)
    _venv(project)
    _pulumi(tmp_path)
    link = tmp_path / "link"
    link.symlink_to(project / "lb")
    done = _lb(link, "status", "--stack", "a b", environ=bare, cwd=Path("/"))
    assert done.returncode == 0, done.stderr
    folder, arguments, *environ = done.stdout.splitlines()
    assert (folder, arguments) == (str(project), "-m loadbalancer status --stack a b")
    assert f"PATH={tmp_path}/bin:{bare['PATH']}" in environ
    assert f"PWD={project}" in environ
    assert "PULUMI_BACKEND_URL" not in done.stdout
    assert f"LOADBALANCER_CHECKOUT={project}" in environ
    assert f"PULUMI_CONFIG_PASSPHRASE_FILE={project}/.state/passphrase" in environ
    assert (project / ".state" / "passphrase").exists()


def test_a_verb_keeps_the_path_by_which_the_shell_came(
    tmp_path: Path, bare: dict[str, str]
) -> None:
    project = _copy(tmp_path)
    _venv(project)
    _pulumi(tmp_path)
    link = tmp_path / "link"
    link.symlink_to(project)
    folder = link / "toolchain"
    done = _lb(link / "lb", "status", environ={**bare, "PWD": str(folder)}, cwd=folder)
    assert f"PWD={link}" in done.stdout.splitlines()


def test_env_prints_the_environment_and_help_needs_no_pulumi(
    tmp_path: Path, bare: dict[str, str]
) -> None:
    project = _copy(tmp_path)
    _venv(project)
    done = _lb(project / "lb", "status", "--help", environ=bare, cwd=tmp_path)
    assert "-m loadbalancer status --help" in done.stdout
    _pulumi(tmp_path)
    done = _lb(project / "lb", "env", environ=bare, cwd=tmp_path)
    assert f'export PATH={tmp_path}/bin:"$PATH"\n' in done.stdout
    assert "export LOADBALANCER_CHECKOUT=" in done.stdout
    assert "PULUMI_BACKEND_URL" not in done.stdout


def test_a_verb_in_the_environment_of_another_checkout_uses_its_own(
    tmp_path: Path, bare: dict[str, str]
) -> None:
    _pulumi(tmp_path)
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    a, b = _copy(tmp_path / "a"), _copy(tmp_path / "b")
    for project in (a, b):
        _venv(project)
        shutil.copy(PROJECT / "Pulumi.yaml", project)
    printed = _lb(a / "lb", "env", environ=bare, cwd=a).stdout
    of_a = dict(shlex.split(line)[1].split("=", 1) for line in printed.splitlines()[1:])
    assert of_a["PULUMI_CONFIG_PASSPHRASE_FILE"] == f"{a}/.state/passphrase"
    done = _lb(b / "lb", "down", environ={**bare, **of_a}, cwd=b)
    assert str(a) not in done.stdout
    environ = done.stdout.splitlines()
    assert f"LOADBALANCER_CHECKOUT={b}" in environ
    assert f"PULUMI_CONFIG_PASSPHRASE_FILE={b}/.state/passphrase" in environ
    (note,) = done.stderr.splitlines()
    assert note.startswith(f"note: this shell has the environment of {a}. ")
    # The fix itself is quiet, and after it nothing is left to say.
    done = _lb(b / "lb", "env", environ={**bare, **of_a}, cwd=b)
    assert (done.stderr, str(a) in done.stdout) == ("", False)
    of_b = dict(shlex.split(line)[1].split("=", 1) for line in done.stdout.splitlines()[1:])
    assert _lb(b / "lb", "down", environ={**bare, **of_a, **of_b}, cwd=b).stderr == ""


def _complete(words: str, environ: dict[str, str]) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-m", "loadbalancer"],
        env={
            **os.environ,
            **environ,
            "COMP_WORDS": words,
            "COMP_CWORD": str(len(words.split(" ")) - 1),
            "_LB_COMPLETE": "complete_bash",
        },
        capture_output=True,
        text=True,
        check=True,
        cwd=PROJECT,
    )
    return done.stdout.split()


def test_a_shell_completes_verbs_options_and_stacks(tmp_path: Path) -> None:
    stacks = tmp_path / ".pulumi/stacks/loadbalancer"
    stacks.mkdir(parents=True)
    (stacks / "staging.json").write_text("{}")
    environ = {"PULUMI_BACKEND_URL": tmp_path.as_uri()}
    assert _complete("lb roll", environ) == ["rollback", "rollout"]
    assert _complete("lb rollout st", environ) == ["start", "status"]
    assert _complete("lb rollout start --max-p", environ) == ["--max-p99"]
    assert _complete("lb status --stack st", environ) == ["staging"]


@pytest.mark.parametrize(
    ("shell", "said"),
    [("bash", "complete -o"), ("zsh", "#compdef lb"), ("fish", "complete --command lb")],
)
def test_the_script_for_completion_is_that_of_the_shell(
    shell: str, said: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Not the shell that runs the tests, which may have been started by none.
    monkeypatch.setattr("shellingham.detect_shell", lambda: (shell, f"/bin/{shell}"))
    code, out, _ = run("--show-completion", capsys=capsys)
    assert code == 0
    assert said in out
    assert "_LB_COMPLETE" in out
