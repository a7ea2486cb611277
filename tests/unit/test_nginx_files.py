"""Which files of nginx's folder go into the running nginx."""

from pathlib import Path

import pytest

from loadbalancer.nginx.live_files import FilesError
from loadbalancer.providers.nginx_files import NginxFilesProvider, read

DESIRED = {"container": "one", "folder": "nginx", "files": {"nginx.conf": "aa"}, "settings": {}}


def test_files_of_the_image_and_of_editors_are_left_out(tmp_path: Path) -> None:
    left_out = ("Dockerfile", "image/route/route.conf", ".nginx.conf.swp", "nginx.conf~", "4913")
    for name in left_out:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("no")
    for name in ("nginx.conf", "njs/record.js", "conf.d/image/logo.png", ".htpasswd"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"\xff yes")
    found = read(tmp_path)
    assert list(found) == [".htpasswd", "conf.d/image/logo.png", "nginx.conf", "njs/record.js"]
    assert set(found.values()) == {b"\xff yes"}


@pytest.mark.parametrize(
    ("news", "changes", "replaces"),
    [
        ({}, False, []),
        ({"files": {"nginx.conf": "bb"}}, True, []),
        ({"files": {"nginx.conf": "aa", "njs/more.js": "cc"}}, True, []),
        ({"folder": "elsewhere"}, False, []),
        ({"container": "two"}, True, ["container"]),
    ],
)
def test_other_files_are_an_update_and_another_container_a_replacement(
    news: dict[str, object], changes: bool, replaces: list[str]
) -> None:
    diff = NginxFilesProvider().diff("one", DESIRED, {**DESIRED, **news})
    assert (diff.changes, diff.replaces) == (changes, replaces)


def test_files_that_changed_after_the_preview_are_not_applied(tmp_path: Path) -> None:
    (tmp_path / "nginx.conf").write_text("edited meanwhile")
    with pytest.raises(FilesError, match=r"nginx\.conf changed while the update ran"):
        NginxFilesProvider().create({**DESIRED, "folder": str(tmp_path)})
