"""`up`, `refresh` and `destroy`, each killed at 20 random moments, and the way on after each."""

from collections.abc import Iterator

import pytest

from tests.faults.killing import Killer, chance, expect_true_status, expect_whole, seconds
from tests.stack.deployment import Deployment
from tests.stack.editing import app_file
from tests.stack.load import wrk
from tests.stack.rolling import run

KILLS = 20

pytestmark = [pytest.mark.faults, pytest.mark.timeout(3600)]


@pytest.fixture
def stack(module_stack: Deployment) -> Iterator[Deployment]:
    """The stack of this module, up with weights of 6 and 4."""
    module_stack.cancel()
    module_stack.set_weights(app1=6, app2=4)
    module_stack.up()
    yield module_stack
    module_stack.up()
    module_stack.expect_no_changes()


def edit(stack: Deployment, code: str, version: int) -> None:
    """Write a new version of app1, and other weights."""
    app_file(stack, "app1").write_text(f"{code}\nVERSION = {version}\n")
    stack.set_weights(app1=6 + version % 2, app2=4)


@pytest.mark.xdist_group("kills-up")
def test_a_killed_up_costs_no_request_and_repair_completes_it(stack: Deployment) -> None:
    command = ("up", "--yes", "--skip-preview")
    code = app_file(stack, "app1").read_text()
    edit(stack, code, 0)
    killer = Killer(seconds(stack, *command), KILLS, *chance())
    with wrk(stack.url, method="GET", rate=50) as load:
        for version, moment in enumerate(killer.moments(), start=1):
            edit(stack, code, version)
            killer.kill(stack, stack.pulumi(*command), moment)
            expect_true_status(stack, killer.what)
            exit_code, out = run(stack, "repair")
            assert exit_code == 0, (killer.what, out)
            expect_whole(stack, f"{killer.what}\n{out}")
    assert load.failures == [], killer.seed
    assert load.requests > 100
    assert killer.ended < KILLS


@pytest.mark.xdist_group("kills-refresh")
def test_a_killed_refresh_costs_no_request_and_the_next_up_goes_on(stack: Deployment) -> None:
    command = ("refresh", "--yes", "--skip-preview")
    killer = Killer(seconds(stack, *command), KILLS, *chance())
    with wrk(stack.url, method="GET", rate=50) as load:
        for moment in killer.moments():
            killer.kill(stack, stack.pulumi(*command), moment)
            clean = expect_true_status(stack, killer.what)
            assert clean or stack.locks(), killer.what
            stack.cancel()
            stack.up()
            expect_whole(stack, killer.what)
    assert load.failures == [], killer.seed
    assert killer.ended < KILLS


@pytest.mark.xdist_group("kills-refresh")
def test_after_a_killed_destroy_it_is_destroyed_or_repaired(stack: Deployment) -> None:
    command = ("destroy", "--yes", "--skip-preview")
    killer = Killer(seconds(stack, *command), KILLS, *chance())
    stack.up()
    for number, moment in enumerate(killer.moments()):
        killer.kill(stack, stack.pulumi(*command), moment)
        expect_true_status(stack, killer.what)
        if number % 2:
            exit_code, out = run(stack, "repair")
            assert exit_code == 0, (killer.what, out)
        else:
            stack.cancel()
            stack.destroy()
            assert stack.leftovers() == [], killer.what
            stack.up()
        expect_whole(stack, killer.what)
    assert killer.ended < KILLS
