"""A histogram of durations, and quantiles estimated from it."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from math import inf

BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Upper bounds of nginx's buckets in seconds, also those of a histogram without observations."""


@dataclass(frozen=True)
class Histogram:
    """Observed durations in seconds, counted in buckets with these upper bounds.

    `counts` is not cumulative, and has one more than `bounds`: what lies above them all.
    """

    bounds: tuple[float, ...] = BOUNDS
    counts: tuple[int, ...] = (0,) * (len(BOUNDS) + 1)
    sum: float = 0.0

    def __post_init__(self) -> None:
        """Reject bounds and counts that do not form a histogram."""
        rising = all(low < high for low, high in pairwise((0, *self.bounds, inf)))
        if not self.bounds or not rising:
            raise ValueError(f"bucket bounds are not positive and rising: {self.bounds}")
        if len(self.counts) != len(self.bounds) + 1 or min(self.counts) < 0:
            raise ValueError(f"invalid counts {self.counts} for the buckets {self.bounds}")
        if not 0 <= self.sum < inf:
            raise ValueError(f"invalid sum of durations {self.sum}")

    @classmethod
    def of_cumulative(cls, cumulative: Mapping[float, int], total: float) -> "Histogram":
        """Create one from cumulative counts by upper bound, with infinity among the bounds."""
        bounds = sorted(cumulative)
        if bounds[-1:] != [inf]:
            raise ValueError("histogram without the bucket +Inf")
        counts = (high - low for low, high in pairwise((0, *(cumulative[one] for one in bounds))))
        return cls(tuple(bounds[:-1]), tuple(counts), total)

    @property
    def count(self) -> int:
        """Number of observations."""
        return sum(self.counts)

    def since(self, earlier: "Histogram") -> "Histogram | None":
        """Return the observations since an earlier state; None if it was reset after that."""
        if self.bounds != earlier.bounds or self.sum < earlier.sum:
            return None
        counts = tuple(now - then for now, then in zip(self.counts, earlier.counts, strict=True))
        return None if min(counts) < 0 else Histogram(self.bounds, counts, self.sum - earlier.sum)

    def quantile(self, q: float) -> float | None:
        """Estimate the duration below which the fraction q (0 to 1) of the observations lies.

        Linear inside a bucket, and the highest bound for what lies above it, as Prometheus'
        histogram_quantile has it. None without observations.
        """
        if not 0 <= q <= 1:
            raise ValueError(f"invalid quantile {q}: not from 0 to 1")
        if not self.count:
            return None
        rank, below = q * self.count, 0
        limits = pairwise((0.0, *self.bounds))
        for (low, high), count in zip(limits, self.counts, strict=False):
            if count and below + count >= rank:
                # Rounding must not lead past the bound, or a higher quantile could be lower.
                return min(high, low + (high - low) * (rank - below) / count)
            below += count
        return self.bounds[-1]
