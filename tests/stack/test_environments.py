"""Stacks side by side on one host, and ports that are found."""

from pathlib import Path

import pytest

from tests.stack.deployment import Deployment


def test_port_0_takes_a_free_port_and_keeps_it(own_stack: Deployment) -> None:
    own_stack.set("port", 0)
    own_stack.set("apps.app1.directPort", 0)
    own_stack.up()
    url, direct = own_stack.url, own_stack.output("directUrls")["app1"]
    assert own_stack.shares(10) == {"app1": 6, "app2": 4}
    dockerfile = own_stack.folder / "nginx" / "Dockerfile"
    dockerfile.write_text(f"{dockerfile.read_text()}ENV VERSION=2\n")
    own_stack.up()
    assert (own_stack.url, own_stack.output("directUrls")["app1"]) == (url, direct)
    assert own_stack.shares(10) == {"app1": 6, "app2": 4}


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
