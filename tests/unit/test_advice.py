"""What a user is told about a configuration that can be."""

from loadbalancer.config import checks, load

APPS = ("app1", "app2")


def test_nothing_about_the_defaults() -> None:
    assert list(checks.on(load.load({}, APPS), APPS)) == []


def test_a_folder_without_a_weight() -> None:
    assert list(checks.on(load.load({}, (*APPS, "app3")), (*APPS, "app3"))) == [
        "apps/app3 has no weight, so it is not deployed. "
        "Give it one: pulumi config set --path weights.app3 1"
    ]


def test_a_long_cycle() -> None:
    values = {"weights": "app1=997,app2=4"}
    assert list(checks.on(load.load(values, APPS), APPS)) == [
        "shares are exact over one cycle of 1,001 requests"
    ]


def test_a_cycle_of_a_thousand_is_short_enough() -> None:
    assert list(checks.on(load.load({"weights": "app1=997,app2=3"}, APPS), APPS)) == []


def test_an_app_with_a_port_of_its_own() -> None:
    (said,) = checks.on(load.load({"directPorts": "app2=5002"}, APPS), APPS)
    assert said.startswith("app2 has port 5002 of the host to itself")
