import os
from pathlib import Path

import pytest

from toolchain import debian
from toolchain.steps import ToolchainError, silent

BOOKWORM = """\
PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"
# a comment = not a field
VERSION_CODENAME=bookworm
ID=debian
"""


def test_os_release_reads_quoted_and_plain_values() -> None:
    fields = debian.parse_os_release(BOOKWORM)
    assert fields["PRETTY_NAME"] == "Debian GNU/Linux 12 (bookworm)"
    assert fields["VERSION_CODENAME"] == "bookworm"
    assert not any(key.startswith("#") for key in fields)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ID=debian", True),
        ("ID=ubuntu\nID_LIKE=debian", True),
        ('ID=linuxmint\nID_LIKE="ubuntu debian"', True),
        ('ID=rocky\nID_LIKE="rhel centos fedora"', False),
        ("ID=notdebian", False),
        ("", False),
    ],
)
def test_debian_like(text: str, expected: bool) -> None:
    assert debian.is_debian_like(debian.parse_os_release(text)) is expected


def test_mirror_is_the_one_of_the_main_section() -> None:
    listing = (
        "http://vendor.example/node nodistro main\n"
        "http://security.example/debian-security/ bookworm-security main\n"
        "http://mirror.example/debian/ bookworm contrib\n"
        "http://mirror.example/debian/ bookworm main\n"
    )
    assert debian.choose_mirror(listing, "bookworm") == "http://mirror.example/debian"


def test_mirror_of_sources_that_follow_stable() -> None:
    assert (
        debian.choose_mirror("http://a.example/d stable main\n", "trixie") == "http://a.example/d"
    )


@pytest.mark.parametrize("listing", ["", "\n", "http://a.example/debian bookworm contrib\n"])
def test_no_mirror(listing: str) -> None:
    assert debian.choose_mirror(listing, "bookworm") is None


def test_mirror_list_is_resolved_to_its_first_address(tmp_path: Path) -> None:
    path = tmp_path / "debian.list"
    path.write_text("# mirrors\nhttps://first.example/debian\nhttps://second.example/debian\n")
    assert debian.first_of_list(f"mirror+file:{path}") == "https://first.example/debian"
    assert debian.first_of_list("http://plain.example/debian") == "http://plain.example/debian"


def fake(folder: Path, name: str, script: str) -> None:
    """Write a program that records how it was called, then runs `script`."""
    program = folder / name
    program.write_text(f'#!/bin/sh\necho "{name} $*" >> "{folder}/calls"\n{script}\n')
    program.chmod(0o755)


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with an apt and a dpkg that do nothing, first on PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("apt-get", "dpkg", "dpkg-deb"):
        fake(folder, name, "")
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)
    monkeypatch.setattr(debian, "LOCK_INTERVAL", 0.01)
    return folder


def calls(programs: Path) -> list[str]:
    return (programs / "calls").read_text().splitlines()


@pytest.mark.parametrize(
    "complaint",
    [
        "dpkg: error: dpkg frontend lock was locked by another process with pid 7",
        "E: Could not get lock /var/lib/apt/lists/lock. It is held by process 7 (apt-get)",
    ],
)
@pytest.mark.parametrize("program", ["apt-get", "dpkg"])
def test_install_waits_for_another_run_of_apt(program: str, complaint: str, programs: Path) -> None:
    fake(
        programs, program, f'mkdir "{programs}/called" 2>&- || exit 0; echo "{complaint}"; exit 100'
    )
    reported: list[str] = []
    debian.install(["thing"], reported.append)
    assert calls(programs)[-1] == "apt-get install -y --no-install-recommends thing"
    assert len(calls(programs)) == 4
    assert "waiting for another run of apt or dpkg to end" in reported


def test_install_waits_only_until_its_timeout(
    programs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake(programs, "dpkg", 'echo "frontend lock was locked by another process"; exit 2')
    monkeypatch.setattr(debian, "LOCK_TIMEOUT", 0.1)
    with pytest.raises(ToolchainError, match="was locked by another process"):
        debian.install(["thing"], silent)
    assert set(calls(programs)) == {"dpkg --configure -a --force-confold"}


def test_a_package_that_apt_lacks_is_not_waited_for(programs: Path) -> None:
    fake(programs, "apt-get", '[ "$1" = update ] || { echo "E: Unable to locate"; exit 100; }')
    with pytest.raises(ToolchainError, match=r"(?s)Buy a thing\..*Unable to locate"):
        debian.install(["thing"], silent, "Buy a thing.")
    assert calls(programs)[1:] == [
        "apt-get update",
        "apt-get install -y --no-install-recommends thing",
    ]


UNPACK = 'mkdir -p "$3/usr/bin" && touch "$3/usr/bin/thing"'


@pytest.mark.parametrize(("user", "updates"), [(0, ["apt-get update"]), (1000, [])])
def test_unpack_takes_the_files_and_runs_no_script(
    user: int,
    updates: list[str],
    programs: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: user)
    fake(programs, "apt-get", '[ "$1" = update ] || touch thing_1_all.deb')
    fake(programs, "dpkg-deb", UNPACK)
    folder = tmp_path / "build" / "thing"
    partial = tmp_path / "build" / "thing.partial"
    debian.unpack("thing", folder, silent)
    assert [path for path in folder.rglob("*") if path.is_file()] == [folder / "usr/bin/thing"]
    archive = partial / "thing_1_all.deb"
    assert calls(programs) == [
        *updates,
        "apt-get download thing",
        f"dpkg-deb -x {archive} {partial}",
    ]
    assert not partial.exists()


def test_an_interrupted_unpack_leaves_no_folder(programs: Path, tmp_path: Path) -> None:
    folder = tmp_path / "thing"
    fake(programs, "apt-get", '[ "$1" = update ] || touch thing_1_all.deb')
    fake(programs, "dpkg-deb", f"{UNPACK}; exit 2")
    with pytest.raises(ToolchainError, match=r"Buy a thing\."):
        debian.unpack("thing", folder, silent, "Buy a thing.")
    assert not folder.exists()
    fake(programs, "dpkg-deb", UNPACK.replace("thing", "other"))
    debian.unpack("thing", folder, silent)
    assert [path.name for path in folder.rglob("*") if path.is_file()] == ["other"]
