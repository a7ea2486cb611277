"""Tests that share a stack run on one worker."""

from typing import Any

import pytest

from tests import conftest


def test_the_group_is_the_end_of_the_id(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    item: Any = request.node
    monkeypatch.setattr(item, "_id", item.id)  # set back at the end
    before = item.nodeid
    conftest.append_group(item, "shared")
    assert item.nodeid == f"{before}@shared"


def test_a_unit_test_has_no_group(request: pytest.FixtureRequest) -> None:
    assert conftest.group_of(request.node) is None
