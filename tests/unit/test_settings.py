"""Valid values of the configuration, and the error of each invalid one."""

import json
import re
from collections.abc import Mapping

import hypothesis
import pytest
from hypothesis import strategies as st

from loadbalancer.config import given, load, model, paths
from loadbalancer.config.deployed import Deployed
from loadbalancer.config.fix_commands import FixCommands
from loadbalancer.config.problems import ConfigError

APPS = ("app1", "app2")


def objects(values: Mapping[str, str]) -> dict[str, object]:
    """Turn JSON into objects, as `--path` writes them."""
    return {
        key: json.loads(text) if text.lstrip().startswith("{") else text
        for key, text in values.items()
    }


def problems(**values: object) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load.load(values, APPS)
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        ({}, {"app1": 6, "app2": 4}),
        ({"app1": 7}, {"app1": 7, "app2": 4}),
        ({"app1": "7"}, {"app1": 7, "app2": 4}),
        ({"web": 5}, {"app1": 6, "app2": 4, "web": 5}),
    ],
)
def test_weights_of_an_object_are_merged_over_the_defaults(
    weights: dict[str, object], expected: dict[str, int]
) -> None:
    assert load.load({"weights": weights}, (*APPS, "web")).weights == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("app1=7", {"app1": 7}),
        ("web=1,app2=0", {"app2": 0, "web": 1}),
        (" app2 = 0 , app1 = 1 ", {"app1": 1, "app2": 0}),
        ('{"app1":7}', {"app1": 7}),
        (' {"app2": "3", "web": 7}', {"app2": 3, "web": 7}),
        ("", {"app1": 6, "app2": 4}),  # not set
    ],
)
def test_weights_of_a_text_are_the_whole_set(text: str, expected: dict[str, int]) -> None:
    assert load.load({"weights": text}, (*APPS, "web")).weights == expected


def test_settings_of_all_apps_are_the_default_of_one() -> None:
    settings = load.load(
        {
            "replicas": "3",
            "limits": '{"memory":512,"cpus":2}',
            "threads": "64",
            "requestLog": "all",
            "apps": '{"app1":{"replicas":1,"limits":{"cpus":0.5},"directPort":5001,'
            '"threads":8,"workers":"2","requestLog":"none"}}',
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
    assert (one.threads, one.workers, one.request_log) == (8, 2, "none")
    assert (other.threads, other.workers, other.request_log) == (64, 1, "all")


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
    assert load.load({"weights": {"web": 1}}, ["web"]).weights == {"web": 1}
    assert load.load({}, ["app2"]).weights == {"app2": 4}


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
            {"threads": "0"},
            "threads: 0 is not a whole number from 1 to 1024. Set it: pulumi config set threads 32",
        ),
        (
            {"apps": '{"app1":{"workers":65}}'},
            "apps.app1.workers: 65 is not a whole number from 1 to 64. "
            "Set it: pulumi config set --path apps.app1.workers 2",
        ),
        (
            {"requestLog": "some"},
            "requestLog: some is none of all, errors, none. "
            "Set it: pulumi config set requestLog all",
        ),
        (
            {"apps": '{"app9":{"replicas":0}}'},
            'apps.app9: {"replicas": 0} belongs to no app: there is no folder apps/app9 '
            "(apps: app1, app2). Remove it: pulumi config rm --path apps.app9",
        ),
        (
            {"apps": '{"app1":{"replica":2}}'},
            "apps.app1.replica: 2 is set, but there is no such key, did you mean replicas? "
            "(keys: replicas, limits, threads, workers, requestLog, directPort). "
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
            """replicas: {"app2": 3} has been replaced by apps.<name>.replicas. """
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
            """directPorts: {"app1": 5001} has been replaced by apps.<name>.directPort. """
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
            "Set it: pulumi config set --path weights.app1 7 && pulumi config rm weights.app1",
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
            "(keys: memory, cpus, perClient). Remove it: pulumi config rm --path limits.cpu",
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
    assert problems(**objects(values)) == [expected]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (
            {"weights": "app1=six"},
            "weights.app1: six is not a whole number from 0 to 1000. "
            "Set it: pulumi config set weights app1=6",
        ),
        (
            {"weights": '{"app1":1,"app1":2}'},
            'weights: {"app1":1,"app1":2} names app1 twice. '
            "Set it: pulumi config set weights app1=6,app2=4",
        ),
        (
            {"weights": "app9=1"},
            "weights.app9: 1 belongs to no app: there is no folder apps/app9 "
            "(apps: app1, app2). Remove it: pulumi config rm weights",
        ),
        (
            {"limits": "memory=1,cpus=4"},
            "limits.memory: 1 is not a whole number from 32 to 1048576. "
            "Set it: pulumi config set limits memory=256,cpus=4",
        ),
        (
            {"limits": '{"memory":1,"cpus":4}'},
            "limits.memory: 1 is not a whole number from 32 to 1048576. "
            """Set it: pulumi config set limits '{"memory":256,"cpus":4}'""",
        ),
        (
            {"apps": '{"app1":{"replicas":0},"app2":{"directPort":5001}}'},
            "apps.app1.replicas: 0 is not a whole number from 1 to 100. Set it: "
            """pulumi config set apps '{"app1":{"replicas":2},"app2":{"directPort":5001}}'""",
        ),
        (
            {"apps": {"app1": {"limits": "memory=1,cpus=2"}}},
            "apps.app1.limits.memory: 1 is not a whole number from 32 to 1048576. "
            "Set it: pulumi config set --path apps.app1.limits memory=256,cpus=2",
        ),
        (
            {"apps": {"app1": '{"replicas":0}'}},
            "apps.app1.replicas: 0 is not a whole number from 1 to 100. "
            """Set it: pulumi config set --path apps.app1 '{"replicas":2}'""",
        ),
        (
            {"apps": '{"app1":{"directPort":8080}}', "replicas": "2"},
            "apps.app1.directPort: 8080 is already used by port. Use another: "
            """pulumi config set apps '{"app1":{"directPort":5001}}'""",
        ),
        (
            {"weights": {"my.app": 1}},
            'weights["my.app"]: 1 belongs to a name that is not a DNS label of at most 30 small '
            "letters, digits and hyphens that starts with a letter. "
            """Remove it: pulumi config rm --path 'weights["my.app"]'""",
        ),
        (
            {"we ird": "1"},
            "we ird: 1 is set, but there is no such key "
            f"(keys: {', '.join(model.KEYS)}). Remove it: pulumi config rm 'we ird'",
        ),
        (
            {"directPorts": "app1=true,app9=5001"},
            "directPorts: app1=true,app9=5001 has been replaced by apps.<name>.directPort. "
            "Set it: pulumi config set --path apps.app1.directPort 5001 && "
            "pulumi config rm directPorts",
        ),
        (
            {"directPorts": "app1=5002", "apps": '{"app1":{"replicas":1}}'},
            "directPorts: app1=5002 has been replaced by apps.<name>.directPort. "
            """Set it: pulumi config set apps '{"app1":{"replicas":1,"directPort":5002}}' && """
            "pulumi config rm directPorts",
        ),
    ],
)
def test_a_command_keeps_what_else_a_text_holds(values: dict[str, object], expected: str) -> None:
    assert expected in problems(**values)


