"""What is checked before a rollout, or a rollback, changes anything."""

import pytest

from loadbalancer.config.model import RolloutSettings
from loadbalancer.rollout import options, rollback
from loadbalancer.rollout.errors import RolloutError, UsageError
from loadbalancer.state import history
from loadbalancer.state.message import Kind
from tests.rollout import FakeEnvironment, FakeStack, Killed, run, start

BEFORE = {"app1": 100, "app2": 0}
FOLDERS = ["app1", "app2"]
OUTPUTS = {"adminUrl": "http://127.0.0.1:1", "weights": {"app1": 100.0, "app2": 0.0}}


def resolved(**given: object) -> RolloutSettings:
    return options.resolve(RolloutSettings(), given)


def test_options_override_the_config() -> None:
    config = RolloutSettings.model_validate(
        {"to": {"app1": 0, "app2": 1}, "steps": "10,100", "maxErrorRate": "2%"}
    )
    assert options.resolve(config, {}) == config
    found = options.resolve(config, {"canary": "5%/10s"})
    assert (found.steps, found.to, found.max_error_rate) == (None, config.to, config.max_error_rate)
    # As the command line gives them: text, and flags.
    given = {"to": "app1=1,app2=3", "at_once": True, "min_samples": "7", "confirm": "1"}
    found = options.resolve(config, given)
    assert (found.to, found.at_once, found.min_samples) == ({"app1": 1, "app2": 3}, True, 7)
    assert found.steps is None


@pytest.mark.parametrize(
    ("given", "faults"),
    [
        (
            {},
            ["--to: missing target weights, also in rollout.to of the configuration. Name them: "],
        ),
        ({"to": {"app1": 1}, "steps": "50,20"}, ["--steps: "]),
        ({"to": {"app1": 1}, "steps": "50,100", "atOnce": True}, ["--at-once: is a second plan"]),
        (
            {"to": {"app1": 1}, "maxP99": "soon", "minSamples": -1},
            ["--max-p99: ", "--min-samples: "],
        ),
    ],
)
def test_invalid_options(given: dict[str, object], faults: list[str]) -> None:
    with pytest.raises(UsageError) as refused:
        resolved(**given)
    lines = str(refused.value).splitlines()
    assert len(lines) == len(faults)
    assert all(line.startswith(fault) for line, fault in zip(sorted(lines), faults, strict=True))


def test_every_setting_is_an_option() -> None:
    found = {option.name: option for option in options.all_options()}
    assert {option.field for option in found.values()} == set(RolloutSettings.model_fields)
    p99 = found["--max-p99"]
    assert (p99.field, p99.key, p99.default) == ("max_p99", "rollout.maxP99", "500ms")
    assert not p99.flag
    assert [option.name for option in found.values() if option.flag] == ["--at-once", "--compare"]
    assert all(option.description for option in found.values())
    # An example is a value that the option takes.
    for option in found.values():
        value = True if option.flag else option.example
        resolved(**{"to": "app1=0,app2=100", option.field: value})


def test_a_target_without_a_folder_or_without_a_deployed_app() -> None:
    options.check_target(resolved(to={"app1": 1, "app2": 2}), BEFORE, FOLDERS)
    with pytest.raises(UsageError, match=r"^--to: app9 has no folder apps/app9$"):
        options.check_target(resolved(to={"app1": 1, "app2": 2, "app9": 1}), BEFORE, FOLDERS)
    with pytest.raises(UsageError, match=r"^--to: app1 has a share and no target weight\. "):
        options.check_target(resolved(to={"app2": 1}), BEFORE, FOLDERS)


def test_a_target_need_not_name_apps_of_weight_0() -> None:
    before = {"app1": 100, "app2": 0, "app3": 0}
    settings = resolved(to={"app1": 1, "app2": 2})
    options.check_target(settings, before, FOLDERS)
    # They stay deployed, at weight 0.
    assert options.with_idle_apps(settings, before).to == {"app1": 1, "app2": 2, "app3": 0}
    assert options.with_idle_apps(settings, BEFORE) == settings


