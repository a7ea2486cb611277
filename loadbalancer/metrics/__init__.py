"""The counters of nginx: reading them, and the difference of two readings."""

from loadbalancer.metrics.client import PROBE_TIMEOUT, TIMEOUT, MetricsError, probe, read

__all__ = ["PROBE_TIMEOUT", "TIMEOUT", "MetricsError", "probe", "read"]