def test_one_command_fixes_every_fault_of_a_text() -> None:
    fix = "pulumi config set weights app1=6,app2=4"
    assert problems(weights="app1=six,app2=-1,app9=1") == [
        "weights.app9: 1 belongs to no app: there is no folder apps/app9 (apps: app1, app2). "
        f"Remove it: {fix}",
        f"weights.app1: six is not a whole number from 0 to 1000. Set it: {fix}",
        f"weights.app2: -1 is not a whole number from 0 to 1000. Set it: {fix}",
    ]


def test_commands_name_the_stack_and_what_is_deployed() -> None:
    outputs = {
        "url": "http://127.0.0.1:8213",
        "adminUrl": "http://127.0.0.1:9213",
        "weights": {"app1": 70, "app2": 30},
        "containers": {"nginx": "n", "apps": {"app1": ["a", "b", "c"], "app2": ["d"]}},
        "directUrls": {},
    }
    values: dict[str, object] = {
        "weights": {"app1": "x", "app2": 30},
        "port": "x",
        "apps": {"app1": {"replicas": 0}},
        "drain": "x",
    }
    deployed = Deployed.from_outputs(outputs).values(APPS)
    fix = FixCommands(values, stack="staging", deployed=deployed)
    with pytest.raises(ConfigError) as caught:
        load.load(values, APPS, fix=fix)
    assert [problem.fix.partition(": ")[2] for problem in caught.value.problems] == [
        "pulumi config set --path weights.app1 70 --stack staging",
        "pulumi config set --path apps.app1.replicas 3 --stack staging",
        "pulumi config set port 8213 --stack staging",
        "pulumi config set drain 30 --stack staging",
    ]


