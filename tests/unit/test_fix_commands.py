"""Every command in the error of an invalid configuration does what the error says."""

import copy
import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from loadbalancer.config import load
from loadbalancer.config.model import Settings
from loadbalancer.config.problems import ConfigError, Problem
from tests import configfile

APPS = ("app1", "app2", "web")
ROUNDS = 4
"""Times that a user follows the errors; a value that is valid now may still exclude another."""


def problems(values: Mapping[str, object]) -> tuple[Problem, ...]:
    try:
        load.load(values, APPS)
    except ConfigError as error:
        return error.problems
    return ()


def as_pairs(values: Mapping[str, object]) -> str:
    return ",".join(f"{key}={value}" for key, value in values.items())


def as_json(values: Mapping[str, object]) -> str:
    return json.dumps(values)


def as_object(values: Mapping[str, object]) -> object:
    return dict(values)


weights = st.one_of(st.integers(-2, 1002), st.sampled_from(["six", "1.5", "7", "true"]))
ports = st.one_of(st.integers(-1, 65536), st.sampled_from(["x", "9113", "8080"]))
replicas = st.one_of(st.integers(-1, 101), st.sampled_from(["x", "3"]))
names = st.sampled_from([*APPS, "app9", "My_App"])
flat: st.SearchStrategy[Callable[[Mapping[str, object]], object]] = st.sampled_from(
    [as_object, as_json, as_pairs]
)
nested: st.SearchStrategy[Callable[[Mapping[str, object]], object]] = st.sampled_from(
    [as_object, as_json]
)


def written(
    form: st.SearchStrategy[Callable[[Mapping[str, object]], object]],
    values: st.SearchStrategy[dict[str, Any]],
) -> st.SearchStrategy[object]:
    return st.builds(lambda write, value: write(value), form, values)


limits = written(
    flat,
    st.fixed_dictionaries(
        {},
        optional={
            "memory": st.sampled_from([1, 64, "x"]),
            "cpus": st.sampled_from([0, 2, "all"]),
            "cpu": st.just(1),
        },
    ),
)
app = written(
    nested,
    st.fixed_dictionaries(
        {},
        optional={
            "replicas": replicas,
            "threads": st.sampled_from([0, 8, "x"]),
            "requestLog": st.sampled_from(["all", "some", 1]),
            "directPort": ports,
            "limits": limits,
            "replica": st.just(2),
        },
    ),
)
rollout = written(
    nested,
    st.fixed_dictionaries(
        {},
        optional={
            "steps": st.sampled_from(["5,100", "5", 7]),
            "canary": st.sampled_from(["5%/10min", "5%"]),
            "maxP99": st.sampled_from(["500ms", "fast"]),
            "to": written(flat, st.dictionaries(names, weights, max_size=3)),
            "confirm": st.sampled_from(["1", "9", "x"]),
        },
    ),
)
configurations = st.fixed_dictionaries(
    {},
    optional={
        "weights": written(flat, st.dictionaries(names, weights, max_size=4)),
        "replicas": st.one_of(
            replicas, written(flat, st.dictionaries(names, replicas, min_size=1))
        ),
        "limits": limits,
        "workers": st.sampled_from([0, 2, "x"]),
        "apps": written(nested, st.dictionaries(names, app, max_size=3)),
        "port": ports,
        "adminPort": ports,
        "bind": st.sampled_from(["localhost", "0.0.0.0", "::"]),  # noqa: S104
        "drain": st.sampled_from([0, "x", 5]),
        "rollout": rollout,
        "baseImages": written(flat, st.just({"nginx": "no such"})),
        "directPorts": written(flat, st.dictionaries(names, ports, min_size=1)),
        "weights.app1": weights,
        "wieghts": st.just("x"),
        "we ird": st.just("x"),
    },
)


def follow(values: dict[str, Any], faults: tuple[Problem, ...]) -> None:
    for fault in faults:
        for command in configfile.commands(fault.fix):
            configfile.apply(command, values)


def named(faults: tuple[Problem, ...]) -> set[tuple[str, str, str]]:
    return {(fault.key, str(fault.value), fault.reason) for fault in faults}


@given(configurations)
def test_the_command_of_a_fault_removes_it(values: dict[str, Any]) -> None:
    for fault in problems(values):
        fixed = copy.deepcopy(values)
        follow(fixed, (fault,))
        assert not named((fault,)) & named(problems(fixed)), fault


@given(configurations)
def test_the_commands_lead_to_a_valid_configuration(values: dict[str, Any]) -> None:
    for _ in range(ROUNDS):
        follow(values, problems(values))
    assert problems(values) == ()


@given(
    st.dictionaries(st.sampled_from(APPS), st.integers(1, 1000), min_size=1),
    flat,
    st.sampled_from(APPS),
)
def test_a_command_keeps_the_other_weights(
    valid: dict[str, int], form: Callable[[Mapping[str, object]], object], bad: str
) -> None:
    assume(bad not in valid)
    values: dict[str, Any] = {"weights": form({**valid, bad: "six", "app9": 1})}
    follow(values, problems(values))
    found = load.load(values, APPS).weights
    assert {app: found[app] for app in valid} == valid
    assert set(found) - {"app1", "app2"} == {*valid, bad} - {"app1", "app2"}


def test_the_model_of_the_file_replaces_texts_as_pulumi_does() -> None:
    values: dict[str, Any] = {"weights": "app1=1,app2=2", "apps": {"app1": '{"replicas":1}'}}
    configfile.apply("pulumi config set --path weights.app3 5 --stack dev", values)
    assert values["weights"] == {"app3": 5}
    with pytest.raises(configfile.ConfigCommandError):
        configfile.apply("pulumi config set --path apps.app1.replicas 2", values)


def test_settings_of_a_new_stack_are_the_defaults() -> None:
    assert load.load({}, APPS) == Settings()
