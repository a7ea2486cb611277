"""The config key `rollout`: what it may hold, and every fault with the command that mends it."""

import json

import pytest

from loadbalancer.config import load as loading
from loadbalancer.config.problems import ConfigError
from loadbalancer.config.model import RolloutSettings
from loadbalancer.rollout import choice
from loadbalancer.rollout.verdict import Rules

APPS = ("app1", "app2")


def load(rollout: object) -> RolloutSettings:
    text = rollout if isinstance(rollout, str) else json.dumps(rollout)
    return loading.load({"rollout": text}, APPS).rollout


def problems(rollout: object) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(rollout)
    return [str(problem) for problem in caught.value.problems]


def test_as_pulumi_writes_it() -> None:
    # What `--path` makes of a number and of true.
    found = load(
        {"to": {"app1": 0, "app2": "100"}, "steps": [5, "10", 100], "compare": True, "confirm": 2}
    )
    assert (found.to, found.steps, found.compare) == ({"app1": 0, "app2": 100}, "5,10,100", True)
    assert choice.confirmed(found) == {2}
    assert [float(step.part) for step in choice.chosen(found)] == [0.05, 0.1, 1]


def test_the_defaults_are_those_of_the_readme() -> None:
    for text in ("", "{}"):
        found = load(text)
        assert found.to == {}
        assert choice.rules(found) == Rules(0.01, 0.5, 100, compare=False)
        assert [float(step.part) for step in choice.chosen(found)] == [0.05, 0.1, 0.25, 0.5, 1]


def test_all_faults_at_once() -> None:
    found = problems(
        {"to": {"app1": -1}, "steps": "5,3", "maxErrorRate": "200%", "stepTime": 0, "pause": 1}
    )
    assert found == [
        "rollout.to.app1: -1 is not a whole number from 0 to 1000. "
        "Set it: pulumi config set --path rollout.to.app1 1",
        "rollout.steps: 5,3 does not end with 100. "
        "Set it: pulumi config set --path rollout.steps 5,10,25,50,100",
        "rollout.stepTime: 0 is no time at all. "
        "Set it: pulumi config set --path rollout.stepTime 30s",
        "rollout.maxErrorRate: 200% is not a percentage such as 5%. "
        "Set it: pulumi config set --path rollout.maxErrorRate 1%",
        "rollout.pause: 1 is not a key that exists. "
        "Remove it: pulumi config rm --path rollout.pause",
    ]


@pytest.mark.parametrize(
    ("rollout", "expected"),
    [
        (
            "5,10",
            "rollout: 5,10 is not a set of named values. "
            """Set it: pulumi config set rollout '{"steps":"5,10,25,50,100"}'""",
        ),
        (
            {"to": {"app9": 1}},
            "rollout.to.app9: 1 belongs to no app: there is no folder apps/app9 "
            "(apps: app1, app2). Remove it: pulumi config rm --path rollout.to.app9",
        ),
        (
            {"to": {"app1": 0}},
            'rollout.to: {"app1": 0} are all 0, so that no app could answer. '
            "Remove it: pulumi config rm --path rollout.to",
        ),
        (
            {"steps": "50,100", "atOnce": True},
            "rollout.atOnce: true is a second plan, beside steps. "
            "Remove it: pulumi config rm --path rollout.atOnce",
        ),
        (
            {"steps": "50,100", "confirm": "1,3"},
            "rollout.confirm: 1,3 names step 3, and there are 2. "
            "Remove it: pulumi config rm --path rollout.confirm",
        ),
        (
            {"compare": "maybe"},
            "rollout.compare: maybe is neither true nor false. "
            "Set it: pulumi config set --path rollout.compare true",
        ),
        (
            {"maxP99": True},
            "rollout.maxP99: true is neither text nor a number. "
            "Set it: pulumi config set --path rollout.maxP99 500ms",
        ),
    ],
)
def test_a_fault_and_what_mends_it(rollout: object, expected: str) -> None:
    assert problems(rollout) == [expected]
