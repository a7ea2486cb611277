from pathlib import Path

import pytest

from toolchain import debian

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
