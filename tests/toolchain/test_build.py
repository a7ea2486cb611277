"""The build of the programs, with a script in place of Go."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.toolchain.pulumiproject import PATIENCE, wait_until
from toolchain import build
from toolchain.build import BuildError, build_programs

PROGRAMS = {
    "pulumi",
    "pulumi-language-python",
    "pulumi-language-python-exec",
    "pulumi-resource-docker",
    "pulumi-resource-pulumi-python",
}

# What it "builds" is a script that writes a schema, the one program that is run on the way.
GO = """#!/bin/sh
echo "$@" >> {folder}/calls
case "$1 $2" in
"env GOVERSION") echo go1.99 ;;
"list -deps") echo "go: downloading some/module v1" >&2; echo a; echo b ;;
"list -m") echo {folder}/sdk ;;
"build -v")
    if [ -e {folder}/broken ]; then echo "a.go:1: $(cat {folder}/broken)" >&2; exit 3; fi
    if [ -e {folder}/slow ]; then
        mkdir "$GOTMPDIR/work"
        touch {folder}/building
        sleep 600
    fi
    echo a >&2; echo b >&2
    while [ "$1" != -o ]; do shift; done
    printf '#!/bin/sh\\nprintf schema > "$2"\\n' > "$2" ;;
esac
"""


@pytest.fixture
def go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    scripts = tmp_path / "sdk" / "python" / "cmd"
    scripts.mkdir(parents=True)
    (scripts / build.EXECUTOR).write_text("the executor")
    monkeypatch.setattr(build, "SCHEMA", tmp_path / "embedded" / "schema.json")
    script = tmp_path / "go"
    script.write_text(GO.format(folder=tmp_path))
    script.chmod(0o755)
    return script


def calls(go: Path) -> list[str]:
    return [line for line in go.with_name("calls").read_text().splitlines() if "build" in line]


def programs_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if not path.name.endswith(".stamp")}


def test_all_programs_are_built_with_progress(go: Path, tmp_path: Path) -> None:
    reported: list[str] = []
    into = tmp_path / "into"
    build_programs(go, into, reported.append)
    assert programs_in(into) == PROGRAMS | {"docker-schema"}
    assert all(os.access(into / name, os.X_OK) for name in PROGRAMS)
    assert (into / build.EXECUTOR).read_text() == "the executor"
    assert build.SCHEMA.read_text() == "schema"
    assert "building pulumi: 1 modules fetched" in reported
    assert "building pulumi: 1 of 2 packages" in reported
    assert "building pulumi: linking" in reported


def test_current_programs_are_not_built_again(go: Path, tmp_path: Path) -> None:
    into = tmp_path / "into"
    build_programs(go, into, lambda _: None)
    done = len(calls(go))
    build_programs(go, into, lambda _: None)
    assert len(calls(go)) == done


def test_a_missing_program_or_one_of_another_go_is_built_again(go: Path, tmp_path: Path) -> None:
    into = tmp_path / "into"
    build_programs(go, into, lambda _: None)
    done = len(calls(go))
    (into / "pulumi").unlink()
    build_programs(go, into, lambda _: None)
    assert len(calls(go)) == done + 1
    go.write_text(go.read_text().replace("go1.99", "go2.0"))
    build_programs(go, into, lambda _: None)
    assert len(calls(go)) == 2 * done + 1


@pytest.mark.parametrize(
    ("printed", "hint"),
    [
        ("dial tcp: lookup proxy: no such host", "check the network, or set GOPROXY"),
        ("write: no space left on device", "make room"),
        ("undefined: x", "run the same command again"),
    ],
)
def test_failure_names_the_step_and_what_to_do(
    go: Path, tmp_path: Path, printed: str, hint: str
) -> None:
    into = tmp_path / "into"
    go.with_name("broken").write_text(printed)
    with pytest.raises(BuildError) as caught:
        build_programs(go, into, lambda _: None)
    assert str(caught.value).startswith("building pulumi failed (exit code 3):")
    assert printed in str(caught.value)
    assert hint in str(caught.value)
    assert not list(into.iterdir())


def test_an_interruption_leaves_no_file(go: Path, tmp_path: Path) -> None:
    into = tmp_path / "into"
    go.with_name("slow").touch()
    program = "import sys; from pathlib import Path; from toolchain.build import build_programs\n"
    program += "build_programs(Path(sys.argv[1]), Path(sys.argv[2]), lambda _: None)"
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-c", program, go, into],
        env={**os.environ, "TMPDIR": str(temporary)},
        stderr=subprocess.DEVNULL,
        process_group=0,
    )
    try:
        assert wait_until(go.with_name("building").exists)
        assert list(temporary.glob("*/work"))
        # Ctrl-C of a terminal goes to the whole group.
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(PATIENCE) != 0
    finally:
        process.kill()
        process.wait()
    assert not list(temporary.iterdir())
    assert not list(into.iterdir())
