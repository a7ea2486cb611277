"""Is an app worse than the others, or is it chance? Pure statistics."""

from math import exp, lgamma

CHANCE = 0.001
"""How often an app that is as good as the others may be taken for worse."""


def more(hits: int, of: int, other_hits: int, other_of: int) -> bool:
    """Tell whether one has more hits than another beyond chance.

    Fisher's exact test, one-sided: how probable are so many of all the hits, or more, where it
    does not matter who is asked? It holds for small numbers as for large.

    Args:
        hits: hits of the one.
        of: how often it was asked.
        other_hits: hits of the other.
        other_of: how often that one was asked.
    """
    if not of or not other_of or hits * other_of <= other_hits * of:
        return False
    every, all_hits = of + other_of, hits + other_hits
    total = _log_choose(every, all_hits)
    tail = (
        exp(_log_choose(of, number) + _log_choose(other_of, all_hits - number) - total)
        for number in range(hits, min(of, all_hits) + 1)
    )
    return sum(tail) < CHANCE


def _log_choose(n: int, k: int) -> float:
    """Logarithm of the number of ways to choose k of n."""
    if not 0 <= k <= n:
        return float("-inf")
    return lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1)
