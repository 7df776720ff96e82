"""A simulated model with a bias to some letters, and the accuracy that it has without the bias."""

import math

ACCURACY = 0.6
BIAS = {"A": 3.0, "B": 1.0, "C": -1.0}


def within_error(found: float, count: int) -> bool:
    return abs(found - ACCURACY) < 3 * math.sqrt(ACCURACY * (1 - ACCURACY) / count)
