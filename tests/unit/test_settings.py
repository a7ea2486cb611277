"""Valid values of the configuration, and the error of each invalid one."""

import pytest
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


def test_settings_of_all_apps_are_the_default_of_one() -> None:
    settings = load.load(
        {
            "replicas": "3",
            "limits": '{"memory":512,"cpus":2}',
            "apps": '{"app1":{"replicas":1,"limits":{"cpus":0.5},"directPort":5001}}',
        },
        APPS,
    )
    one, other = settings.app("app1"), settings.app("app2")
    assert (one.replicas, one.limits.memory, one.limits.cpus, one.direct_port) == (
        1,
        512,
        0.5,
        5001,
    )
    assert (other.replicas, other.limits.memory, other.limits.cpus) == (3, 512, 2)
    assert other.direct_port is None


@pytest.mark.parametrize(
    "text",
    [
        '{"app1":{"replicas":2,"limits":{"memory":64,"cpus":1}}}',  # as --path writes it
        '{"app1":{"replicas":"2","limits":{"memory":"64"}}}',  # as a secret comes
        '{"app1":"{\\"replicas\\":2,\\"limits\\":\\"memory=64\\"}"}',
        ' {"app1": {"replicas": 2, "limits": "memory=64"}, "app2": {}}',
    ],
)
def test_settings_of_an_app_in_every_form(text: str) -> None:
    settings = load.load({"apps": text}, APPS)
    assert settings.app("app1").replicas == 2
    assert settings.app("app1").limits == model.Limits(memory=64)
    assert settings.app("app2") == model.AppSettings()


def test_an_app_without_a_folder_has_no_default_weight() -> None:
    assert load.load({"weights": "web=1"}, ["web"]).weights == {"web": 1}
    # Pulumi merges nothing, but hands over the whole default of Pulumi.yaml.
    assert load.load({"weights": '{"app1":6,"app2":4}'}, ["app2"]).weights == {"app2": 4}


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
            "Set one above 0: pulumi config set --path weights.app1 6",
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
            {"apps": '{"app1":{"directPort":-1}}'},
            "apps.app1.directPort: -1 is not a whole number from 0 to 65535. "
            "Set it: pulumi config set --path apps.app1.directPort 5001",
        ),
        (
            {"port": "9113"},
            "adminPort: 9113 is already used by port. "
            "Use another: pulumi config set adminPort 9114",
        ),
        (
            {"adminPort": "65535", "port": "65535"},
            "adminPort: 65535 is already used by port. "
            "Use another: pulumi config set adminPort 1024",
        ),
        (
            {"apps": '{"app1":{"directPort":8080}}'},
            "apps.app1.directPort: 8080 is already used by port. "
            "Use another: pulumi config set --path apps.app1.directPort 5001",
        ),
        (
            {"apps": '{"app1":{"directPort":5001},"app2":{"directPort":5001}}'},
            "apps.app2.directPort: 5001 is already used by apps.app1.directPort. "
            "Use another: pulumi config set --path apps.app2.directPort 5002",
        ),
        (
            {"replicas": "0"},
            "replicas: 0 is not a whole number from 1 to 100. Set it: pulumi config set replicas 2",
        ),
        (
            {"apps": '{"app1":{"replicas":true}}'},
            "apps.app1.replicas: true is not a whole number from 1 to 100. "
            "Set it: pulumi config set --path apps.app1.replicas 2",
        ),
        (
            {"apps": '{"app9":{"replicas":0}}'},
            'apps.app9: {"replicas": 0} belongs to no app: there is no folder apps/app9 '
            "(apps: app1, app2). Remove it: pulumi config rm --path apps.app9",
        ),
        (
            {"apps": '{"app1":{"replica":2}}'},
            "apps.app1.replica: 2 is set, but there is no such key, did you mean replicas? "
            "(keys: replicas, limits, directPort). "
            "Remove it: pulumi config rm --path apps.app1.replica",
        ),
        (
            {"apps": '{"app1":{"limits":{"cpus":0}}}'},
            "apps.app1.limits.cpus: 0 is not a number of processors from 0.01 to 1024. "
            "Set it: pulumi config set --path apps.app1.limits.cpus 1",
        ),
        (
            {"apps": '{"app1":2}'},
            "apps.app1: 2 is not a set of named values. "
            "Set it: pulumi config set --path apps.app1 '{\"replicas\":2}'",
        ),
        (
            {"apps": "app1=2"},
            "apps: app1=2 is not a set of named values. "
            'Set it: pulumi config set apps \'{"app1":{"replicas":2}}\'',
        ),
        (
            {"replicas": "2", "apps": '{"app1":{"directPort":5001}}'},
            "apps.app1.directPort: 5001 leads to one container, and app1 has 2 replicas. "
            "Remove it: pulumi config rm --path apps.app1.directPort",
        ),
        (
            {"replicas": "app1=2,app2=3"},
            "replicas: app1=2,app2=3 has been replaced by apps.<name>.replicas. "
            "Set it: pulumi config set --path apps.app1.replicas 2 && "
            "pulumi config set --path apps.app2.replicas 3 && pulumi config rm replicas",
        ),
        (
            {"replicas": '{"app2":3}'},
            """replicas: {"app2":3} has been replaced by apps.<name>.replicas. """
            "Set it: pulumi config set --path apps.app2.replicas 3 && pulumi config rm replicas",
        ),
        (
            {"replicas.app1": "2"},
            "replicas.app1: 2 has been replaced by apps.app1.replicas. "
            "Set it: pulumi config set --path apps.app1.replicas 2 && "
            "pulumi config rm replicas.app1",
        ),
        (
            {"directPorts": '{"app1":5001}'},
            """directPorts: {"app1":5001} has been replaced by apps.<name>.directPort. """
            "Set it: pulumi config set --path apps.app1.directPort 5001 && "
            "pulumi config rm directPorts",
        ),
        (
            {"directPorts": "5001"},
            "directPorts: 5001 has been replaced by apps.<name>.directPort. "
            "Set it: pulumi config rm directPorts",
        ),
        (
            {"weights.app1": "7"},
            "weights.app1: 7 was set without --path. "
            "Set it: pulumi config rm weights.app1 && pulumi config set --path weights.app1 7",
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
            "limits.cpu: 1 is set, but there is no such key, did you mean cpus? "
            "(keys: memory, cpus). Remove it: pulumi config rm --path limits.cpu",
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
    with pytest.raises(
        ConfigError, match=r"weights: \{\} has no app: no folder under apps/ can be built"
    ):
        load.load({}, [])


def test_all_faults_at_once() -> None:
    found = problems(
        weights='{"app1":-1,"app9":true}',
        wieghts="1",
        port="-1",
        bind="x",
        replicas="2",
        apps='{"app1":{"directPort":99999},"app2":{"directPort":5001,"limits":{"cpu":1}}}',
        rollout='{"steps":"5","canary":"5%/1s","atOnce":true}',
    )
    assert [problem.partition(":")[0] for problem in found] == [
        "wieghts",
        "weights.app9",
        "weights.app1",
        "apps.app1.directPort",
        "apps.app2.limits.cpu",
        "port",
        "bind",
        "rollout.steps",
        # The valid values of a faulty key are checked further.
        "apps.app2.directPort",
        "rollout.atOnce",
    ]


@given(st.dictionaries(st.sampled_from(sorted(model.KEYS)), st.text()))
def test_any_text_is_valid_or_a_fault_of_its_key(values: dict[str, str]) -> None:
    try:
        load.load(values, APPS)
    except ConfigError as error:
        assert {problem.key.partition(".")[0] for problem in error.problems} <= values.keys()
