"""What holds for every test."""

import signal

from hypothesis import HealthCheck, settings

# The same examples in every run, however slow the machine is: a run that fails fails again. Who
# looks for more gives `--hypothesis-profile=default --hypothesis-seed=N`.
settings.register_profile(
    "tests",
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("tests")


def pytest_configure() -> None:
    """Let SIGINT end what the tests start, as it does in a terminal.

    A shell that puts a job into the background has it ignore SIGINT, and whatever that job starts
    inherits it; a handler of ours does not go on to another program, which then has the default.
    """
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
