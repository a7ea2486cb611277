"""Stacks side by side on one host."""

from pathlib import Path

import pytest

from tests.stack.deployment import Deployment


@pytest.mark.timeout(3600)
def test_a_stack_goes_and_the_others_stay(
    stack: Deployment, own_stack: Deployment, tmp_path: Path, base_images: dict[str, str]
) -> None:
    (tmp_path / "third").mkdir()
    with Deployment.temporary(tmp_path / "third", base_images) as third:
        own_stack.set_weights(app1=3, app2=7)
        third.set_weights(app1=1, app2=9)
        own_stack.up()
        third.up()
        assert own_stack.shares(10) == {"app1": 3, "app2": 7}
        assert third.shares(10) == {"app1": 1, "app2": 9}
        before = stack.ids() | own_stack.ids()
    assert stack.shares(10) == {"app1": 6, "app2": 4}
    assert own_stack.shares(10) == {"app1": 3, "app2": 7}
    assert stack.ids() | own_stack.ids() == before
