"""Stacks side by side on one host."""

from pathlib import Path

import pytest

from tests.stack.conftest import Shared
from tests.stack.deployment import Deployment


@pytest.mark.faults
@pytest.mark.timeout(3600)
def test_a_destroyed_stack_leaves_the_others_alone(
    changing_stack: Deployment, tmp_path: Path, base_images: dict[str, str]
) -> None:
    changing_stack.up()
    with Shared.create(tmp_path, base_images) as other:
        other.deployment.set_weights(app1=3, app2=7)
        other.deployment.up()
        assert other.deployment.shares(10) == {"app1": 3, "app2": 7}
        assert changing_stack.shares(10) == {"app1": 6, "app2": 4}
        before = changing_stack.ids()
    assert changing_stack.shares(10) == {"app1": 6, "app2": 4}
    assert changing_stack.ids() == before
