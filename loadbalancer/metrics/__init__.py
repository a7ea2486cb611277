"""The counters of nginx: reading them, and the difference of two readings."""

from loadbalancer.metrics.client import TIMEOUT, MetricsError, read

__all__ = ["TIMEOUT", "MetricsError", "read"]
