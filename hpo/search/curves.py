"""Expected scores of trials that were stopped early or are still running, from the curves of the others."""

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Curve = Mapping[int, float]
"""Epoch -> score of each validation."""


@dataclass(frozen=True, slots=True)
class Look:
    """Estimate, by one trial, of the score of its configuration."""

    score: float
    """Score of the trial, or the one that it is expected to reach with all its epochs."""
    variance: float = 0.0
    """Variance of the expectation, in addition to the noise between seeds; 0 for a whole trial."""


class CurveModel:
    """Predicts from a trial's best score so far what it reaches with all its epochs.

    Of two trials, the one that is better early is mostly better at the end: a line is fitted from the best
    scores that whole trials had at the same epoch to those that they ended with. Few whole trials hardly
    say how steep the line is, so it begins as one that keeps ranks: as many deviations above the mean early
    as at the end.
    """

    _PRIOR_TRIALS = 3
    """Weight of that line, in trials."""

    def __init__(self) -> None:
        self._early: dict[int, list[float]] = defaultdict(list)
        self._ends: dict[int, list[float]] = defaultdict(list)
        self._lines: dict[int, _Line] = {}

    def add(self, curve: Curve) -> None:
        """Learn from the curve of a trial that trained all its epochs."""
        best, end = -math.inf, max(curve.values())
        for epoch, score in sorted(curve.items()):
            best = max(best, score)
            self._early[epoch].append(best)
            self._ends[epoch].append(end)
        self._lines.clear()

    def look(self, curve: Curve) -> Look | None:
        """Return the expected end of a curve; None while too few whole trials show what to expect."""
        epoch = max(curve)
        if len(self._early.get(epoch, ())) < 2:
            return None
        if epoch not in self._lines:
            self._lines[epoch] = _Line.fit(
                np.array(self._early[epoch]), np.array(self._ends[epoch]), prior=self._PRIOR_TRIALS
            )
        best = max(curve.values())
        line = self._lines[epoch]
        return Look(max(line(best), best), line.variance)


@dataclass(frozen=True, slots=True)
class _Line:
    """A line with the variance of what lies beside it."""

    at: float
    level: float
    slope: float
    variance: float

    def __call__(self, early: float) -> float:
        return self.level + self.slope * (early - self.at)

    @classmethod
    def fit(cls, early: Array, ends: Array, *, prior: int) -> "_Line":
        at, level = float(early.mean()), float(ends.mean())
        spread, end_spread = float(early.std()), float(ends.std())
        if spread == 0.0:
            return cls(at, level, 1.0, end_spread**2)
        steep = end_spread / spread
        x, y = early - at, ends - level
        weight = prior * spread**2
        slope = float((x @ y + weight * steep) / (x @ x + weight))
        # The prior counts as so many trials that lie as far beside the line as the ends lie apart.
        left = float(np.sum((y - slope * x) ** 2)) + prior * end_spread**2
        return cls(at, level, slope, left / (len(x) + prior))
