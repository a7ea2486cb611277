"""The vendor's release, served by a server on this machine."""

import hashlib
import http.server
import io
import platform
import socket
import stat
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

import pytest

from toolchain.download import VARIABLE, DownloadError, archive_name, checksums_name, fetch
from toolchain.steps import silent

VERSION = "3.256.0"
PROGRAMS = ("pulumi-language-python", "pulumi")
ARCHIVE = archive_name(VERSION, sys.platform, platform.machine())
CLI = f"#!/bin/sh\necho v{VERSION}\n".encode()
LAYOUT = {
    "pulumi/pulumi": CLI,
    "pulumi/pulumi-language-python": b"#!/bin/sh\n",
    "pulumi/pulumi-language-nodejs": b"#!/bin/sh\n",
    "pulumi/deep/README": b"not a program",
}

PATIENCE = 60.0
"""Seconds without data; the server is a thread of a machine that may be busy."""


class Server:
    """A folder served over HTTP on 127.0.0.1."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        handler = partial(QuietHandler, directory=str(folder))
        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.address = f"http://127.0.0.1:{self.http.server_port}"

    def release(self, members: Mapping[str, bytes], checksum: str | None = None) -> Path:
        """Put an archive and its checksum file there, and return the archive."""
        archive = self.folder / ARCHIVE
        with tarfile.open(archive, "w:gz") as tar:
            for name, content in members.items():
                member = tarfile.TarInfo(name)
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
        self.sums(checksum or hashlib.sha256(archive.read_bytes()).hexdigest())
        return archive

    def sums(self, checksum: str) -> None:
        lines = f"{'0' * 64}  pulumi-v{VERSION}-windows-x64.zip\n{checksum}  {ARCHIVE}\n"
        (self.folder / checksums_name(VERSION)).write_text(lines)


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Log nothing."""


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    folder = tmp_path / "releases"
    folder.mkdir()
    served = Server(folder)
    thread = threading.Thread(target=served.http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    monkeypatch.setenv(VARIABLE, f"{served.address}/")
    try:
        yield served
    finally:
        served.http.shutdown()
        thread.join()
        served.http.server_close()


@pytest.fixture
def bin_folder(tmp_path: Path) -> Path:
    return tmp_path / "home with blanks" / "bin"


def refused(bin_folder: Path, says: str, timeout: float = PATIENCE) -> None:
    """Check that a download is refused for a reason, and changes no file."""
    before = snapshot(bin_folder)
    with pytest.raises(DownloadError, match=says):
        fetch(VERSION, bin_folder, PROGRAMS, silent, timeout)
    assert snapshot(bin_folder) == before


def snapshot(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("*")} if folder.exists() else {}


def test_programs_of_the_official_layout_are_installed(server: Server, bin_folder: Path) -> None:
    server.release(LAYOUT)
    seen: list[str] = []
    host = fetch(VERSION, bin_folder, PROGRAMS, seen.append, PATIENCE)
    assert f"http://{host}" == server.address
    assert sorted(path.name for path in bin_folder.iterdir()) == [
        "pulumi",
        "pulumi-language-nodejs",
        "pulumi-language-python",
    ]
    done = subprocess.run([bin_folder / "pulumi"], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == f"v{VERSION}"
    assert any("MB" in line for line in seen)


def test_an_older_cli_is_replaced(server: Server, bin_folder: Path) -> None:
    bin_folder.mkdir(parents=True)
    (bin_folder / "pulumi").write_text("#!/bin/sh\necho v3.1.0\n")
    server.release(LAYOUT)
    fetch(VERSION, bin_folder, PROGRAMS, silent, PATIENCE)
    assert (bin_folder / "pulumi").read_bytes() == CLI
    assert (bin_folder / "pulumi").stat().st_mode & stat.S_IXUSR


def test_a_wrong_checksum_is_refused(server: Server, bin_folder: Path) -> None:
    server.release(LAYOUT, checksum="a" * 64)
    refused(bin_folder, "wrong checksum of")


def test_a_refused_download_changes_no_file(server: Server, bin_folder: Path) -> None:
    bin_folder.mkdir(parents=True)
    (bin_folder / "pulumi").write_text("old")
    server.release(LAYOUT, checksum="a" * 64)
    refused(bin_folder, "refused")


def test_a_release_without_checksums_is_refused(server: Server, bin_folder: Path) -> None:
    server.release(LAYOUT)
    (server.folder / checksums_name(VERSION)).unlink()
    refused(bin_folder, "404")


def test_a_truncated_archive_is_refused(server: Server, bin_folder: Path) -> None:
    archive = server.release(LAYOUT)
    archive.write_bytes(archive.read_bytes()[:-40])
    refused(bin_folder, "wrong checksum of")


def test_an_archive_that_was_truncated_before_its_checksum_is_refused(
    server: Server, bin_folder: Path
) -> None:
    archive = server.release(LAYOUT)
    archive.write_bytes(archive.read_bytes()[:-40])
    server.sums(hashlib.sha256(archive.read_bytes()).hexdigest())
    refused(bin_folder, "download from .* failed")


@pytest.mark.parametrize("evil", ["pulumi/../../../evil", "/tmp/evil"])  # noqa: S108
def test_a_member_that_leaves_its_folder_is_refused(
    server: Server, bin_folder: Path, evil: str
) -> None:
    server.release({**LAYOUT, evil: b"evil"})
    refused(bin_folder, "outside its folder")
    assert not list(bin_folder.parent.parent.rglob("evil"))


def test_a_link_is_not_followed(server: Server, bin_folder: Path, tmp_path: Path) -> None:
    archive = server.folder / ARCHIVE
    victim = tmp_path / "victim"
    victim.write_text("mine")
    with tarfile.open(archive, "w:gz") as tar:
        link = tarfile.TarInfo("pulumi/pulumi")
        link.type = tarfile.SYMTYPE
        link.linkname = str(victim)
        tar.addfile(link)
        for name in ("pulumi/pulumi", "pulumi/pulumi-language-python"):
            member = tarfile.TarInfo(name)
            member.size = len(CLI)
            tar.addfile(member, io.BytesIO(CLI))
    server.sums(hashlib.sha256(archive.read_bytes()).hexdigest())
    fetch(VERSION, bin_folder, PROGRAMS, silent, PATIENCE)
    assert victim.read_text() == "mine"
    assert not (bin_folder / "pulumi").is_symlink()


def test_an_archive_without_a_needed_program_is_refused(server: Server, bin_folder: Path) -> None:
    server.release({"pulumi/pulumi": CLI})
    refused(bin_folder, "lacks pulumi-language-python")


def test_a_server_that_never_answers_is_an_error(
    bin_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        monkeypatch.setenv(VARIABLE, f"http://127.0.0.1:{mute.getsockname()[1]}")
        refused(bin_folder, "timed out", timeout=0.3)


def test_an_unreachable_host_is_named(bin_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "http://127.0.0.1:9")
    refused(bin_folder, r"download from 127\.0\.0\.1:9 failed")


def test_only_http_addresses_are_asked(bin_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "file:///etc")
    refused(bin_folder, VARIABLE)
