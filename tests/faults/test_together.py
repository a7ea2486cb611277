"""Two updates at once on one stack, and two checkouts at once on one engine."""

import re
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from tests.faults.killing import chance, expect_whole
from tests.stack.deployment import Deployment
from tests.stack.editing import app_file, change
from tests.stack.load import wrk
from tests.stack.rolling import command

ROUNDS = 6

pytestmark = [
    pytest.mark.faults,
    pytest.mark.timeout(3600),
    pytest.mark.xdist_group("together"),
]


def update(stack: Deployment) -> "subprocess.Popen[str]":
    """Start `./lb up`."""
    return stack.process(*command(stack, "up"), stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def test_of_two_updates_at_once_one_is_refused_and_nothing_breaks(
    module_stack: Deployment,
) -> None:
    stack = module_stack
    stack.up()
    seed, numbers = chance()
    code = app_file(stack, "app2").read_text()
    both = refused = 0
    with wrk(stack.url, method="GET", rate=50) as load:
        for version in range(ROUNDS):
            app_file(stack, "app2").write_text(f"{code}\nVERSION = {version}\n")
            stack.set_weights(app1=6 + version % 2, app2=4)
            first = update(stack)
            with suppress(subprocess.TimeoutExpired):
                first.wait(timeout=numbers.random() * 4)
            second = update(stack)
            ends = [(one, one.communicate(timeout=600)[0]) for one in (first, second)]
            what = (seed, version, [(one.returncode, out) for one, out in ends])
            failed = [out for one, out in ends if one.returncode]
            both += not failed  # the second one waited for nothing: the first had ended
            for out in failed:
                refused += 1
                assert "locked" in out, what
                assert re.search(r"pid \d+|process \d+", out), what
                assert f"./lb repair --stack {stack.name}" in out, what
            if len(failed) == 2:  # each saw the lock of the other one
                stack.up()
            stack.applied = stack.source()
            expect_whole(stack, str(what))
    assert load.failures == [], seed
    assert refused, "no two updates ever met"
    stack.expect_no_changes()


@pytest.fixture
def two(tmp_path: Path, base_images: dict[str, str]) -> Iterator[tuple[Deployment, Deployment]]:
    """Two checkouts that both have a stack of the same name, which is not up yet."""
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    with (
        Deployment.temporary(tmp_path / "a", base_images) as a,
        Deployment.temporary(tmp_path / "b", base_images, a.name) as b,
    ):
        yield a, b


def test_two_checkouts_at_once_leave_each_other_alone(two: tuple[Deployment, Deployment]) -> None:
    a, b = two
    a.set_weights(app1=6, app2=4)
    b.set_weights(app1=3, app2=7)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(Deployment.up, two))
        assert a.shares(10) == {"app1": 6, "app2": 4}
        assert b.shares(10) == {"app1": 3, "app2": 7}
        with wrk(a.url, method="GET", rate=50) as of_a, wrk(b.url, method="GET", rate=50) as of_b:
            for version in range(3):
                for one in two:
                    change(one, "app1", f"\nVERSION = {version}\n")
                a.set_weights(app1=7 + version)
                list(pool.map(Deployment.up, two))
                every = {str(c.id) for c in a.labelled()}
                assert every == {*a.ids().values(), *b.ids().values()}
        assert of_a.failures == of_b.failures == []
        with wrk(b.url, method="GET", rate=50) as of_b:
            change(b, "app2", "\nVERSION = 'last'\n")
            list(pool.map(lambda act: act(), (a.destroy, b.up)))
            a.up()
            list(pool.map(lambda act: act(), (b.refresh, a.destroy)))
        assert of_b.failures == []
    assert sorted(b.ids().values()) == sorted(str(c.id) for c in b.labelled())
    assert b.shares(10) == {"app1": 3, "app2": 7}
    b.destroy()
    assert b.leftovers() == []
