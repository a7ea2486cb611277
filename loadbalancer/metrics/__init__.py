"""What nginx has counted: reading it, and what happened between two readings."""

from loadbalancer.metrics.client import TIMEOUT, MetricsError, read

__all__ = ["TIMEOUT", "MetricsError", "read"]
