import base64
from pathlib import Path

import pytest

from toolchain.baseimages import Image
from toolchain.certificates import missing, parse, pem
from toolchain.debootstrap import kept, mount_points
from toolchain.recipes import NGINX, OWN, PYTHON, RECIPES, Recipe, digest
from toolchain.stackconfig import base_images, changes, without_defaults

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


def test_made_images_are_written_into_a_config_without_any() -> None:
    assert changes({}, MADE) == {"python": MADE[0].name, "nginx": MADE[1].name}


def test_nothing_changes_when_the_names_are_there() -> None:
    assert changes({"python": MADE[0].name, "nginx": MADE[1].name}, MADE) == {}


def test_an_older_recipe_is_replaced() -> None:
    assert changes({"python": PYTHON.own_name("00000000")}, MADE)["python"] == MADE[0].name


def test_names_of_made_images_are_removed_when_the_official_images_are_there() -> None:
    assert changes({"python": MADE[0].name}, OFFICIAL) == {"python": None}


@pytest.mark.parametrize("images", [MADE, OFFICIAL])
def test_a_name_that_the_user_has_set_stays(images: list[Image]) -> None:
    users = {"python": "registry.example/python:3.13", "nginx": "nginx:1.30"}
    assert changes(users, images) == {}


def test_a_default_of_the_project_is_not_a_choice_of_the_user() -> None:
    shown = {"python": PYTHON.official, "nginx": "registry.example/nginx:1"}
    text = "config:\n  loadbalancer:baseImages:\n    nginx: registry.example/nginx:1\n"
    assert without_defaults(shown, text) == {"nginx": "registry.example/nginx:1"}


def test_base_images_are_picked_out_of_the_whole_config() -> None:
    printed = """{"loadbalancer:port": {"value": "8080", "secret": false},
      "loadbalancer:baseImages": {"value": "{}", "objectValue": {"python": "x"}}}"""
    assert base_images(printed) == {"python": "x"}
    assert base_images("{}") == {}
