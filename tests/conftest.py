"""What holds for every test: examples, signals, the order of a run and the time of each layer."""

import signal
import time
from collections import Counter, defaultdict
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from loadbalancer import hints
from tests import timing
from tests.stack import leftovers

# The same examples in every run, however slow the machine is: a run that fails fails again. `make
# faults` gives `--hypothesis-profile=thorough`, which looks for other examples, and for more.
settings.register_profile(
    "tests",
    deadline=None,
    derandomize=True,
    max_examples=50,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile(
    "thorough", settings.get_profile("tests"), derandomize=False, max_examples=500
)
settings.load_profile("tests")

TESTS = Path(__file__).parent
SHARED = {
    "changing_stack": "changing",
    "session_stack": "shared",
    "session_proxy": "proxy",
}
"""Fixtures that several modules share, and the group of the tests that use them."""
LONGEST_FIRST = (
    "soak",
    "shared",
    "docs",
    "kills-up",
    "kills-refresh",
    "rollout-faults",
    "changing",
    "rollout",
    "printed",
    "proxy",
)
"""Groups that take longest; so that none of them begins when the others have ended."""
SINGLE = ("unit", "page")
"""Layers whose tests need no group: they share at most a browser, which each worker has."""


def pytest_configure(config: pytest.Config) -> None:
    """Name the run, keep the order of its groups, and let SIGINT end what the tests start.

    A shell that puts a job into the background has it ignore SIGINT, and whatever that job starts
    inherits it; a handler of ours does not go on to another program, which then has the default.
    """
    leftovers.begin_run()
    if hasattr(config.option, "loadscopereorder"):
        config.option.loadscopereorder = False
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if not is_worker(config):
        config.pluginmanager.register(LayerTimes(), "layer-times")


@pytest.fixture(autouse=True)
def no_stack_in_hints() -> None:
    """Name no stack in hints: a verb that a test before ran in this process named one."""
    hints.use("")


def is_worker(config: pytest.Config) -> bool:
    """Tell whether this process is a worker of xdist, not the one that the user started."""
    return hasattr(config, "workerinput")


def layer_of(nodeid: str) -> str:
    """Name the layer of a test: the folder under tests/ that it is in."""
    path = nodeid.partition("::")[0].split("/")
    return path[1] if len(path) > 2 else "others"


def group_of(item: pytest.Item) -> str | None:
    """Name the group of a test, all of which one worker runs; None for one that has none."""
    if mark := item.get_closest_marker("xdist_group"):
        return str(mark.args[0])
    for fixture, group in SHARED.items():
        if fixture in getattr(item, "fixturenames", ()):
            return group
    path = item.path.relative_to(TESTS).with_suffix("").as_posix()
    return None if path.startswith(SINGLE) else path


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Give every test its group, and put the groups that take longest first."""
    order: dict[str | None, int] = {group: n for n, group in enumerate(LONGEST_FIRST)}
    groups = {item: group_of(item) for item in items}
    for item, group in groups.items():
        if group and config.getoption("loadgroup", False):
            append_group(item, group)
        order.setdefault(group, len(items) + (len(order) if group else len(items)))
    items.sort(key=lambda item: order[groups[item]])


def append_group(item: pytest.Item, group: str) -> None:
    """Append a group to the ID of a test, from which xdist reads it.

    xdist 3.8 does so itself with an attribute that pytest 9.2 does not read any more.
    """
    item._id = type(item.id).parse(f"{item.nodeid}@{group}")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Remove what tests have left that ended before their fixtures could, such as by a time-out."""
    if not is_worker(session.config):
        leftovers.remove_run()


class LayerTimes:
    """Prints how much time each layer took, and records it for `make`.

    Layers run side by side on several workers; each is given its part of the time that has passed.
    """

    def __init__(self) -> None:
        self._start = time.monotonic()
        self._work: dict[str, float] = defaultdict(float)
        self._tests: Counter[str] = Counter()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Add one phase of a test to its layer."""
        layer = layer_of(report.nodeid)
        self._work[layer] += report.duration
        self._tests[layer] += report.when == "call"

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print a line for each layer, where any test ran."""
        if not self._work:
            return
        passed, every = time.monotonic() - self._start, sum(self._work.values()) or 1
        terminalreporter.section("time of each layer")
        for layer, work in sorted(self._work.items(), key=lambda one: -one[1]):
            wall = passed * work / every
            timing.record(layer, wall)
            terminalreporter.write_line(
                f"{layer:<10} {wall:6.1f} s  ({work:.1f} s in {self._tests[layer]} tests)"
            )