def test_a_stack_that_is_not_ready() -> None:
    stack = FakeStack()
    updates = stack.updates()
    options.check_stack("dev", BEFORE, OUTPUTS, updates)
    for outputs, known in (({}, updates), (OUTPUTS, [])):
        with pytest.raises(RolloutError, match=r"not up, or has no admin port.*lb up --stack dev"):
            options.check_stack("dev", BEFORE, outputs, known)
    with pytest.raises(RolloutError, match=r"app1=100,app2=0 are in force.*\./lb up --stack dev"):
        options.check_stack("dev", {"app1": 1, "app2": 1}, OUTPUTS, updates)
    with pytest.raises(RolloutError, match=r"has \[secret\], and \[secret\] are in force"):
        options.check_stack("dev", {"app1": 1, "app2": 1}, OUTPUTS, updates, secret=True)
    # Encrypted outputs tell nothing.
    encrypted = {**OUTPUTS, "weights": {"4dabf1": "1b47061", "ciphertext": "v1:abc"}}
    options.check_stack("dev", BEFORE, encrypted, updates)
    with pytest.raises(Killed):
        run(FakeEnvironment(stack, killed_at=6), start(stack))
    with pytest.raises(RolloutError, match=r"started elsewhere, by .*\./lb rollback --stack dev"):
        options.check_stack("dev", BEFORE, OUTPUTS, stack.updates())


def test_the_update_of_a_rollback() -> None:
    stack = FakeStack()
    stack.weights = {"app1": 3, "app2": 1}
    stack.up("Other weights")
    stack.up("Broken", "failed")
    first, second, _ = updates = stack.updates()
    assert rollback.find(updates, None, stack.weights, "dev") == first
    assert rollback.find(updates, second.number, stack.weights, "dev") == second
    with pytest.raises(UsageError, match=r"^update 9 not found\. See: \./lb history --stack dev$"):
        rollback.find(updates, 9, stack.weights, "dev")
    with pytest.raises(RolloutError, match="update 3 did not bring the stack up"):
        rollback.find(updates, 3, stack.weights, "dev")
    with pytest.raises(RolloutError, match="no earlier update is stable and has other shares"):
        rollback.find(updates[:1], None, first.weights or {}, "dev")


def test_a_rollback_needs_known_weights() -> None:
    stack = FakeStack()
    stack.history[0]["config"] = {"loadbalancer:weights": {"secret": True}}
    with pytest.raises(RolloutError, match="the weights of update 1 are not known"):
        rollback.find(stack.updates(), 1, stack.weights, "dev")


def test_the_weights_of_a_rollback_for_the_apps_that_exist() -> None:
    first = FakeStack().updates()[0]
    present = {"app1": 1, "app3": 5}
    # app2 had no share, so its folder is not needed; app3 was added later.
    assert rollback.weights_of(first, present, ["app1", "app3"]) == {"app1": 100, "app3": 0}
    with pytest.raises(RolloutError, match="needs app1, which has no folder apps/app1"):
        rollback.weights_of(first, present, ["app2", "app3"])


def test_a_rollback_without_the_sample_apps() -> None:
    entries = [
        {"startTime": 2, "kind": "update", "result": "succeeded", "config": config}
        for config in ({"loadbalancer:weights": {"web": 1}}, {"loadbalancer:weights": {"web": 3}})
    ]
    entries[1]["config"] = {"loadbalancer:weights": {"web": 3, "shop": 1}}
    updates = history.parse(entries, "loadbalancer", ["web", "shop"])
    weights, _ = rollback.prepare(updates, None, {"web": 1}, ["web", "shop"], "dev")
    assert weights == {"shop": 1, "web": 3}


def test_the_message_of_a_rollback_names_what_it_undoes() -> None:
    stack = FakeStack()
    stack.weights = {"app1": 3, "app2": 1}
    stack.up("Other weights")
    weights, message = rollback.prepare(stack.updates(), None, stack.weights, FOLDERS, "dev")
    assert weights == BEFORE
    assert message.text == "Rolled back to update 1: app1=100,app2=0, from app1=3,app2=1."
    assert (message.kind, message.rollout, message.undoes) == (Kind.ROLLED_BACK, "", (2, 2))
    _, hidden = rollback.prepare(stack.updates(), None, stack.weights, FOLDERS, "dev", secret=True)
    assert hidden.text == "Rolled back to update 1: [secret], from [secret]."
    # The last update undoes nothing.
    _, message = rollback.prepare(stack.updates(), 2, BEFORE, FOLDERS, "dev")
    assert message.undoes is None
