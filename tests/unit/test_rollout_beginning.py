"""What is refused before a rollout, or a way back, changes anything."""

import pytest

from loadbalancer.config.model import RolloutSettings
from loadbalancer.rollout import beginning, earlier
from loadbalancer.rollout.errors import RolloutError, UsageError
from tests.rollout import FakeStack, FakeWorld, Killed, begin, run

BEFORE = {"app1": 100, "app2": 0}
FOLDERS = ["app1", "app2"]
OUTPUTS = {"adminUrl": "http://127.0.0.1:1", "weights": {"app1": 100.0, "app2": 0.0}}


def wanted(**given: object) -> RolloutSettings:
    return beginning.settings(RolloutSettings(), given)


def test_what_was_given_stands_over_the_config() -> None:
    config = RolloutSettings.model_validate(
        {"to": {"app1": 0, "app2": 1}, "steps": "10,100", "maxErrorRate": "2%"}
    )
    assert beginning.settings(config, {}) == config
    found = beginning.settings(config, {"canary": "5%/10s"})
    assert (found.steps, found.to, found.max_error_rate) == (None, config.to, config.max_error_rate)


@pytest.mark.parametrize(
    ("given", "faults"),
    [
        ({}, ["where to? --to app1=0,app2=100"]),
        ({"to": {"app1": 1}, "steps": "50,20"}, ["--steps: "]),
        ({"to": {"app1": 1}, "steps": "50,100", "atOnce": True}, ["--at-once: is a second plan"]),
        (
            {"to": {"app1": 1}, "maxP99": "soon", "minSamples": -1},
            ["--max-p99: ", "--min-samples: "],
        ),
    ],
)
def test_settings_that_do_not_fit_together(given: dict[str, object], faults: list[str]) -> None:
    with pytest.raises(UsageError) as refused:
        wanted(**given)
    lines = str(refused.value).splitlines()
    assert len(lines) == len(faults)
    assert all(line.startswith(fault) for line, fault in zip(sorted(lines), faults, strict=True))


def test_a_target_without_a_folder_or_with_an_app_left_out() -> None:
    beginning.check(wanted(to={"app1": 1, "app2": 2}), BEFORE, FOLDERS)
    with pytest.raises(UsageError, match=r"^--to: there is no folder apps/app9$"):
        beginning.check(wanted(to={"app1": 1, "app2": 2, "app9": 1}), BEFORE, FOLDERS)
    with pytest.raises(UsageError, match=r"^--to: say what becomes of app2, which is deployed$"):
        beginning.check(wanted(to={"app1": 1}), BEFORE, FOLDERS)


def test_a_stack_on_which_something_is_half_done() -> None:
    stack = FakeStack()
    beginning.check_stack("dev", BEFORE, OUTPUTS, stack.updates())
    with pytest.raises(RolloutError, match=r"not up, or has no admin port\. .*make up STACK=dev"):
        beginning.check_stack("dev", BEFORE, {}, [])
    with pytest.raises(RolloutError, match=r"app1=100,app2=0 are in force.*pulumi up"):
        beginning.check_stack("dev", {"app1": 1, "app2": 1}, OUTPUTS, [])
    with pytest.raises(Killed):
        run(FakeWorld(stack, dies_at=6), begin(stack))
    with pytest.raises(RolloutError, match=r"begun elsewhere, by .*make rollback STACK=dev"):
        beginning.check_stack("dev", BEFORE, OUTPUTS, stack.updates())


def test_the_update_that_one_goes_back_to() -> None:
    stack = FakeStack()
    stack.weights = {"app1": 3, "app2": 1}
    stack.up("Other weights")
    stack.up("Broken", "failed")
    first, second, _ = history = stack.updates()
    assert earlier.find(history, None, stack.weights) == first
    assert earlier.find(history, second.number, stack.weights) == second
    with pytest.raises(UsageError, match=r"^there is no update 9\. See: make history$"):
        earlier.find(history, 9, stack.weights)
    with pytest.raises(RolloutError, match="update 3 is none that weights can be taken from"):
        earlier.find(history, 3, stack.weights)
    with pytest.raises(RolloutError, match="no earlier update was stable and had other shares"):
        earlier.find(history[:1], None, first.weights or {})


def test_its_weights_for_the_apps_that_there_are_now() -> None:
    first = FakeStack().updates()[0]
    present = {"app1": 1, "app3": 5}
    # app2 had no share, so that its folder is not missed; app3 came later.
    assert earlier.weights(first, present, ["app1", "app3"]) == {"app1": 100, "app3": 0}
    with pytest.raises(RolloutError, match="needs app1, and there is no folder apps/app1"):
        earlier.weights(first, present, ["app2", "app3"])
