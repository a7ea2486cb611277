import io
import re
from pathlib import Path

import pytest

from toolchain.golang import MODULE, PACKAGED, required
from toolchain.steps import Outcome, Progress, Report, ToolchainError, perform
from toolchain.versions import parse_version
from toolchain.virtualenv import required_files, stamp


@pytest.mark.parametrize(
    ("text", "expected"),
    [("v3.256.0\n", (3, 256, 0)), ("1.26rc1", (1, 26)), ("3.9.0-alpha.1", (3, 9, 0))],
)
def test_versions(text: str, expected: tuple[int, ...]) -> None:
    assert parse_version(text) == expected


def test_versions_compare_as_numbers() -> None:
    assert parse_version("3.256.0") > parse_version("v3.99.1")


@pytest.mark.parametrize("text", ["", "devel", "version 3"])
def test_not_a_version(text: str) -> None:
    with pytest.raises(ValueError, match="not a version"):
        parse_version(text)


def test_go_version_that_a_module_asks_for() -> None:
    assert required("module a\n\ngo 1.25.11\n\ntoolchain go1.26.0\n") == (1, 25, 11)


def test_the_go_to_install_is_new_enough_for_our_module() -> None:
    assert parse_version(PACKAGED) >= required(MODULE.read_text())


def test_a_step_leaves_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    perform("Docker engine", lambda _report: Outcome("found", "28.2.2 at unix:///docker.sock"))
    (line,) = capsys.readouterr().out.splitlines()
    *words, seconds, unit = line.split()
    assert words == ["Docker", "engine", "found", "28.2.2", "at", "unix:///docker.sock"]
    assert re.fullmatch(r"\d+\.\d", seconds)
    assert unit == "s"


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (
            PermissionError(13, "Permission denied", "/etc/thing"),
            r"Permission denied: '/etc/thing'",
        ),
        (ToolchainError("nothing works. Buy a new one."), r"nothing works\. Buy a new one\."),
    ],
)
def test_a_failed_step_is_named_in_the_error(
    capsys: pytest.CaptureFixture[str], error: Exception, says: str
) -> None:
    def fail(_report: Report) -> Outcome:
        raise error

    with pytest.raises(ToolchainError, match=f"Python image: .*{says}"):
        perform("Python image", fail)
    assert capsys.readouterr().out.split() == ["Python", "image", "failed"]


def test_progress_moves_now_and_then_where_there_is_no_terminal() -> None:
    stream = io.StringIO()
    seldom = Progress("Pulumi", stream, every=60)
    seldom("1 of 9")
    assert stream.getvalue() == ""
    often = Progress("Pulumi", stream, every=0)
    often("1 of 9")
    often("2 of 9")
    assert [line.split()[1] for line in stream.getvalue().splitlines()] == ["1", "2"]


def test_requirements_count_with_what_they_include(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("pulumi==3\n")
    dev = tmp_path / "requirements-dev.txt"
    dev.write_text("-r requirements.txt\npytest\n")
    files = required_files(dev)
    assert files == [dev, tmp_path / "requirements.txt"]
    before = stamp(files, "3.11.7")
    assert before != stamp(files, "3.14.0")
    (tmp_path / "requirements.txt").write_text("pulumi==4\n")
    assert before != stamp(files, "3.11.7")
