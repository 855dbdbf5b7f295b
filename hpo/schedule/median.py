"""Early stopping of trials that are worse than the median, as Ray Tune's ``MedianStoppingRule`` decides."""

import bisect
import math

import numpy as np

from hpo.schedule.rule import StoppingRule

LEAST_TRIALS = 3
"""Number of other trials without which none is stopped, Ray's default."""

Curve = list[tuple[int, float]]
"""Epoch and score of each validation of a trial."""


class MedianRule(StoppingRule):
    """Rule that stops a trial whose best score is below the median of the other trials' running means.

    The decisions are those of Ray's ``MedianStoppingRule``, which looks at all validations of all trials at
    every validation: 10,000 trials would take minutes to replay. Here the running means of an epoch stay
    sorted.

    Args:
        epochs: Epochs of a trial; its last validation cannot stop it.
        grace: First epoch at which a trial can be stopped; earlier scores are in no running mean.
    """

    def __init__(self, *, epochs: int, grace: int) -> None:
        self._epochs, self._grace = epochs, grace
        self._curves: dict[str, Curve] = {}
        self._stopped: set[str] = set()
        self._means: dict[int, list[float]] = {}
        """Epoch -> sorted running means of the trials that have reached it."""

    def should_stop(self, trial: str, epoch: int, score: float) -> bool:
        """Record a validation and decide. Scores that are not finite are ignored."""
        before = self._curves[trial][-1][0] if trial in self._curves else 0
        if epoch > before and math.isfinite(score) and trial not in self._stopped:
            self._record(trial, before, epoch, score)
        return trial in self._stopped

    def _record(self, trial: str, before: int, epoch: int, score: float) -> None:
        can_stop = self._grace <= epoch < self._epochs
        others = self._means_at(epoch) if can_stop else []
        curve = self._curves.setdefault(trial, [])
        curve.append((epoch, score))
        if len(others) >= LEAST_TRIALS and _median(others) > max(score for _, score in curve):
            self._stopped.add(trial)
        for reached, means in self._means.items():
            if before < reached <= epoch:
                self._add(means, curve, reached)

    def _means_at(self, epoch: int) -> list[float]:
        """Return the running means at ``epoch``, computed when the first trial reaches it."""
        if epoch not in self._means:
            means = self._means[epoch] = []
            for curve in self._curves.values():
                if curve[-1][0] >= epoch:
                    self._add(means, curve, epoch)
        return self._means[epoch]

    def _add(self, means: list[float], curve: Curve, epoch: int) -> None:
        """Add the mean of the scores from the grace period to ``epoch``, if there are any."""
        scores = [score for at, score in curve if self._grace <= at <= epoch]
        if scores:
            bisect.insort(means, float(np.mean(scores)))  # Ray's rounding, for equal decisions


def _median(ordered: list[float]) -> float:
    """Return the median of sorted numbers, as ``numpy.median`` rounds it."""
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2
