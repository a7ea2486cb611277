"""The healthcheck of a container: frequent at the start, cheap afterwards, quick to fail."""

from collections.abc import Sequence

_SCRIPT = """\
well=/tmp/.well
[ -e $well ] || { timeout 5 "$@" && : > $well; exit; }
end=$(($(date +%s) + 10))
while timeout 5 "$@"; do
    [ "$(date +%s)" -lt $end ] || exit 0
    sleep 1
done
rm $well
exit 1
"""

TIMEOUT = "20s"
"""How long Docker waits for one run: ten seconds, and the time that the last command takes."""


def healthcheck_command(command: Sequence[str]) -> list[str]:
    """Wrap a command in a healthcheck that starts few processes of Docker's.

    Docker starts a healthcheck as often when a container is healthy as before, and each start
    takes some 50 ms of a processor. So once the command has succeeded, one start runs it each
    second for ten seconds, and ends at the first failure. `benchmarks/idle.py` measures it.

    Args:
        command: succeeds within 5 s when the container is healthy.
    """
    return ["CMD", "sh", "-c", _SCRIPT, "probe", *command]
