"""nginx's counters, as they are once every answer is counted."""

from loadbalancer import metrics
from loadbalancer.engine.wait import Wait
from loadbalancer.metrics.reading import Reading
from tests.stack.deployment import Deployment


def read(stack: Deployment) -> Reading:
    """Read the counters as they are now; the last answers may not be among them yet."""
    return metrics.read(stack.output("adminUrl"), timeout=60)


def settled(stack: Deployment) -> Reading:
    """Read the counters once every answer that came over a connection of the past is counted.

    nginx counts a request after it has answered it, and any of its workers may be the one that is
    asked for the counters. But none lets go of a connection before it has counted what came over
    it: once ours is the only one, nothing is left to count.
    """

    def look() -> object:
        active = read(stack).connections["active"]
        return None if active == 1 else f"{active} connections"

    Wait(120, 0.05).until("nginx to have let go of every connection but ours", look)
    return read(stack)
