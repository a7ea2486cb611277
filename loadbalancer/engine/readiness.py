"""Whether new containers are ready for requests. Reads only, changes nothing."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from loadbalancer.engine import failure
from loadbalancer.engine.client import Client, Handle


class NotReadyError(RuntimeError):
    """A container did not become healthy, or did not stay so; the message explains why."""


@dataclass
class _Watched:
    container: Handle
    healthy_since: float | None = None

    def look(self, now: float) -> str | None:
        """Look again; returns the reason if it can no longer become ready, else None."""
        self.container.reload()
        found = failure.find(self.container)
        if found:
            return found
        health = self.container.attrs["State"].get("Health", {}).get("Status", "healthy")
        if health != "healthy":
            self.healthy_since = None
        elif self.healthy_since is None:
            self.healthy_since = now
        return None

    def is_ready(self, now: float, settle: float) -> bool:
        return self.healthy_since is not None and now - self.healthy_since >= settle


def wait_until_ready(
    client: Client,
    names: Iterable[str],
    *,
    timeout: float,
    settle: float,
    kept: bool = True,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Wait until containers are healthy and have stayed healthy.

    Args:
        client: the engine they run in.
        names: names of the containers.
        timeout: seconds that each may take to become healthy, not counting `settle`.
        settle: seconds that each must stay healthy without a restart.
        kept: whether they stay when they fail, so that their logs can be read later.
        clock: returns the time in seconds.
        sleep: waits for a number of seconds.

    Raises:
        NotReadyError: as soon as one of them can no longer become ready.
    """
    waiting = [_Watched(client.containers.get(name)) for name in names]
    deadline = clock() + timeout + settle
    while waiting:
        now = clock()
        for watched in waiting:
            what = watched.look(now)
            if not what and now > deadline and not watched.is_ready(now, settle):
                what = f"did not become healthy within {timeout:g} s"
            if what:
                raise NotReadyError(failure.describe(watched.container, what, kept=kept))
        waiting = [watched for watched in waiting if not watched.is_ready(now, settle)]
        if waiting:
            sleep(0.2)
