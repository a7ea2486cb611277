"""Deployed: what a stack runs with now, and which apps its configuration removes."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from loadbalancer.config.fix_commands import FixCommands
from loadbalancer.config.model import Settings


@dataclass(frozen=True)
class Deployed:
    """Weights, numbers of containers by app, and ports by key, as the last update left them."""

    weights: Mapping[str, int] = field(default_factory=dict)
    replicas: Mapping[str, int] = field(default_factory=dict)
    ports: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def from_outputs(cls, outputs: Mapping[str, Any]) -> "Deployed":
        """Read the outputs of a stack; nothing is known before its first update."""
        urls = {"port": outputs.get("url"), "adminPort": outputs.get("adminUrl")}
        for app, url in (outputs.get("directUrls") or {}).items():
            urls[f"apps.{app}.directPort"] = url
        ports = {key: urlsplit(str(url)).port for key, url in urls.items() if url}
        containers = (outputs.get("containers") or {}).get("apps") or {}
        return cls(
            weights={app: int(weight) for app, weight in (outputs.get("weights") or {}).items()},
            replicas={app: len(names) for app, names in containers.items()},
            ports={key: port for key, port in ports.items() if port},
        )

    def values(self, apps: Collection[str]) -> dict[str, object]:
        """Return values by the paths of their keys, for apps that exist."""
        weights = {app: weight for app, weight in self.weights.items() if app in apps}
        found: dict[str, object] = {f"weights.{app}": one for app, one in weights.items()}
        if any(weights.values()):
            found["weights"] = ",".join(f"{app}={weight}" for app, weight in weights.items())
        found |= {f"apps.{app}.replicas": one for app, one in self.replicas.items()}
        if len(set(self.replicas.values())) == 1:
            found["replicas"] = next(iter(self.replicas.values()))
        return found | dict(self.ports)

    def leaving(self, settings: Settings, apps: Collection[str], fix: FixCommands) -> Iterator[str]:
        """Say which apps an update removes, and how to keep them.

        Args:
            settings: the checked configuration.
            apps: names of the folders under apps/ that can be built.
            fix: the commands for the configuration.
        """
        for app in sorted(self.weights.keys() - settings.weights.keys()):
            count = self.replicas.get(app, 0)
            removed = "1 container is" if count == 1 else f"{count} containers are"
            if app in apps:
                keep = fix.set(f"weights.{app}", self.weights[app])
                reason, how = "it is not in weights", f". To keep it: {keep}"
            else:
                reason, how = f"there is no folder apps/{app}", ""
            yield f"{app} leaves: {reason}; {removed} removed{how}"
