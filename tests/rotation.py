"""A model of the rotation, to compare the real one with: every turn, by the definition alone.

The turns go through the positions of a cycle in steps that have no factor in common with its
length; each server has as many positions in a row as its weight.
"""

from collections.abc import Sequence
from math import gcd


def turns(weights: Sequence[int], number: int) -> list[int]:
    """Return which server, by its index, is served at each turn from the first one on."""
    divisor = gcd(*weights)
    positions = [i for i, weight in enumerate(weights) for _ in range(weight // divisor)]
    length = len(positions)
    coprime = [step for step in range(1, length + 1) if gcd(step, length) == 1]
    # The smaller of two that are equally near to a rounded 0.618 of the length.
    near = int(length * 0.6180339887498949 + 0.5)
    step = min(coprime, key=lambda one: (abs(one - near), one))
    return [positions[turn * step % length] for turn in range(number)]
