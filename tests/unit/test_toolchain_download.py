import pytest

from toolchain.download import DownloadError, archive_name, checksum_of, checksums_name, member_name

SUM = "0123456789ABCDEF" * 4


@pytest.mark.parametrize(
    ("system", "machine", "expected"),
    [
        ("linux", "x86_64", "pulumi-v3.256.0-linux-x64.tar.gz"),
        ("linux", "aarch64", "pulumi-v3.256.0-linux-arm64.tar.gz"),
        ("darwin", "arm64", "pulumi-v3.256.0-darwin-arm64.tar.gz"),
    ],
)
def test_archive_name(system: str, machine: str, expected: str) -> None:
    assert archive_name("3.256.0", system, machine) == expected


@pytest.mark.parametrize(("system", "machine"), [("linux", "riscv64"), ("win32", "x86_64")])
def test_platform_without_an_archive(system: str, machine: str) -> None:
    with pytest.raises(DownloadError, match=machine):
        archive_name("3.256.0", system, machine)


def test_checksum_file_has_the_version_without_its_letter() -> None:
    assert checksums_name("3.256.0") == "pulumi-3.256.0-checksums.txt"


@pytest.mark.parametrize("between", ["  ", " *"])
def test_checksum_of_one_name_among_several(between: str) -> None:
    text = f"{'f' * 64}{between}a.tar.gz.sig\n{SUM}{between}a.tar.gz\n{'e' * 64}{between}b.tar.gz\n"
    assert checksum_of(text, "a.tar.gz") == SUM.lower()


@pytest.mark.parametrize("text", ["", "<html>not here</html>", f"{SUM[:-1]}  a.tar.gz\n"])
def test_checksum_file_without_the_name(text: str) -> None:
    with pytest.raises(DownloadError, match=r"a\.tar\.gz"):
        checksum_of(text, "a.tar.gz")


def test_programs_are_those_straight_in_the_folder() -> None:
    assert member_name("pulumi/pulumi-language-python") == "pulumi-language-python"
    assert member_name("pulumi") is None
    assert member_name("pulumi/deep/file") is None
    assert member_name("elsewhere/pulumi") is None


@pytest.mark.parametrize("path", ["pulumi/../../evil", "../evil", "/etc/passwd", "pulumi/.."])
def test_members_outside_the_folder_are_refused(path: str) -> None:
    with pytest.raises(DownloadError, match="outside"):
        member_name(path)
