"""The form in which a rollout writes weights: what it does not name stays away."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from loadbalancer.config import load
from loadbalancer.rollout.stack_environment import StackEnvironment
from loadbalancer.state.project import Project


@pytest.mark.parametrize(
    ("weights", "is_object"),
    [
        ({"app1": 1, "app2": 2}, True),
        ({"app1": 1, "app2": 2, "web": 3}, True),
        ({"app2": 2, "web": 3}, False),  # app1 was left out of a list
        ({"web": 3}, False),
    ],
)
def test_written_weights_are_the_deployed_ones(
    tmp_path: Path, weights: dict[str, int], is_object: bool
) -> None:
    apps = ("app1", "app2", "web")
    for app in apps:
        (tmp_path / "apps" / app).mkdir(parents=True)
    environment: Any = SimpleNamespace(_project=Project(tmp_path, "loadbalancer", ""))
    for secret in (False, True):
        written = StackEnvironment._as_config(environment, weights, secret=secret)
        described = written["loadbalancer:weights"]
        assert ("objectValue" in described) is (is_object and not secret)
        value = described.get("objectValue", described["value"])
        assert load.load({"weights": value}, apps).weights == weights
