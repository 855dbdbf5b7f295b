"""Selection of the observations that a model is fitted to."""

from collections.abc import Sequence
from dataclasses import astuple, dataclass

import numpy as np
import numpy.typing as npt

from hpo.search.curves import ScoreEstimate
from hpo.search.searcher import AskedTrial

Point = tuple[float, ...]
"""A point on the unit cube."""
Array = npt.NDArray[np.float64]

LEAST_SPREAD = 1e-8
"""Standard deviation below which scores count as equal: they differ by rounding only."""
LEAST_RELATED, RELATED_SEEN = 5, 100
"""Minimum and maximum number of related trials to use."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Observations:
    """Scores at points; a point may appear several times, once for each seed."""

    points: Array
    """Points on the unit cube, (count, dimensions)."""
    scores: Array
    """Scores, (count,)."""
    variances: Array
    """Variance of each score in addition to the noise between seeds, (count,)."""

    def equal(self, other: "Observations") -> bool:
        """Return whether both say the same."""
        pairs = zip(astuple(self), astuple(other), strict=True)
        return all(np.array_equal(ours, theirs) for ours, theirs in pairs)


def unit_of(spread: float, *, noise: float) -> float:
    """Return the unit in which a model sees scores: their standard deviation, ``spread``.

    Equal scores have none. The assumed noise between seeds takes its place, because other seeds of the same
    points would lie that far apart.
    """
    return spread if spread >= LEAST_SPREAD else max(noise, LEAST_SPREAD)


def scores_by_point(trials: Sequence[AskedTrial], *, limit: int) -> dict[Point, float]:
    """Return a score for each point with an ended trial, in the order in which the trials were proposed.

    A failed trial gets the worst score. A point that was tried several times gets the average.

    Args:
        trials: Trials in the order in which they were proposed; at least one has a score.
        limit: Maximum number of trials to use: half of them the best, half the latest of the others.
    """
    worst = min(trial.score for trial in trials if trial.score is not None)
    ended = [
        (_point(trial), worst if trial.score is None else trial.score)
        for trial in trials
        if trial.failed or trial.score is not None
    ]
    used: dict[Point, list[float]] = {}
    for index in _best_and_latest([score for _, score in ended], limit):
        point, score = ended[index]
        used.setdefault(point, []).append(score)
    return {point: float(np.mean(scores)) for point, scores in used.items()}


def observations(trials: Sequence[AskedTrial], *, limit: int) -> Observations:
    """Return what is known about the trials, one row for each seed of a point; at least one has a score.

    A failed trial gets the worst score. A running one has rows if its validations tell what to expect.

    Args:
        trials: Trials in the order in which they were proposed.
        limit: Maximum number of trials to use: half of them the best, half the latest of the others.
    """
    worst = min(trial.score for trial in trials if trial.score is not None)
    rows = [(trial, estimates) for trial in trials if (estimates := _estimates_of(trial, worst))]
    used = _best_and_latest([max(estimate.score for estimate in estimates) for _, estimates in rows], limit)
    chosen = [
        (trial.point, estimate) for trial, estimates in map(rows.__getitem__, used) for estimate in estimates
    ]
    return Observations(
        points=np.array([point for point, _ in chosen]),
        scores=np.array([estimate.score for _, estimate in chosen]),
        variances=np.array([estimate.variance for _, estimate in chosen]),
    )


def related_observations(related: Sequence[AskedTrial]) -> Observations | None:
    """Return what related trials tell; None if these are too few to show the shape of the scores."""
    if sum(trial.score is not None for trial in related) < LEAST_RELATED:
        return None
    return observations(related, limit=RELATED_SEEN)


def _estimates_of(trial: AskedTrial, worst: float) -> Sequence[ScoreEstimate]:
    if trial.failed:
        return (ScoreEstimate(worst),)
    if trial.estimates or trial.score is None:
        return trial.estimates
    return (ScoreEstimate(trial.score),)


def running_points(trials: Sequence[AskedTrial]) -> list[Point]:
    """Return the points whose trials are all still running, in the order of proposal, without duplicates."""
    ended = {_point(trial) for trial in trials if trial.failed or trial.abandoned or trial.score is not None}
    return list(dict.fromkeys(point for point in map(_point, trials) if point not in ended))


def _point(trial: AskedTrial) -> Point:
    return tuple(trial.point.tolist())


def _best_and_latest(scores: Sequence[float], limit: int) -> list[int]:
    half = limit // 2
    best = set(sorted(range(len(scores)), key=lambda index: scores[index], reverse=True)[:half])
    latest = [index for index in range(len(scores)) if index not in best][-half:]
    return sorted(best.union(latest))
