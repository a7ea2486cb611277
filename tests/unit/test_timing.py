"""The times that `make test` prints at its end."""

import sys
from pathlib import Path

import pytest

from tests import timing


def test_the_times_of_a_layer_are_added_up_in_their_order() -> None:
    text = "lint 3.0\nstack 61.5\nunit 1.0\nstack 60.0\n"
    assert timing.summary(text) == ["lint        3 s", "stack  2:02 min", "unit        1 s"]
    assert timing.summary("") == []


def test_a_command_is_timed_and_its_exit_code_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(timing.VARIABLE, str(tmp_path / "times"))
    fails = [sys.executable, "-c", "raise SystemExit(3)"]
    assert timing.main(["run", "lint", *fails]) == 3
    assert timing.main(["show"]) == 0
    assert "lint" in capsys.readouterr().out
