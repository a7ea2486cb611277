"""The healthcheck that every container of a stack gets, run inside one."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from loadbalancer.probe import patient
from tests.apps.conftest import Run
from tests.apps.containers import App, wait_for

ASKS = ("sh", "-c", "echo >> /tmp/asked; ! [ -e /tmp/sick ]")
CMD, *HEALTHCHECK = patient(ASKS)


@pytest.fixture
def idle(start: Run, image: str) -> App:
    """A container that does nothing, and is sick as soon as it has a file of that name."""
    assert CMD == "CMD"
    return start(image, healthy=False, command=["sleep", "300"])


def asked(app: App) -> int:
    """Count how often it was asked."""
    return len(app.run("cat", "/tmp/asked")[1].splitlines())  # noqa: S108


def test_the_first_success_is_told_at_once_and_then_one_run_asks_each_second(idle: App) -> None:
    started = time.monotonic()
    assert idle.run(*HEALTHCHECK)[0] == 0
    assert asked(idle) == 1
    assert time.monotonic() - started < 5
    started = time.monotonic()
    assert idle.run(*HEALTHCHECK)[0] == 0
    assert time.monotonic() - started > 9
    assert 5 <= asked(idle) - 1 <= 11


def test_a_failure_is_told_at_once_and_so_is_its_end(idle: App) -> None:
    assert idle.run(*HEALTHCHECK)[0] == 0
    with ThreadPoolExecutor(1) as pool:
        run = pool.submit(idle.run, *HEALTHCHECK)
        wait_for(lambda: asked(idle) > 1, "second question", 5)
        assert not run.done()
        assert idle.run("touch", "/tmp/sick")[0] == 0  # noqa: S108
        assert run.result(timeout=5)[0] == 1
    for _ in range(3):
        before = asked(idle)
        assert idle.run(*HEALTHCHECK)[0] != 0
        assert asked(idle) == before + 1
    assert idle.run("rm", "/tmp/sick")[0] == 0  # noqa: S108
    before = asked(idle)
    assert idle.run(*HEALTHCHECK)[0] == 0
    assert asked(idle) == before + 1


def test_a_question_that_takes_too_long_is_a_failure(idle: App) -> None:
    _, *slow = patient(("sleep", "60"))
    started = time.monotonic()
    assert idle.run(*slow)[0] != 0
    assert time.monotonic() - started < 10
