"""What a stack's configuration may hold, and what is said of the rest."""

import json
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from loadbalancer.config import load, model
from loadbalancer.config.problems import ConfigError

APPS = ("app1", "app2")


def problems(**values: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load.load(values, APPS)
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, {"app1": 6, "app2": 4}),
        ('{"app1":7}', {"app1": 7, "app2": 4}),
        ('{"app1":7,"app2":3}', {"app1": 7, "app2": 3}),
        ('{"app1":"7"}', {"app1": 7, "app2": 4}),
        ("app1=7,app2=3", {"app1": 7, "app2": 3}),
        (" app2 = 0 , app1 = 1 ", {"app1": 1, "app2": 0}),
        ("", {"app1": 6, "app2": 4}),
    ],
)
def test_weights_merge_over_the_defaults_in_every_form(
    text: str | None, expected: dict[str, int]
) -> None:
    values = {} if text is None else {"weights": text}
    assert load.load(values, APPS).weights == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, {"app1": 1, "app2": 1}),
        ("3", {"app1": 3, "app2": 3}),
        ('{"app2":3}', {"app1": 1, "app2": 3}),
        ("app1=2,app2=5", {"app1": 2, "app2": 5}),
    ],
)
def test_replicas_of_all_or_of_some(text: str | None, expected: dict[str, int]) -> None:
    values = {} if text is None else {"replicas": text}
    assert load.load(values, APPS).replicas == expected


