"""What monitoring/ has, and the program that checks it."""

import re
import subprocess
from pathlib import Path
from typing import Any

import yaml

from toolchain import devtools

MONITORING = Path(__file__).resolve().parents[1] / "monitoring"
CONFIG = MONITORING / "prometheus.yml"
RULES = MONITORING / "rules.yml"


def program(name: str) -> Path:
    """Find a program of Prometheus."""
    found = devtools.find(name)
    assert found, f"{name} is missing: python3 -m toolchain --dev"
    return found


def promtool(*arguments: str, text: str = "") -> subprocess.CompletedProcess[str]:
    """Run promtool in monitoring/ and let it read a text."""
    return subprocess.run(
        [program("promtool"), *arguments],
        cwd=MONITORING,
        input=text,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def rules() -> list[dict[str, Any]]:
    """Read the committed rules, all groups one after the other."""
    return [
        rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]
    ]


def names_in_rules() -> set[str]:
    """Name every metric that a rule asks for or speaks of."""
    texts = [text for rule in rules() for text in (rule["expr"], *_annotations(rule))]
    words = {word for text in texts for word in re.findall(r"[A-Za-z_][\w:]*", text)}
    return {word for word in words if word.startswith(("loadbalancer_", "app:"))}


def _annotations(rule: dict[str, Any]) -> list[str]:
    return list(rule.get("annotations", {}).values())
