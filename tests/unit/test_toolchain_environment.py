from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from toolchain.environment import Place, exports, uses_embedded

PLACE = Place(state=Path("/home/me/project/.state"), bin=Path("/home/me/.pulumi/bin"), login="")
URL = "file:///home/me/project/.state?metadata=skip"


def test_the_embedded_backend_is_the_default() -> None:
    assert exports({}, PLACE) == {
        "PULUMI_BACKEND_URL": URL,
        "PULUMI_CONFIG_PASSPHRASE_FILE": "/home/me/project/.state/passphrase",
        "PULUMI_SKIP_UPDATE_CHECK": "true",
    }


@pytest.mark.parametrize(
    ("environ", "place"),
    [
        ({"PULUMI_BACKEND_URL": "s3://bucket"}, PLACE),
        ({"PULUMI_ACCESS_TOKEN": "pul-1"}, PLACE),
        ({}, replace(PLACE, login="https://api.pulumi.com")),
        ({}, replace(PLACE, login="file://~")),
    ],
)
def test_a_backend_of_the_users_own_is_kept(environ: Mapping[str, str], place: Place) -> None:
    assert not uses_embedded(environ, place)
    assert set(exports(environ, place)) == {"PULUMI_SKIP_UPDATE_CHECK"}


@pytest.mark.parametrize(
    "environ",
    [{"PULUMI_CONFIG_PASSPHRASE": ""}, {"PULUMI_CONFIG_PASSPHRASE_FILE": "/mine"}],
)
def test_a_passphrase_of_the_users_own_is_kept(environ: Mapping[str, str]) -> None:
    assert set(exports(environ, PLACE)) == {"PULUMI_BACKEND_URL", "PULUMI_SKIP_UPDATE_CHECK"}


def test_a_second_evaluation_exports_nothing_more() -> None:
    assert exports(exports({}, PLACE), PLACE) == {}


def test_a_login_to_the_embedded_backend_is_the_embedded_backend() -> None:
    assert uses_embedded({}, replace(PLACE, login=URL))


def test_blanks_and_signs_of_the_path_are_escaped_in_the_address() -> None:
    odd = replace(PLACE, state=Path("/home/my stuff/100%/.state"))
    assert (
        exports({}, odd)["PULUMI_BACKEND_URL"]
        == "file:///home/my%20stuff/100%25/.state?metadata=skip"
    )
