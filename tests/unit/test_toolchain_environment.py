from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from tests.contexts import write_context
from toolchain.environment import Paths, exports, merged, note, shell, uses_embedded

PATHS = Paths(state=Path("/home/me/project/.state"), bin=Path("/home/me/.pulumi/bin"), login="")
CHECKOUT = {"LOADBALANCER_CHECKOUT": "/home/me/project"}
UPDATES = {"PULUMI_SKIP_UPDATE_CHECK": "true"}
PASSPHRASE = {"PULUMI_CONFIG_PASSPHRASE_FILE": "/home/me/project/.state/passphrase"}
S3, CLOUD = {"PULUMI_BACKEND_URL": "s3://bucket"}, "https://api.pulumi.com"


def test_the_embedded_backend_is_the_default() -> None:
    # Pulumi.yaml names it: a variable would count in every other checkout as well.
    assert exports({}, PATHS) == {**CHECKOUT, **UPDATES, **PASSPHRASE}


@pytest.mark.parametrize(
    ("environ", "paths", "exported"),
    [
        (S3, PATHS, {}),
        ({"PULUMI_ACCESS_TOKEN": "pul-1"}, PATHS, {"PULUMI_BACKEND_URL": CLOUD}),
        ({}, replace(PATHS, login=CLOUD), {"PULUMI_BACKEND_URL": CLOUD}),
        ({}, replace(PATHS, login="file://~"), {"PULUMI_BACKEND_URL": "file://~"}),
        (S3, replace(PATHS, login=CLOUD), {}),
    ],
)
def test_a_backend_that_the_user_has_chosen_counts_before_pulumi_yaml(
    environ: Mapping[str, str], paths: Paths, exported: Mapping[str, str]
) -> None:
    assert not uses_embedded(environ, paths)
    assert exports(environ, paths) == {**CHECKOUT, **UPDATES, **exported}


@pytest.mark.parametrize(
    "environ",
    [{"PULUMI_CONFIG_PASSPHRASE": ""}, {"PULUMI_CONFIG_PASSPHRASE_FILE": "/mine"}],
)
def test_a_passphrase_that_the_user_has_chosen_is_kept(environ: Mapping[str, str]) -> None:
    assert exports(environ, PATHS) == {**CHECKOUT, **UPDATES}


@pytest.mark.parametrize("login", ["", CLOUD])
def test_a_second_evaluation_exports_nothing_more(login: str) -> None:
    paths = replace(PATHS, login=login)
    assert exports(exports({}, paths), paths) == {}


@pytest.mark.parametrize(
    "url", ["file:///home/me/project/.state", "file:///home/me/project/.state?metadata=skip"]
)
def test_the_embedded_backend_by_another_name_is_the_embedded_backend(url: str) -> None:
    assert uses_embedded({}, replace(PATHS, login=url))
    assert uses_embedded({"PULUMI_BACKEND_URL": url}, PATHS)


def checkouts(folder: Path) -> tuple[Paths, Paths]:
    """Two checkouts in a folder."""
    found = []
    for name in ("a 1%", "b"):
        checkout = folder / name
        checkout.mkdir()
        for file in ("Pulumi.yaml", "lb"):
            (checkout / file).write_text("")
        found.append(Paths(state=checkout.resolve() / ".state", bin=None, login=""))
    return found[0], found[1]


def test_the_environment_of_another_checkout_is_replaced(tmp_path: Path) -> None:
    a, b = checkouts(tmp_path)
    of_a = exports({}, a)
    assert set(of_a) == {*CHECKOUT, *UPDATES, *PASSPHRASE}
    assert {**of_a, **exports(of_a, b)} == exports({}, b)
    own = {**of_a, "PATH": "/bin"}
    assert {name: value for name, value in merged(own, b).items() if name != "PATH"} == (
        exports({}, b)
    )
    said = note(of_a, b)
    assert str(a.project) in said
    assert f'eval "$({b.project / "lb"} env)"' in said
    assert note(exports({}, b), b) == note({}, b) == ""


def test_the_environment_of_a_folder_that_was_renamed_is_replaced(tmp_path: Path) -> None:
    a, b = checkouts(tmp_path)
    of_a = exports({}, a)
    a.project.rename(tmp_path / "renamed")
    assert {**of_a, **exports(of_a, b)} == exports({}, b)


def test_the_state_of_another_checkout_is_no_backend_of_the_users_choice(tmp_path: Path) -> None:
    a, b = checkouts(tmp_path)
    url = f"{a.state.as_uri()}?metadata=skip"
    environ = {"PULUMI_BACKEND_URL": url, "PULUMI_CONFIG_PASSPHRASE": "mine"}
    assert "PULUMI_BACKEND_URL" not in merged(environ, b)
    assert merged(environ, b).items() >= {"PULUMI_CONFIG_PASSPHRASE": "mine"}.items()
    assert "unset PULUMI_BACKEND_URL" in shell(environ, b).splitlines()
    assert url in note(environ, b)
    # It is that of checkout A itself, and another folder of that name is what the user says.
    assert merged(environ, a)["PULUMI_BACKEND_URL"] == url
    (tmp_path / ".state").mkdir()
    other = {"PULUMI_BACKEND_URL": (tmp_path / ".state").as_uri()}
    assert merged(other, b)["PULUMI_BACKEND_URL"] == other["PULUMI_BACKEND_URL"]
    assert note(other, b) == ""


def test_a_backend_that_checkouts_share_stays(tmp_path: Path) -> None:
    a, b = checkouts(tmp_path)
    of_a = {**S3, **exports(S3, a), "PULUMI_CONFIG_PASSPHRASE": "ours"}
    found = merged(of_a, b)
    assert {**found, "PATH": ""} == {**of_a, "LOADBALANCER_CHECKOUT": str(b.project), "PATH": ""}


def test_the_engine_of_a_context_is_exported_for_plain_pulumi(tmp_path: Path) -> None:
    write_context(tmp_path, "build", "tcp://build.example:2375")
    environ = {"DOCKER_CONFIG": str(tmp_path), "DOCKER_CONTEXT": "build"}
    lines = shell(environ, PATHS).splitlines()
    assert "export DOCKER_HOST=tcp://build.example:2375" in lines
    assert "unset DOCKER_CONTEXT" in lines
    assert "DOCKER" not in shell({"DOCKER_CONFIG": str(tmp_path)}, PATHS)
    assert "DOCKER" not in shell(environ | {"DOCKER_CONTEXT": "gone"}, PATHS)
