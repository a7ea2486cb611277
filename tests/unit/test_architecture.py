"""docs/architecture.md names the packages and files as they are."""

import re
import tomllib

import pytest

from tests import docs
from tests.docs import PROJECT

TEXT = (PROJECT / "docs" / "architecture.md").read_text()
MOST_FILES = 3
MOST_FILES_OF_A_STEP = 4
CHANGES = (
    "a config key",
    "a per-app setting",
    "a plan kind",
    "a metric",
    "a drift kind",
    "an nginx directive",
    "a cause to eject a server",
    "an app",
    "a verb",
)
_FOLDERS = "apps|benchmarks|docs|loadbalancer|monitoring|nginx|tests|toolchain"


def paths(text: str) -> list[str]:
    """Find the files and folders of the project that a text names, in their order."""
    named = rf"`((?:{_FOLDERS})/[^`\s]*|Pulumi\.yaml|__main__\.py)`"
    return list(dict.fromkeys(re.findall(named, text)))


def section(title: str) -> str:
    """Return the text below a heading."""
    _, found, after = TEXT.partition(f"## {title}\n")
    assert found, f"no section {title!r}"
    return after.partition("\n## ")[0]


def packages() -> set[str]:
    folders = (PROJECT / "loadbalancer").glob("*/__init__.py")
    return {path.parent.relative_to(PROJECT).as_posix() + "/" for path in folders}


def layers() -> list[str]:
    """Read the layers that `make lint` enforces, from the highest to the lowest."""
    settings = tomllib.loads((PROJECT / "pyproject.toml").read_text())
    contracts = settings["tool"]["importlinter"]["contracts"]
    (found,) = [one["layers"] for one in contracts if one["type"] == "layers"]
    return [module for layer in found for module in layer.split(" | ")]


@pytest.mark.parametrize("path", paths(TEXT))
def test_the_path_exists(path: str) -> None:
    assert (PROJECT / path).exists()


def test_every_package_is_described_in_the_order_of_the_layers() -> None:
    described = [row[0] for row in docs.rows(TEXT, "| package | content |")]
    assert set(described) == packages()
    expected = [f"loadbalancer/{module.split('.')[-1]}/" for module in layers()]
    assert described == [path for path in expected if path in described]


def test_every_module_at_the_top_is_named() -> None:
    modules = (PROJECT / "loadbalancer").glob("[!_]*.py")
    assert {path.relative_to(PROJECT).as_posix() for path in modules} <= set(paths(TEXT))


def test_each_change_touches_few_files() -> None:
    rows = dict(docs.rows(TEXT, "| change | files |"))
    assert sorted(rows) == sorted(CHANGES)
    table = section("Which files a change touches")
    for line in (line for line in table.splitlines() if line.startswith(("| a ", "| an "))):
        assert 1 <= len(paths(line)) <= MOST_FILES, line


def test_a_rollout_step_is_read_in_few_files() -> None:
    found = paths(section("One rollout step, from the command to nginx and back"))
    assert 1 <= len(found) <= MOST_FILES_OF_A_STEP


def test_the_way_of_a_weight_names_its_files() -> None:
    found = paths(section("From a weight to the running nginx"))
    assert {"loadbalancer/config/load.py", "loadbalancer/nginx/live_route.py"} <= set(found)
