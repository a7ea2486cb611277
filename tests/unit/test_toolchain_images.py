import base64
import json
from pathlib import Path

import pytest

from loadbalancer.resources import configuration
from toolchain import baseimages, cli, environment
from toolchain.baseimages import Image
from toolchain.certificates import missing, parse, pem
from toolchain.debootstrap import kept, mount_points
from toolchain.recipes import NGINX, OWN, PYTHON, RECIPES, Recipe, digest

BODY = base64.b64encode(bytes(range(100))).decode()
OTHER = base64.b64encode(bytes(range(50))).decode()


@pytest.mark.parametrize(
    "path",
    [
        "dev/null",
        "var/lib/apt/lists/mirror_Packages",
        "var/cache/apt/archives/nginx.deb",
        "usr/share/doc/nginx/changelog.Debian.gz",
        "usr/share/man/man8/nginx.8.gz",
        "usr/share/locale/de/LC_MESSAGES/dpkg.mo",
        "var/lib/dpkg/status-old",
        "etc/resolv.conf",
        "etc/hostname",
    ],
)
def test_left_out_of_an_image(path: str) -> None:
    assert not kept(path)


@pytest.mark.parametrize(
    "path",
    [
        "dev",
        "tmp",
        "var/lib/apt/lists",
        "var/lib/dpkg/status",
        "usr/share/doc/nginx",
        "usr/share/doc/nginx/copyright",
        "usr/bin/python3.14",
        "etc/resolv.conf.d",
    ],
)
def test_kept_in_an_image(path: str) -> None:
    assert kept(path)


def test_mount_points_are_innermost_first_and_only_those_below() -> None:
    mountinfo = (
        "22 1 254:0 / / rw - ext4 /dev/vda rw\n"
        "30 22 0:5 / /work/a\\040b/root/proc rw - proc proc rw\n"
        "31 30 0:6 / /work/a\\040b/root/proc/fs rw - tmpfs tmpfs rw\n"
        "32 22 0:7 / /work/a\\040bc/proc rw - proc proc rw\n"
    )
    assert mount_points(mountinfo, Path("/work/a b/root")) == [
        Path("/work/a b/root/proc/fs"),
        Path("/work/a b/root/proc"),
    ]


def test_certificates_are_the_same_however_they_are_wrapped() -> None:
    oneline = f"# Root\n-----BEGIN CERTIFICATE-----\n{BODY}\n-----END CERTIFICATE-----"
    assert parse(pem(BODY) + oneline + pem(OTHER)) == [BODY, OTHER]
    assert max(len(line) for line in pem(BODY).splitlines()) == 64


def test_only_certificates_that_the_image_lacks_are_added() -> None:
    assert missing([BODY, OTHER], [BODY]) == [OTHER]


@pytest.mark.parametrize("recipe", RECIPES)
def test_recipe_hash_covers_files_and_certificates(recipe: Recipe) -> None:
    first = digest(recipe, [BODY, OTHER])
    assert len(first) == 8
    assert first == digest(recipe, [OTHER, BODY])
    assert first != digest(recipe, [BODY])
    assert {path.name for path in recipe.files()} >= {"Dockerfile", "packages.txt"}


@pytest.mark.parametrize("recipe", RECIPES)
def test_an_equivalent_never_has_the_official_name(recipe: Recipe) -> None:
    name = recipe.own_name("01234567")
    assert name == f"{OWN}{recipe.key}:{recipe.version}-01234567"
    labels = recipe.labels("01234567", f"{recipe.version}.6")
    assert labels["loadbalancer.base"] == recipe.official
    assert "Not the official image" in labels["org.opencontainers.image.description"]


MADE = [Image(PYTHON, PYTHON.own_name("aaaaaaaa")), Image(NGINX, NGINX.own_name("bbbbbbbb"))]
OFFICIAL = [Image(PYTHON, PYTHON.official), Image(NGINX, NGINX.official)]


def test_made_images_are_recorded_for_the_program(tmp_path: Path) -> None:
    file = tmp_path / ".state" / "base-images.json"
    baseimages.record(OFFICIAL, file)
    assert not file.parent.exists()
    baseimages.record([MADE[0], OFFICIAL[1]], file)
    assert json.loads(file.read_text()) == {"python": MADE[0].name}
    baseimages.record(MADE, file)
    assert json.loads(file.read_text()) == {"python": MADE[0].name, "nginx": MADE[1].name}
    assert [path.name for path in file.parent.iterdir()] == [file.name]
    baseimages.record(OFFICIAL, file)
    assert not file.exists()


def test_the_program_reads_what_is_recorded() -> None:
    assert Path(environment.STATE, cli.BASE_IMAGES) == configuration.BASE_IMAGES
