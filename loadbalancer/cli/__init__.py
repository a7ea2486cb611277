"""The command line `./lb`: verbs.py and rollout.py have the verbs, errors.py the exit codes."""

from collections.abc import Sequence

from loadbalancer.cli import rollout as _rollout  # noqa: F401 - it adds its verbs to the app
from loadbalancer.cli.errors import report
from loadbalancer.cli.verbs import app

INTERRUPTED = 130
"""Exit code after Ctrl-C, as in a shell."""


def main(arguments: Sequence[str]) -> int:
    """Run one verb and return its exit code; docs/commands.md lists them."""
    try:
        app(list(arguments), prog_name="lb")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as error:
        return report(error)
    return 0
