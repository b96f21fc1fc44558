"""The few statistics that the probe and the comparison report."""

from __future__ import annotations

import math
from collections.abc import Sequence

Z_95 = 1.959963984540054
"""95 % of the normal distribution lie within so many deviations."""
_T = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 8: 2.306, 9: 2.262}


def wilson(successes: float, trials: float, z: float = Z_95) -> tuple[float, float]:
    """Interval of a proportion after Wilson, at 95 % by default; (0, 1) without a trial."""
    if trials <= 0:
        return 0.0, 1.0
    share = successes / trials
    centre = share + z**2 / (2 * trials)
    spread = z * math.sqrt(share * (1 - share) / trials + z**2 / (4 * trials**2))
    scale = 1 + z**2 / trials
    return max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale)


def mean_interval(values: Sequence[float]) -> tuple[float, float, float]:
    """Mean, and its 95 % interval by Student's t over the seeds; one value has no width."""
    mean = sum(values) / len(values)
    if len(values) == 1:
        return mean, mean, mean
    deviation = math.sqrt(sum((v - mean) ** 2 for v in values) / (len(values) - 1))
    half = _T.get(len(values) - 1, Z_95) * deviation / math.sqrt(len(values))
    return mean, mean - half, mean + half
