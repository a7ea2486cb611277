"""Which command mends which key of the configuration; pure."""

from collections.abc import Mapping

from loadbalancer.config.model import DEFAULT_WEIGHTS

_EXAMPLES: dict[str, str] = {
    "weights": "6",
    "directPorts": "5001",
    "replicas": "1",
    "port": "8080",
    "bind": "127.0.0.1",
    "adminPort": "9113",
    "drain": "30",
    "settle": "10",
    "baseImages.python": "python:3.14-slim",
    "baseImages.nginx": "nginx:1.30",
    "limits.memory": "256",
    "limits.cpus": "1",
    "rollout.to": "app1=0,app2=100",
    "rollout.steps": "5,10,25,50,100",
    "rollout.linear": "10%/60s",
    "rollout.canary": "5%/600s",
    "rollout.atOnce": "true",
    "rollout.stepTime": "30s",
    "rollout.interval": "5s",
    "rollout.maxErrorRate": "1%",
    "rollout.maxP99": "500ms",
    "rollout.minSamples": "100",
    "rollout.failureLimit": "3",
    "rollout.deadline": "10min",
    "rollout.compare": "true",
    "rollout.confirm": "1",
    "rollout.hook": "true",
}
_OBJECTS = {
    "replicas": "app1=1,app2=1",
    "weights": "app1=6,app2=4",
    "directPorts": "app1=5001,app2=5002",
    "baseImages": "python=python:3.14-slim,nginx=nginx:1.30",
    "limits": "memory=256,cpus=1",
    "rollout": """'{"steps":"5,10,25,50,100"}'""",
}


def is_object(key: str) -> bool:
    """Tell whether a key holds named values."""
    return key in _OBJECTS


def set_to(path: str, value: object) -> str:
    """Name the command that sets a key to a value."""
    option = "--path " if "." in path else ""
    return f"pulumi config set {option}{path} {value}"


class Remedies:
    """Commands for the form in which the configuration is written: --path needs an object."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values

    def set(self, path: str) -> str:
        """Name the command that sets a key to a value that can be."""
        key, _, inner = path.partition(".")
        if not inner and key in _EXAMPLES and key not in ("weights", "directPorts"):
            return f"pulumi config set {key} {_EXAMPLES[key]}"
        if path.startswith("rollout.to."):
            return set_to(path, "1")
        if key in _OBJECTS and (not inner or not self._is_json(key)):
            return f"pulumi config set {key} {_OBJECTS[key]}"
        example = _EXAMPLES.get(path) or _EXAMPLES[key]
        if key == "weights":
            example = str(DEFAULT_WEIGHTS.get(inner, example))
        return set_to(path, example)

    def remove(self, path: str) -> str:
        """Name the command that takes a key away, or sets all beside it anew."""
        key, _, inner = path.partition(".")
        if not inner:
            return f"pulumi config rm {key}"
        if self._is_json(key):
            return f"pulumi config rm --path {path}"
        return f"pulumi config set {key} {_OBJECTS[key]}"

    def _is_json(self, key: str) -> bool:
        return self._values.get(key, "{").lstrip().startswith("{")
