"""A Prometheus server of a test's own, with the rules of monitoring/."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from loadbalancer.engine.wait import Wait
from tests.monitoring import CONFIG, RULES, program

EVERY = "3s"
"""How often it scrapes, and looks at its rules; also the time that an answer may take it."""

PATIENCE = Wait(timeout=120)


@dataclass(frozen=True)
class Prometheus:
    """A server that runs, and what a test asks of it."""

    url: str

    def get(self, path: str, **parameters: str) -> Any:
        """Return the data that the API answers with."""
        answer = requests.get(f"{self.url}/api/v1/{path}", params=parameters, timeout=60)
        answer.raise_for_status()
        return answer.json()["data"]

    def query(self, expression: str) -> list[tuple[dict[str, str], float]]:
        """Return labels and value of each series that an expression has now."""
        found = self.get("query", query=expression)["result"]
        return [(one["metric"], float(one["value"][1])) for one in found]

    def by_app(self, expression: str) -> dict[str, float]:
        """Return the value that an expression has now for each app."""
        return {labels["app"]: value for labels, value in self.query(expression)}

    def rules(self) -> list[dict[str, Any]]:
        """List the rules that were loaded, with what came of them."""
        return [rule for group in self.get("rules")["groups"] for rule in group["rules"]]


@contextmanager
def prometheus(target: str, folder: Path) -> Iterator[Prometheus]:
    """Run a server in `folder` that scrapes `target` (host:port) for as long as the block runs."""
    config = CONFIG.read_text()
    for old, new in (("127.0.0.1:9113", target), ("15s", EVERY)):
        assert old in config
        config = config.replace(old, new)
    (folder / CONFIG.name).write_text(config)
    shutil.copy(RULES, folder)
    log = folder / "log"
    with log.open("w") as lines:
        process = subprocess.Popen(
            [
                program("prometheus"),
                f"--config.file={folder / CONFIG.name}",
                f"--storage.tsdb.path={folder / 'data'}",
                "--web.listen-address=127.0.0.1:0",
            ],
            stdout=lines,
            stderr=subprocess.STDOUT,
        )
        try:
            url = ""

            def unready() -> str | None:
                nonlocal url
                assert process.poll() is None, f"Prometheus has ended:\n{log.read_text()}"
                # It alone knows which port it was given.
                address = re.search(r'msg="Listening on" address=(\S+)\n', log.read_text())
                if not address:
                    return log.read_text()
                url = f"http://{address[1]}"
                answer = requests.get(f"{url}/-/ready", timeout=60)
                return None if answer.ok else answer.text

            PATIENCE.until("Prometheus to be ready", unready)
            yield Prometheus(url)
        finally:
            process.kill()  # what it has stored goes with the folder
            process.wait()
