"""Means with their 95 % intervals by Student's t, and what they say of a claim."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Prediction = Literal["better", "not worse", "equal"]
Verdict = Literal["agrees", "contradicts", "cannot be told"]

# The 97.5 % quantile of Student's t by degrees of freedom. Between two entries, the smaller one serves: its interval is
# a little too wide.
QUANTILES = {
    1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 8: 2.306, 9: 2.262, 10: 2.228,
    11: 2.201, 12: 2.179, 13: 2.160, 14: 2.145, 15: 2.131, 16: 2.120, 17: 2.110, 18: 2.101, 19: 2.093, 20: 2.086,
    25: 2.060, 30: 2.042, 40: 2.021, 60: 2.000, 120: 1.980,
}  # fmt: skip


@dataclass(frozen=True)
class Interval:
    """A mean and the 95 % interval around it."""

    mean: float
    low: float
    high: float


def interval(values: Sequence[float]) -> Interval:
    """The 95 % interval of the mean of two values or more."""
    mean = statistics.fmean(values)
    freedom = max(known for known in QUANTILES if known <= len(values) - 1)
    half = QUANTILES[freedom] * statistics.stdev(values) / math.sqrt(len(values))
    return Interval(mean, mean - half, mean + half)


def verdict(difference: Interval, predicts: Prediction, margin: float) -> Verdict:
    """What the interval of a difference (the arm in question minus the other) says of the prediction that it is above
    0 ("better"), above -margin ("not worse"), or within margin either way ("equal"). All of the interval must lie where
    the prediction has it, or outside of that; otherwise nothing can be told."""
    low, high = {"better": (0.0, math.inf), "not worse": (-margin, math.inf), "equal": (-margin, margin)}[predicts]
    if low < difference.low and difference.high < high:
        return "agrees"
    if difference.high < low or high < difference.low:
        return "contradicts"
    return "cannot be told"