def test_a_secret_stays_one_and_is_not_shown() -> None:
    values: dict[str, object] = {"limits": {"cpus": "5000"}, "weights": "app1=six"}
    fix = FixCommands(values, secrets={"limits.cpus", "weights"})
    with pytest.raises(ConfigError) as caught:
        load.load(values, APPS, fix=fix)
    assert [str(problem) for problem in caught.value.problems] == [
        "weights.app1: [secret] is not a whole number from 0 to 1000. "
        "Set it: pulumi config set --secret weights",
        "limits.cpus: [secret] is not a number of processors from 0.01 to 1024. "
        "Set it: pulumi config set --path --secret limits.cpus 1",
    ]


def test_apps_that_leave_are_named() -> None:
    deployed = Deployed({"app1": 6, "app2": 4, "app3": 5}, {"app1": 1, "app2": 1, "app3": 2})
    values: dict[str, object] = {"weights": "app1=6"}
    fix = FixCommands(values, stack="dev")
    settings = load.load(values, (*APPS, "app3"), fix=fix)
    assert list(deployed.leaving(settings, ("app1", "app3"), fix)) == [
        "app2 leaves: there is no folder apps/app2; 1 container is removed",
        "app3 leaves: it is not in weights; 2 containers are removed. "
        "To keep it: pulumi config set weights app1=6,app3=5 --stack dev",
    ]
    assert list(Deployed().leaving(settings, APPS, fix)) == []


def test_images_of_this_machine_stand_in_for_the_defaults_alone() -> None:
    own = {"python": "own/python:1", "nginx": "own/nginx:1"}
    images = load.load({}, APPS, base_images=own).base_images
    assert images == model.BaseImages(**own)
    for form in ("nginx=mine:1", {"nginx": "mine:1"}):
        images = load.load({"baseImages": form}, APPS, base_images=own).base_images
        assert images == model.BaseImages(python="own/python:1", nginx="mine:1")


def test_what_is_set_is_told_from_the_defaults_of_the_project() -> None:
    texts = {
        "weights": '{"app1":6,"app2":4}',
        "baseImages": '{"nginx":"nginx:1.30","python":"python:3.14-slim"}',
        "port": "8080",
        "limits": '{"cpus":"5"}',
        "apps": '{"app1":{"replicas":2}}',
        "replicas": "3",
    }
    file = {
        "limits": {"cpus": {"secure": "v1:x"}},
        "apps": '{"app1":{"replicas":2}}',
        "replicas": {"secure": "v1:y"},
    }
    assert given.from_program(texts, file) == {
        "limits": {"cpus": "5"},
        "apps": '{"app1":{"replicas":2}}',
        "replicas": "3",
    }
    assert given.secrets(file) == {"limits.cpus", "replicas"}
    assert given.from_program({"weights": '{"app1":7}'}, {}) == {"weights": {"app1": 7}}
    assert given.from_program(texts, {"weights": "x", "baseImages": {}})["weights"]
    assert given.from_file({"port": 80, "weights": "app1=1", "limits": {"cpus": 1}}) == {
        "port": "80",
        "weights": "app1=1",
        "limits": {"cpus": 1},
    }


@pytest.mark.parametrize(
    "parts", [("weights", "app1"), ("weights", "my.app"), ("a", 'q"u\\o', "b"), ("x", "", "é[0]")]
)
def test_paths_are_read_as_they_are_written(parts: tuple[str, ...]) -> None:
    assert tuple(paths.split(paths.join(parts))) == parts


def test_no_app_at_all() -> None:
    with pytest.raises(
        ConfigError,
        match=r"weights: \{\} has no app: no folder under apps/ can be built. "
        r"Create one: \./lb app new app1",
    ):
        load.load({}, [])
    with pytest.raises(
        ConfigError,
        match=r"weights: \{\} names no app \(apps: web\). "
        r"Set one above 0: pulumi config set --path weights.web 6",
    ):
        load.load({}, ["web"])


def test_all_faults_at_once() -> None:
    values = {
        "weights": '{"app1":-1,"app9":true}',
        "wieghts": "1",
        "port": "-1",
        "bind": "x",
        "replicas": "2",
        "apps": '{"app1":{"directPort":99999},"app2":{"directPort":5001,"limits":{"cpu":1}}}',
        "rollout": '{"steps":"5","canary":"5%/1s","atOnce":true}',
    }
    found = problems(**objects(values))
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


@hypothesis.given(st.dictionaries(st.sampled_from(sorted(model.KEYS)), st.text()))
def test_any_text_is_valid_or_a_fault_of_its_key(values: dict[str, str]) -> None:
    try:
        load.load(values, APPS)
    except ConfigError as error:
        # As Pulumi writes a path: a.b, and a["0"] for a name that looks like a number.
        keys = {re.split(r"[.[]", problem.key)[0] for problem in error.problems}
        assert keys <= values.keys()
