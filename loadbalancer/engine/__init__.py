"""The Docker engine that the stack's containers run in."""

from loadbalancer.engine.client import connect, remote_host, whereabouts

__all__ = ["connect", "remote_host", "whereabouts"]
