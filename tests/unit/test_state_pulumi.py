"""The `pulumi` command: what its failures mean, and what Ctrl-C does to it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from loadbalancer.engine.wait import Wait
from loadbalancer.state import pulumi
from loadbalancer.state.pulumi import (
    LockedError,
    PassphraseError,
    Pulumi,
    PulumiError,
    StackNotFoundError,
    StalledError,
    error_of,
)

# As pulumi 3.256 prints them.
MISSING = "error: no stack named 'nobody' found\n"
LOCKED = (
    "error: the stack is currently locked by 1 lock(s). Either wait for the other process(es) to "
    "end or delete the lock file with `pulumi cancel`.\n  file:///s/.pulumi/locks/organization/"
    "loadbalancer/dev/aa.json: created by root@elsewhere (pid 4242) at 2026-11-27T17:00:00Z\n"
)
SECRETS = "getting stack configuration: get stack secrets manager"
CONFLICT = "error: [409] Conflict: Another update is currently in progress.\n"


@pytest.mark.parametrize(
    ("complaints", "kind"),
    [
        (MISSING, StackNotFoundError),
        (LOCKED, LockedError),
        (CONFLICT, LockedError),
        (f"error: {SECRETS}: incorrect passphrase\n", PassphraseError),
        ("error: could not create secrets manager: incorrect passphrase\n", PassphraseError),
        (
            f"error: {SECRETS}: unable to read PULUMI_CONFIG_PASSPHRASE_FILE: open /x\n",
            PassphraseError,
        ),
        (
            f"error: {SECRETS}: passphrase must be set with PULUMI_CONFIG_PASSPHRASE\n",
            PassphraseError,
        ),
        ("", PulumiError),
    ],
)
def test_what_a_failure_means(complaints: str, kind: type[PulumiError]) -> None:
    assert type(error_of("", complaints)) is kind


def test_what_an_app_prints_is_not_taken_for_pulumis_own_message() -> None:
    printed = "  app1 container: no stack named 'x' found\n  the stack is currently locked by me\n"
    found = error_of(printed, "error: update failed\n  error: no stack named 'x' found\n")
    assert type(found) is PulumiError


def test_the_message_has_each_reason_once_and_no_control_characters() -> None:
    line = "  container app1: error: exec \x1b[31mfailed\n"
    found = error_of(line + line, "error: update failed\nerror: preview failed")
    assert "\x1b" not in str(found)
    assert str(found).count("exec") == 1
    assert str(found).endswith("preview failed")
    assert "update failed" not in str(found)
    assert "update failed" in found.output


@pytest.fixture
def fake(tmp_path: Path) -> Path:
    """A `pulumi` that notes its arguments, and ends in order on SIGINT."""
    program = tmp_path / "bin" / "pulumi"
    program.parent.mkdir()
    program.write_text(
        f"#!{sys.executable}\n"
        "import os, signal, sys, time\n"
        "def end(*_):\n"
        "    open('ended', 'w').write('in order')\n"
        "    sys.exit(1)\n"
        "signal.signal(signal.SIGINT, end)\n"
        "open('started', 'w').write(' '.join(sys.argv[1:]))\n"
        "if sys.argv[1] == 'wait':\n"
        "    while not os.path.exists('go'): time.sleep(0.01)\n"
        "open('finished', 'w').write('yes')\n"
        "print('done')\n"
    )
    program.chmod(0o755)
    return program


def _pulumi(fake: Path) -> Pulumi:
    return Pulumi(fake.parents[1], {"PATH": str(fake.parent)})


def test_a_command_line_and_what_it_prints(fake: Path) -> None:
    assert _pulumi(fake).run("stack", "history", stack="dev") == "done"
    started = (fake.parents[1] / "started").read_text()
    assert started == "stack history --stack dev --non-interactive"


def test_without_a_cli_the_message_says_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(PulumiError, match=r"not found on PATH.*\./lb env"):
        Pulumi(tmp_path, {"PATH": str(tmp_path)}).run("version")


def test_a_failure_in_the_foreground_is_shown_and_classified(
    fake: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fake.write_text(f"#!/bin/sh\nprintf 'warning: é\\n%s' \"{MISSING}\" >&2\nexit 1\n")
    with pytest.raises(StackNotFoundError) as raised:
        _pulumi(fake).show("destroy", stack="nobody")
    assert raised.value.stack == "nobody"
    assert capsys.readouterr().err == f"warning: é\n{MISSING}"
    fake.write_text("#!/bin/sh\necho error: something else >&2\nexit 1\n")
    with pytest.raises(PulumiError, match="pulumi destroy failed; its message is above"):
        _pulumi(fake).show("destroy", stack="dev")


@pytest.mark.parametrize("method", ["show", "run"])
def test_ctrl_c_lets_the_command_end_in_order(fake: Path, method: str) -> None:
    folder = fake.parents[1]
    code = (
        "from pathlib import Path\nfrom loadbalancer.state.pulumi import Pulumi, PulumiError\n"
        f"pulumi = Pulumi(Path({str(folder)!r}), {{'PATH': {str(fake.parent)!r}}})\n"
        f"try:\n    pulumi.{method}('wait')\nexcept PulumiError as error:\n    print(error)\n"
    )
    shell = subprocess.Popen(
        [sys.executable, "-c", code],
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    patience = Wait(60, 0.02)
    patience.until("the command to start", lambda: _missing(folder / "started"))
    # As a terminal does: to every process of the foreground.
    os.killpg(shell.pid, signal.SIGINT)
    if method == "show":
        out, _ = shell.communicate(timeout=60)
        assert (folder / "ended").read_text() == "in order"
        assert "pulumi wait failed" in out
    else:
        # `run` gives the command a session of its own: it goes on to its end.
        shell.communicate(timeout=60)
        (folder / "go").write_text("")
        patience.until("the command to end", lambda: _missing(folder / "finished"))
        assert not (folder / "ended").exists()


def _missing(path: Path) -> str | None:
    return None if path.exists() and path.read_text() else f"no {path.name}"


STALLS = """#!/bin/sh
{trap}
echo $$ > "{pid}"
while :; do sleep 0.1; done
"""


@pytest.mark.parametrize("trap", ["", "trap '' INT"])
def test_a_command_that_stalls_is_ended(
    trap: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Ctrl-C does, else by force."""
    pid = tmp_path / "pid"
    command = tmp_path / "pulumi"
    command.write_text(STALLS.format(trap=trap, pid=pid))
    command.chmod(0o755)
    monkeypatch.setattr(pulumi, "_ENDING", 0.5)
    run = Pulumi(tmp_path, {"PATH": f"{tmp_path}:{os.environ['PATH']}"}).run
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(StalledError, match=r"^pulumi up has not ended within 2 s, and was ended$"):
        run("up", stack="dev", timeout=2)
    assert not Path("/proc", pid.read_text().strip()).exists()
