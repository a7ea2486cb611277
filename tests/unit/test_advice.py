"""Advice about a valid configuration."""

import pytest

from loadbalancer.config import checks, load

APPS = ("app1", "app2")


def advice(
    values: dict[str, str] | None = None, apps: tuple[str, ...] = APPS, cycle: int = 5
) -> list[str]:
    return list(checks.advice(load.load(values or {}, apps), apps, cycle))


def test_none_about_the_defaults() -> None:
    assert advice() == []


def test_a_folder_without_a_weight() -> None:
    assert advice(apps=(*APPS, "app3")) == [
        "apps/app3 has no weight, so it is not deployed. "
        "Set one: pulumi config set --path weights.app3 1"
    ]


@pytest.mark.parametrize(
    ("cycle", "expected"),
    [(1000, []), (1001, ["shares are exact over one cycle of 1,001 requests"])],
)
def test_a_long_cycle(cycle: int, expected: list[str]) -> None:
    assert advice(cycle=cycle) == expected


@pytest.mark.parametrize(("port", "name"), [(5002, "port 5002"), (0, "a port")])
def test_an_app_with_a_direct_port(port: int, name: str) -> None:
    (text,) = advice({"apps": f'{{"app2":{{"directPort":{port}}}}}'})
    assert text.startswith(f"app2 has {name} of the host, which its old and its new container")
