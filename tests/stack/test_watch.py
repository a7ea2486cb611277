"""The live figures of a real stack, on a pipe and on a terminal."""

import re
from pathlib import Path

import pytest

from tests.stack.counters import settled
from tests.stack.deployment import Deployment
from tests.stack.failing import wait_until_answered, wait_until_shared
from tests.stack.terminal import PATIENCE, Running, run, running


def figures(watching: Running, app: str) -> dict[str, str]:
    """The last plain line about an app."""
    lines = [line.split()[2:] for line in watching.lines if line.split()[1:2] == [app]]
    return dict(word.split("=", 1) for word in lines[-1]) if lines else {}


def wait_until(watching: Running, **wanted: dict[str, str]) -> None:
    """Wait until the last line about each app has these words."""

    def look() -> object:
        assert watching.process.poll() is None, watching.printed
        found = {app: figures(watching, app) for app in wanted}
        right = all(found[app].items() >= words.items() for app, words in wanted.items())
        return None if right else found

    PATIENCE.until(f"the figures {wanted}", look)


def test_shares_rates_and_errors_as_they_are(stack: Deployment) -> None:
    settled(stack)  # so that no figure is of requests before
    with running(stack, "watch", "--interval", "0.5") as watching:
        watching.wait_for("Figures start")
        assert stack.output("adminUrl") in watching.printed
        wait_until(watching, app1={"observed": "-", "errors": "-"}, app2={"rate": "0.0"})
        stack.shares(100)
        wait_until(
            watching,
            app1={"weight": "6", "share": "60.0%", "observed": "60.0%", "servers": "1/1"},
            app2={"weight": "4", "share": "40.0%", "observed": "40.0%", "errors": "0.0%"},
        )
        now = figures(watching, "app1")
        assert float(now["rate"]) > 0
        assert all(re.fullmatch(r"\d+(\.\d+)?m?s", now[key]) for key in ("p50", "p95", "p99"))

        # A change begins new figures, of the new route alone.
        stack.set_weights(app1=1, app2=1)
        stack.up()
        wait_until(watching, app1={"weight": "1", "share": "50.0%", "observed": "-"})
        assert figures(watching, "app1")["route"] != now["route"]
        stack.shares(50)
        wait_until(watching, app1={"observed": "50.0%"}, app2={"observed": "50.0%"})
    assert watching.code == 0
    assert "Traceback" not in watching.printed


@pytest.mark.faults
def test_old_figures_are_marked_until_nginx_is_back(stack: Deployment) -> None:
    nginx = stack.nginx()
    with running(stack, "watch", "--interval", "0.2") as watching:
        wait_until(watching, app1={"weight": "6"})
        nginx.kill()
        try:
            watching.wait_for("Old figures, from ")
            wait_until(watching, app1={"weight": "6", "old": "yes"})
            watching.wait_for(f"{stack.output('adminUrl')}/metrics does not answer")
        finally:
            nginx.start()

        def look() -> object:
            found = figures(watching, "app1")
            return found if "old" in found else None

        PATIENCE.until("new figures", look)
    assert watching.code == 0

    wait_until_answered(stack)
    wait_until_shared(stack)


def test_a_table_on_a_terminal_and_a_clean_end(stack: Deployment) -> None:
    settled(stack)
    with running(stack, "watch", "--interval", "0.2", terminal=True) as watching:
        watching.wait_for("app2", 2)
        stack.shares(20)
        watching.wait_for("40.0%    40.0% ")
        watching.wait_for("1 of 1")
    assert watching.code == 0
    assert "Traceback" not in watching.printed
    # The cursor is hidden while it runs, and there again after it.
    assert watching.printed.count("\x1b[?25l") == watching.printed.count("\x1b[?25h") == 1

    # Without a terminal, and with an end of its own.
    code, out, err = run(stack, "watch", "--interval", "0.1", "--count", "3")
    assert (code, err) == (0, "")
    # It looks once more than it has figures, and once more for each time that nginx was late.
    without = out.count("Figures start") + out.count("No figures yet")
    assert 1 <= without < 4
    assert out.count(" app1 ") == out.count(" app2 ") == 4 - without


def test_a_stack_that_is_not_there_or_not_up(tmp_path: Path, base_images: dict[str, str]) -> None:
    stack = Deployment.create(tmp_path, base_images)
    name = stack.name
    try:
        assert run(stack, "watch") == (
            1,
            "",
            f"error: stack {name} is not up. Bring it up: ./lb up --stack {name}\n",
        )
        code, out, err = run(stack, "logs")
        assert (code, out) == (1, "")
        assert err.endswith(f"Bring it up: ./lb up --stack {name}\n")
    finally:
        stack.run("stack", "rm", "--yes")
    code, _, err = run(stack, "watch")
    assert code == 1
    assert err == f"error: no stack named '{name}' found. Create it: ./lb up --stack {name}\n"
