"""The healthcheck that every container of a stack gets, run inside one."""

import time

import pytest

from loadbalancer.resources.healthcheck import TIMEOUT, healthcheck_command
from tests.apps.conftest import Run
from tests.apps.containers import App

# The third to the sixth question find it sick.
ASKS = ("sh", "-c", "echo >> /tmp/asked; n=$(wc -l < /tmp/asked); [ $n -lt 3 ] || [ $n -gt 6 ]")
WELL = ("sh", "-c", "echo >> /tmp/asked")
CMD, *HEALTHCHECK = healthcheck_command(ASKS)
_, *WELL_CHECK = healthcheck_command(WELL)


@pytest.fixture
def idle(start: Run, image: str) -> App:
    """A container that does nothing."""
    assert CMD == "CMD"
    return start(image, healthy=False, command=["sleep", "infinity"])


def asked(app: App) -> int:
    """Count how often it was asked."""
    return len(app.run("cat", "/tmp/asked")[1].splitlines())  # noqa: S108


@pytest.mark.faults
def test_the_first_success_is_told_at_once_and_then_one_run_asks_each_second(idle: App) -> None:
    assert idle.run(*WELL_CHECK)[0] == 0
    assert asked(idle) == 1
    started = time.monotonic()
    assert idle.run(*WELL_CHECK)[0] == 0
    assert time.monotonic() - started > 9
    # Eleven on a machine with nothing to do, fewer on a slow one, never more.
    assert 2 <= asked(idle) - 1 <= 11


def test_a_failure_is_told_at_once_and_so_is_its_end(idle: App) -> None:
    assert idle.run(*HEALTHCHECK)[0] == 0
    assert asked(idle) == 1
    # This run is well when it begins, and ends with the first question that is not.
    assert idle.run(*HEALTHCHECK)[0] == 1
    assert asked(idle) == 3
    for count in (4, 5, 6):
        assert idle.run(*HEALTHCHECK)[0] != 0
        assert asked(idle) == count
    assert idle.run(*HEALTHCHECK)[0] == 0
    assert asked(idle) == 7


@pytest.mark.faults
def test_a_question_that_takes_too_long_is_a_failure(idle: App) -> None:
    # Let be, it would succeed just when Docker has waited for long enough.
    _, *slow = healthcheck_command(("sleep", TIMEOUT))
    assert idle.run(*slow)[0] != 0
