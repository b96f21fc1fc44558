"""The few statistics that the probe and the comparison report."""

from __future__ import annotations

import math
from collections.abc import Sequence

Z_95 = 1.959963984540054
"""95 % of the normal distribution lie within so many deviations."""
_T = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131,
    2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
)  # fmt: skip
"""Student's t at 95 % for 1 to 30 degrees of freedom; from there on the normal distribution will do."""


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
    quantile = _T[len(values) - 2] if len(values) - 1 <= len(_T) else Z_95
    half = quantile * deviation / math.sqrt(len(values))
    return mean, mean - half, mean + half
