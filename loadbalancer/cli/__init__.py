"""The command line `./lb`: verbs, views and rollout have the verbs, errors the exit codes."""

from collections.abc import Sequence

from loadbalancer.cli import rollout as _rollout  # noqa: F401 - they add their verbs to the app
from loadbalancer.cli import views as _views  # noqa: F401
from loadbalancer.cli.errors import report
from loadbalancer.cli.verbs import app

__all__ = ["INTERRUPTED", "app", "main"]

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