def test_an_app_that_is_gone_has_no_default_weight() -> None:
    assert load.load({"weights": "web=1"}, ["web"]).weights == {"web": 1}


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (
            {"weights": '{"app1":-3}'},
            "weights.app1: -3 is not a whole number from 0 to 1000. "
            "Set it: pulumi config set --path weights.app1 6",
        ),
        (
            {"weights": '{"app2":1.5}'},
            "weights.app2: 1.5 is not a whole number from 0 to 1000. "
            "Set it: pulumi config set --path weights.app2 4",
        ),
        (
            {"weights": '{"app1":true}'},
            "weights.app1: true is not a whole number from 0 to 1000. "
            "Set it: pulumi config set --path weights.app1 6",
        ),
        (
            {"weights": '{"app1":1001}'},
            "weights.app1: 1001 is not a whole number from 0 to 1000. "
            "Set it: pulumi config set --path weights.app1 6",
        ),
        (
            {"weights": "app1=six"},
            "weights.app1: six is not a whole number from 0 to 1000. "
            "Set it: pulumi config set weights app1=6,app2=4",
        ),
        (
            {"weights": '{"app9":1}'},
            "weights.app9: 1 belongs to no app: there is no folder apps/app9 "
            "(apps: app1, app2). Remove it: pulumi config rm --path weights.app9",
        ),
        (
            {"weights": '{"My_App":1}'},
            "weights.My_App: 1 belongs to a name that is not a DNS label of at most 30 small "
            "letters, digits and hyphens that starts with a letter. "
            "Remove it: pulumi config rm --path weights.My_App",
        ),
        (
            {"weights": '{"app1":0,"app2":0}'},
            'weights: {"app1": 0, "app2": 0} are all 0, so that no app could answer. '
            "Give one a share: pulumi config set --path weights.app1 6",
        ),
        (
            {"weights": '{"app1":1,"app1":2}'},
            'weights: {"app1":1,"app1":2} names app1 twice. '
            "Set it: pulumi config set weights app1=6,app2=4",
        ),
        (
            {"weights": "7"},
            "weights: 7 is neither JSON nor a list such as app1=7,app2=3. "
            "Set it: pulumi config set weights app1=6,app2=4",
        ),
        (
            {"port": "80800"},
            "port: 80800 is not a whole number from 0 to 65535. "
            "Set it: pulumi config set port 8080",
        ),
        (
            {"port": "true"},
            "port: true is not a whole number from 0 to 65535. Set it: pulumi config set port 8080",
        ),
        (
            {"directPorts": '{"app1":-1}'},
            "directPorts.app1: -1 is not a whole number from 0 to 65535. "
            "Set it: pulumi config set --path directPorts.app1 5001",
        ),
        (
            {"port": "9113"},
            "adminPort: 9113 is given to port already. "
            "Take another: pulumi config set adminPort 9114",
        ),
        (
            {"adminPort": "65535", "port": "65535"},
            "adminPort: 65535 is given to port already. "
            "Take another: pulumi config set adminPort 1024",
        ),
        (
            {"directPorts": '{"app1":8080}'},
            "directPorts.app1: 8080 is given to port already. "
            "Take another: pulumi config set --path directPorts.app1 5001",
        ),
        (
            {"directPorts": '{"app1":5001,"app2":5001}'},
            "directPorts.app2: 5001 is given to directPorts.app1 already. "
            "Take another: pulumi config set --path directPorts.app2 5002",
        ),
        (
            {"replicas": "0"},
            "replicas: 0 is not a whole number from 1 to 100. Set it: pulumi config set replicas 1",
        ),
        (
            {"replicas": '{"app1":true}'},
            "replicas.app1: true is not a whole number from 1 to 100. "
            "Set it: pulumi config set --path replicas.app1 1",
        ),
        (
            {"replicas": "app9=2"},
            "replicas.app9: 2 belongs to no app: there is no folder apps/app9 "
            "(apps: app1, app2). Remove it: pulumi config set replicas app1=1,app2=1",
        ),
        (
            {"replicas": "2", "directPorts": '{"app1":5001}'},
            "directPorts.app1: 5001 leads to one container, and app1 has 2 replicas. "
            "Remove it: pulumi config rm --path directPorts.app1",
        ),
        (
            {"bind": "localhost"},
            "bind: localhost is not an IP address of the host. "
            "Set it: pulumi config set bind 127.0.0.1",
        ),
        (
            {"limits": '{"memory":1}'},
            "limits.memory: 1 is not a whole number from 32 to 1048576. "
            "Set it: pulumi config set --path limits.memory 256",
        ),
        (
            {"limits": '{"cpus":"all"}'},
            "limits.cpus: all is not a number of processors from 0.01 to 1024. "
            "Set it: pulumi config set --path limits.cpus 1",
        ),
        (
            {"limits": '{"cpu":1}'},
            "limits.cpu: 1 is not a key that exists. Remove it: pulumi config rm --path limits.cpu",
        ),
        (
            {"baseImages": '{"nginx":"no such"}'},
            "baseImages.nginx: 'no such' is not the name of an image, such as nginx:1.30. "
            "Set it: pulumi config set --path baseImages.nginx nginx:1.30",
        ),
        (
            {"drain": "0"},
            "drain: 0 is not a whole number from 1 to 3600. Set it: pulumi config set drain 30",
        ),
        (
            {"wieghts": "app1=1"},
            "wieghts: app1=1 is set, but there is no such key, did you mean weights? "
            f"(keys: {', '.join(model.KEYS)}). "
            "Remove it: pulumi config rm wieghts",
        ),
    ],
)
def test_a_fault_names_the_key_the_value_and_the_command(
    values: dict[str, str], expected: str
) -> None:
    assert problems(**values) == [expected]


def test_no_app_at_all() -> None:
    with pytest.raises(ConfigError, match=r"weights: \{\} name no app"):
        load.load({}, [])


def test_all_faults_at_once() -> None:
    found = problems(
        weights='{"app1":-1,"app9":true}', port="-1", bind="x", directPorts='{"app1":99999}'
    )
    keys = [problem.partition(":")[0] for problem in found]
    assert keys == ["weights.app1", "port", "bind", "directPorts.app1", "weights.app9"]


@given(st.dictionaries(st.sampled_from(sorted(model.KEYS)), st.text()))
def test_any_text_is_taken_or_refused_as_a_fault_of_its_key(values: dict[str, str]) -> None:
    try:
        load.load(values, APPS)
    except ConfigError as error:
        assert {problem.key.partition(".")[0] for problem in error.problems} <= values.keys()


def test_every_key_stands_in_pulumi_yaml_with_description_and_default() -> None:
    declared = yaml.safe_load(Path("Pulumi.yaml").read_text())["config"]
    assert list(declared) == list(model.KEYS)
    texts = {key: _text(entry["default"]) for key, entry in declared.items()}
    assert load.load(texts, APPS) == load.load({}, APPS)
    for key, entry in declared.items():
        assert entry["description"], key


def _text(default: object) -> str:
    """Write a default as the engine hands it to the program."""
    return default if isinstance(default, str) else json.dumps(default)
