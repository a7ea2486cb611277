"""The config key `rollout`: valid values, and the error of each invalid one."""

import pytest

from loadbalancer.config import checks, reference
from loadbalancer.config import load as loading
from loadbalancer.config.model import RolloutSettings
from loadbalancer.config.problems import ConfigError
from loadbalancer.rollout.analysis import Rules
from loadbalancer.rollout.plan import confirmed_steps, plan_from_settings

APPS = ("app1", "app2")


def load(rollout: object) -> RolloutSettings:
    return loading.load({"rollout": rollout}, APPS).rollout


def problems(rollout: object) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(rollout)
    return [str(problem) for problem in caught.value.problems]


def test_values_as_pulumi_writes_them() -> None:
    # What `--path` makes of a number and of true.
    found = load(
        {"to": {"app1": 0, "app2": "100"}, "steps": [5, "10", 100], "compare": True, "confirm": 2}
    )
    assert (found.to, found.steps, found.compare) == ({"app1": 0, "app2": 100}, "5,10,100", True)
    assert confirmed_steps(found) == {2}
    assert [float(step.fraction) for step in plan_from_settings(found)] == [0.05, 0.1, 1]


def test_the_defaults() -> None:
    for text in ("", "{}"):
        found = load(text)
        assert found.to == {}
        assert Rules.from_settings(found) == Rules(0.01, 0.5, 100, compare=False)
        fractions = [float(step.fraction) for step in plan_from_settings(found)]
        assert fractions == [0.05, 0.1, 0.25, 0.5, 1]


@pytest.mark.parametrize(
    "plan",
    [
        {},
        {"steps": "50,100"},
        {"linear": "30%/1s"},
        {"linear": "0.1%/1s"},
        {"canary": "5%/1s"},
        {"atOnce": True},
    ],
)
def test_steps_are_counted_as_the_plan_has_them(plan: dict[str, object]) -> None:
    assert checks.step_count(load(plan)) == len(plan_from_settings(load(plan)))


def test_all_faults_at_once() -> None:
    found = problems(
        {"to": {"app1": -1}, "steps": "5,3", "maxErrorRate": "200%", "stepTime": 0, "pause": 1}
    )
    assert found == [
        "rollout.to.app1: -1 is not a whole number from 0 to 1000. "
        "Set it: pulumi config set --path rollout.to.app1 1",
        "rollout.steps: 5,3 does not end with 100. "
        "Set it: pulumi config set --path rollout.steps 5,10,25,50,100",
        "rollout.stepTime: 0 is not a duration above 0. "
        "Set it: pulumi config set --path rollout.stepTime 30s",
        "rollout.maxErrorRate: 200% is not a percentage such as 5%. "
        "Set it: pulumi config set --path rollout.maxErrorRate 1%",
        "rollout.pause: 1 is set, but there is no such key "
        f"(keys: {', '.join(reference.names('rollout'))}). "
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
            "rollout.atOnce: true is a second plan, besides steps. "
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
def test_a_fault_names_the_key_the_value_and_the_command(rollout: object, expected: str) -> None:
    assert problems(rollout) == [expected]
