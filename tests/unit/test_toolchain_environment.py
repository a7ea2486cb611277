from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from toolchain.environment import Paths, exports, uses_embedded

PATHS = Paths(state=Path("/home/me/project/.state"), bin=Path("/home/me/.pulumi/bin"), login="")
URL = "file:///home/me/project/.state?metadata=skip"


def test_the_embedded_backend_is_the_default() -> None:
    assert exports({}, PATHS) == {
        "PULUMI_BACKEND_URL": URL,
        "PULUMI_CONFIG_PASSPHRASE_FILE": "/home/me/project/.state/passphrase",
        "PULUMI_SKIP_UPDATE_CHECK": "true",
    }


@pytest.mark.parametrize(
    ("environ", "paths"),
    [
        ({"PULUMI_BACKEND_URL": "s3://bucket"}, PATHS),
        ({"PULUMI_ACCESS_TOKEN": "pul-1"}, PATHS),
        ({}, replace(PATHS, login="https://api.pulumi.com")),
        ({}, replace(PATHS, login="file://~")),
    ],
)
def test_a_backend_that_the_user_has_chosen_is_kept(
    environ: Mapping[str, str], paths: Paths
) -> None:
    assert not uses_embedded(environ, paths)
    assert set(exports(environ, paths)) == {"PULUMI_SKIP_UPDATE_CHECK"}


@pytest.mark.parametrize(
    "environ",
    [{"PULUMI_CONFIG_PASSPHRASE": ""}, {"PULUMI_CONFIG_PASSPHRASE_FILE": "/mine"}],
)
def test_a_passphrase_that_the_user_has_chosen_is_kept(environ: Mapping[str, str]) -> None:
    assert set(exports(environ, PATHS)) == {"PULUMI_BACKEND_URL", "PULUMI_SKIP_UPDATE_CHECK"}


def test_a_second_evaluation_exports_nothing_more() -> None:
    assert exports(exports({}, PATHS), PATHS) == {}


def test_a_login_to_the_embedded_backend_is_the_embedded_backend() -> None:
    assert uses_embedded({}, replace(PATHS, login=URL))


def test_spaces_and_special_characters_of_the_path_are_escaped_in_the_address() -> None:
    odd = replace(PATHS, state=Path("/home/my stuff/100%/.state"))
    assert (
        exports({}, odd)["PULUMI_BACKEND_URL"]
        == "file:///home/my%20stuff/100%25/.state?metadata=skip"
    )
