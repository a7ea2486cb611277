"""The healthcheck of a container: often at the start, cheap afterwards, quick to see a fault."""

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
"""How long Docker has to wait for one run: ten seconds, and what the last question takes."""


def patient(command: Sequence[str]) -> list[str]:
    """Write a healthcheck that runs a command until it first succeeds, then again and again.

    Docker starts a healthcheck as often when a container is healthy as before, and each start
    takes some 50 ms of a processor. So once the command has succeeded, one start runs it each
    second for ten seconds, and ends at the first failure. `benchmarks/idle.py` measures it.

    Args:
        command: succeeds within 5 s when the container is well.
    """
    return ["CMD", "sh", "-c", _SCRIPT, "probe", *command]
