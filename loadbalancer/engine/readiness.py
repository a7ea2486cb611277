"""Whether new containers can be trusted with requests; only looks, never changes."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from docker import DockerClient
from docker.models.containers import Container

_LINES = 20
"""How much of a container's log an error shows."""


class NotReadyError(RuntimeError):
    """A container did not get healthy or did not stay so; the message ends with its log."""


@dataclass
class _Watched:
    container: Container
    healthy_since: float | None = None

    def look(self, now: float) -> str | None:
        """Look again; returns why it can never get ready, None if it still may."""
        self.container.reload()
        attributes = self.container.attrs
        state = attributes["State"]
        if attributes["RestartCount"] or state["Status"] in {"exited", "dead", "restarting"}:
            return f"ended with exit code {state['ExitCode']}"
        health = state.get("Health", {}).get("Status", "healthy")
        if health == "unhealthy":
            return "is unhealthy"
        if health != "healthy":
            self.healthy_since = None
        elif self.healthy_since is None:
            self.healthy_since = now
        return None

    def is_steady(self, now: float, settle: float) -> bool:
        return self.healthy_since is not None and now - self.healthy_since >= settle

    def complaint(self, what: str) -> str:
        log = self.container.logs(tail=_LINES, timestamps=True)
        lines = bytes(log).decode(errors="replace").strip() or "(nothing)"
        return f"container {self.container.name} {what}. Its last log lines:\n{lines}"


def wait_until_ready(
    client: DockerClient,
    names: Iterable[str],
    *,
    timeout: float,
    settle: float,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Wait until containers are healthy and have stayed so.

    Args:
        client: the engine that they run in.
        names: names of the containers.
        timeout: seconds that one may take to get healthy, not counting `settle`.
        settle: seconds that one must stay healthy, without a restart.
        clock: tells the time in seconds.
        sleep: waits for so many seconds.

    Raises:
        NotReadyError: as soon as it is sure that one of them does not get ready.
    """
    waiting = [_Watched(client.containers.get(name)) for name in names]
    deadline = clock() + timeout + settle
    while waiting:
        now = clock()
        for watched in waiting:
            fault = watched.look(now)
            if not fault and now > deadline and not watched.is_steady(now, settle):
                fault = f"did not get healthy within {timeout:g} s"
            if fault:
                raise NotReadyError(watched.complaint(fault))
        waiting = [watched for watched in waiting if not watched.is_steady(now, settle)]
        if waiting:
            sleep(0.2)
