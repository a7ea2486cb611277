"""What holds for every test."""

import signal


def pytest_configure() -> None:
    """Let SIGINT end what the tests start, as it does in a terminal.

    A shell that puts a job into the background has it ignore SIGINT, and whatever that job starts
    inherits it; a handler of ours does not go on to another program, which then has the default.
    """
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
