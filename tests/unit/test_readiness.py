"""When a new container counts as ready for requests."""

from typing import Any, ClassVar

import pytest

from loadbalancer.engine.readiness import NotReadyError, wait_until_ready


class Host:
    """Containers whose state is a function of the time, and the clock that advances it."""

    def __init__(self, **scripts: Any) -> None:
        self.now = 0.0
        self.scripts = scripts
        self.containers = self

    def get(self, name: str) -> Any:
        host, script = self, self.scripts[name]

        class Container:
            attrs: dict[str, Any]

            def reload(self) -> None:
                self.attrs = {
                    "RestartCount": 0,
                    "State": {"Status": "running", "ExitCode": 0},
                    "HostConfig": {},
                    "Created": "2026-11-27T19:00:00.5Z",
                }
                for key, value in script(host.now).items():
                    (self.attrs if key == "RestartCount" else self.attrs["State"])[key] = value

            labels: ClassVar[dict[str, str]] = {}
            client = host
            id = name

            def logs(self, **_: object) -> bytes:
                return b"last words"

        container = Container()
        container.name = name  # type: ignore[attr-defined]
        return container

    def info(self) -> dict[str, str]:
        return {"SystemTime": "2026-11-27T19:01:00.5Z"}

    def events(self, **_: object) -> list[Any]:
        return [{"Action": "die", "Actor": {"Attributes": {"exitCode": "3"}}}]

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def wait(self, settle: float = 0, timeout: float = 60) -> None:
        wait_until_ready(
            self,  # type: ignore[arg-type]
            sorted(self.scripts),
            timeout=timeout,
            settle=settle,
            clock=self.clock,
            sleep=self.sleep,
        )


def healthy_from(start: float, until: float = 1e9) -> Any:
    def script(now: float) -> dict[str, Any]:
        if now >= until:
            return {"Status": "exited", "ExitCode": 3}
        return {"Health": {"Status": "healthy" if now >= start else "starting"}}

    return script


def test_it_returns_when_all_are_healthy() -> None:
    host = Host(a=healthy_from(2), b=healthy_from(5))
    host.wait()
    assert 5 <= host.now < 6


def test_a_container_must_stay_healthy() -> None:
    host = Host(a=healthy_from(2))
    host.wait(settle=10)
    assert 12 <= host.now < 13


def test_one_that_crashes_while_it_settles_fails_with_its_log() -> None:
    host = Host(a=healthy_from(1, until=5))
    with pytest.raises(NotReadyError, match=r"a ended with exit code 3[\s\S]*last words"):
        host.wait(settle=10)
    assert 5 <= host.now < 6


def test_one_that_was_restarted_fails_at_once() -> None:
    host = Host(a=lambda _: {"RestartCount": 1, "Health": {"Status": "healthy"}})
    with pytest.raises(NotReadyError, match="a ended with exit code 3 and was restarted once"):
        host.wait()
    assert host.now == 0


def test_one_that_is_unhealthy_fails() -> None:
    host = Host(a=lambda now: {"Health": {"Status": "starting" if now < 3 else "unhealthy"}})
    with pytest.raises(NotReadyError, match="a is unhealthy"):
        host.wait()


def test_one_that_never_becomes_healthy_fails_at_the_timeout() -> None:
    host = Host(a=healthy_from(1000))
    with pytest.raises(NotReadyError, match="a did not become healthy within 60 s"):
        host.wait()
    assert 60 <= host.now < 61


def test_without_containers_it_returns_at_once() -> None:
    Host().wait(settle=10)
