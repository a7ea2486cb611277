"""A model of nginx's smooth weighted round robin, to compare the real one with.

Each turn every server's score grows by its weight; the highest score is served, the first of
equals, and pays the sum of the weights (nginx, ngx_http_upstream_round_robin.c).
"""

from collections.abc import Sequence


def smooth_weighted(weights: Sequence[int], turns: int) -> list[int]:
    """Return which server, by its index, is served at each turn of a fresh rotation."""
    scores = [0] * len(weights)
    served = []
    for _ in range(turns):
        scores = [score + weight for score, weight in zip(scores, weights, strict=True)]
        best = scores.index(max(scores))
        scores[best] -= sum(weights)
        served.append(best)
    return served
