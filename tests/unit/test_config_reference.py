"""Pulumi.yaml, docs/configuration.md and the README's table agree with the model of the config."""

import json
import re
import shlex
from collections.abc import Collection
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel

from loadbalancer.config import load, reference
from loadbalancer.config.model import KEYS, Settings

APPS = ("app1", "app2")
KEY_PATHS = [key.path for key in reference.all_keys()]
OPTIONAL = ("apps", "rollout", "limits.perClient", "trustedProxies")
"""Keys that may have no default, and those below them."""
README_HEADER = "| key | default | meaning |"


def declared() -> dict[str, Any]:
    config: dict[str, Any] = yaml.safe_load(Path("Pulumi.yaml").read_text())["config"]
    return config


def test_pulumi_yaml_has_the_keys_and_descriptions_of_the_model() -> None:
    descriptions = {key: entry["description"] for key, entry in declared().items()}
    assert descriptions == {
        one.alias: one.description for one in Settings.model_fields.values() if one.alias
    }
    assert list(descriptions) == list(KEYS)


def test_pulumi_yaml_has_the_defaults_of_the_model() -> None:
    texts = {
        # As the engine hands a default to the program.
        key: entry["default"] if isinstance(entry["default"], str) else json.dumps(entry["default"])
        for key, entry in declared().items()
    }
    for key in KEYS:
        assert load.load({key: texts[key]}, APPS) == load.load({}, APPS), key


@pytest.mark.parametrize("path", KEY_PATHS)
def test_every_key_is_described(path: str) -> None:
    (key,) = [key for key in reference.all_keys() if key.path == path]
    assert key.description.endswith(".")
    assert key.kind
    assert reference.example(path)
    assert reference.default(path) or path.startswith(OPTIONAL)


@pytest.mark.parametrize("path", KEY_PATHS)
def test_the_example_of_a_key_is_valid(path: str) -> None:
    (key,) = [key for key in reference.all_keys() if key.path == path]
    assert value_of(loaded(key.command), path) is not None


@pytest.mark.parametrize("path", KEY_PATHS)
def test_the_default_of_a_key_is_what_a_stack_has_that_does_not_set_it(path: str) -> None:
    text = reference.default(path)
    if path.startswith("apps.") and reference.field(text):
        own, shared = (value_of(load.load({}, APPS), one) for one in (path, text))
        if isinstance(own, BaseModel) and isinstance(shared, BaseModel):
            shared = type(own).model_validate(shared.model_dump(include=set(own.model_dump())))
        assert own == shared
    elif text:
        command = reference.set_to(path, text)
        assert value_of(loaded(command), path) == value_of(load.load({}, APPS), path)


def test_docs_have_the_tables_of_the_model() -> None:
    text = Path("docs/configuration.md").read_text()
    for title, table in reference.tables().items():
        assert f"## {title}\n" in text
        assert f"\n{table}\n\n" in f"{text}\n", f"{title}: python -m loadbalancer.config.reference"


def test_every_command_of_the_docs_is_valid() -> None:
    text = Path("docs/configuration.md").read_text()
    commands = re.findall(r"pulumi config set [^`\n]+", text)
    assert len(commands) > len(KEY_PATHS)
    for command in commands:
        loaded(re.sub(r"\s+(#.*|--stack \S+)", "", command), (*APPS, "app3"))


def test_the_table_of_the_readme_has_real_keys_with_their_defaults() -> None:
    rows = list(readme_rows())
    for path, default in rows:
        assert path in KEY_PATHS
        assert default == (reference.default(path) or "none"), path


def readme_rows() -> list[tuple[str, str]]:
    """Read the key and the default of each row of the README's table of keys, if it has one."""
    _, _, table = Path("README.md").read_text().partition(f"{README_HEADER}\n")
    rows = [line.split("|") for line in table.partition("\n\n")[0].splitlines()[1:]]
    return [(cells[1].strip(" `"), cells[2].strip(" `")) for cells in rows]


def loaded(command: str, apps: Collection[str] = APPS) -> Settings:
    """Load the config that a `pulumi config set` command makes of an empty one."""
    *start, path, value = shlex.split(command)
    assert start in (["pulumi", "config", "set"], ["pulumi", "config", "set", "--path"])
    assert ("--path" in start) == ("." in path), command
    key, *inner = path.split(".")
    nested: Any = value
    for name in reversed(inner):
        nested = {name: nested}
    return load.load({key: nested}, apps)


def value_of(settings: Settings, path: str) -> object:
    """Look up a key of the settings; those of an app are those of app1."""
    found: Any = settings
    path = path.replace(f"apps.{reference.APP}", "app1")
    for name in path.split("."):
        if name == "app1":
            found = settings.app("app1")
        else:
            (field,) = [n for n, one in type(found).model_fields.items() if one.alias == name]
            found = getattr(found, field)
    return found
