"""Selection of the observations that a model is fitted to."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

import numpy as np
import numpy.typing as npt

from hpo.search.fidelities import SeedCurve, early_epochs
from hpo.search.searcher import EXPECTED, AskedTrial

Point = tuple[float, ...]
"""A point on the unit cube."""
Row = tuple[int, float]
"""Number of a training and a score that it reached."""
Array = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.int64]

LEAST_SPREAD = 1e-8
"""Standard deviation below which scores count as equal: they differ by rounding only."""
LEAST_RELATED, RELATED_SEEN = 5, 100
"""Minimum and maximum number of related trials to use."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Observations:
    """Scores at points; a point may appear several times, once for each seed and fidelity."""

    points: Array
    """Points on the unit cube, (count, dimensions)."""
    scores: Array
    """Scores, (count,)."""
    fidelities: Numbers
    """Fidelity of each score, without gaps, (count,): 0 is the highest one, which the others tell about."""
    trainings: Numbers
    """Number of the training that each score comes from, (count,)."""
    reach_end: bool = True
    """Whether the highest fidelity is the end of the training."""

    @classmethod
    def of_whole(cls, points: Array, scores: Array) -> "Observations":
        """Return the scores of whole trainings, one of each point."""
        count = len(scores)
        return cls(
            points=points,
            scores=scores,
            fidelities=np.zeros(count, dtype=np.int64),
            trainings=np.arange(count),
        )

    def equal(self, other: "Observations") -> bool:
        """Return whether both say the same."""
        pairs = (
            (self.points, other.points),
            (self.scores, other.scores),
            (self.fidelities, other.fidelities),
            (self.trainings, other.trainings),
        )
        return self.reach_end == other.reach_end and all(np.array_equal(*pair) for pair in pairs)


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
    """Return what is known about the trials, one row for each seed of a point and each fidelity it reached.

    A trial that was stopped or is running has rows of early fidelities only. A failed one gets the worst
    score of each. As long as fewer than two trials have ended, early fidelities take the place of the end.

    Args:
        trials: Trials in the order in which they were proposed; at least two have a score.
        limit: Maximum number of trainings to use: half of them of the best whole trials, the others of the
            latest ones.
    """
    used = _best_whole_and_latest([trial for trial in trials if _is_known(trial)], limit)
    trainings = [(trial.point, curve) for trial in used for curve in _curves(trial)]
    curves = [curve for _, curve in trainings]
    epochs = [*reversed(early_epochs(curves)), EXPECTED]
    telling = [rows for rows in (_early_rows(curves, epoch) for epoch in epochs) if _differ(rows)]
    ends = [(number, curve.end) for number, curve in enumerate(curves) if curve.end is not None]
    reach_end = len(ends) >= 2
    if not (reach_end or telling):
        return replace(Observations.of_whole(*_whatever_epochs(used)), reach_end=False)
    failed = [trial.point for trial in used if trial.failed]
    rows = [
        (*row, fidelity)
        for fidelity, of_fidelity in enumerate([ends, *telling] if reach_end else telling)
        for row in _with_failed(of_fidelity, range(len(curves), len(curves) + len(failed)))
    ]
    points = np.array([*(point for point, _ in trainings), *failed])
    numbers = np.array([number for number, _, _ in rows])
    return Observations(
        points=points[numbers],
        scores=np.array([score for _, score, _ in rows]),
        fidelities=np.array([fidelity for _, _, fidelity in rows]),
        trainings=numbers,
        reach_end=reach_end,
    )


def related_observations(related: Sequence[AskedTrial]) -> Observations | None:
    """Return what related trials tell; None if these are too few to show the shape of the scores."""
    if sum(trial.score is not None for trial in related) < LEAST_RELATED:
        return None
    return observations(related, limit=RELATED_SEEN)


def _is_known(trial: AskedTrial) -> bool:
    return trial.failed or trial.score is not None or any(curve.scores for curve in trial.curves)


def _curves(trial: AskedTrial) -> Sequence[SeedCurve]:
    """Return what each of its trainings tells; nothing if it failed."""
    if trial.curves or trial.score is None:
        return trial.curves
    return [SeedCurve({}, end=trial.score)]


def _early_rows(curves: Sequence[SeedCurve], epoch: int) -> list[Row]:
    """Return the best score up to an epoch of each training that reached it."""
    reached = [(number, curve.best_until(epoch)) for number, curve in enumerate(curves)]
    return [(number, score) for number, score in reached if score is not None]


def _whatever_epochs(trials: Sequence[AskedTrial]) -> tuple[Array, Array]:
    """Return points and scores of trials, failed ones with the worst, where none can be compared."""
    scored = [(trial.point, trial.score) for trial in trials if trial.score is not None]
    failed = [trial.point for trial in trials if trial.failed]
    worst = min(score for _, score in scored)
    points = [*(point for point, _ in scored), *failed]
    return np.array(points), np.array([*(score for _, score in scored), *(worst for _ in failed)])


def _with_failed(rows: Sequence[Row], failed: Iterable[int]) -> list[Row]:
    """Return the rows of a fidelity with the trainings that failed, which get the worst score."""
    worst = min(score for _, score in rows)
    return [*rows, *((number, worst) for number in failed)]


def _differ(rows: Sequence[Row]) -> bool:
    """Return whether there are several scores, and not all of them equal."""
    scores = [score for _, score in rows]
    return len(scores) >= 2 and max(scores) - min(scores) >= LEAST_SPREAD


def running_points(trials: Sequence[AskedTrial]) -> list[Point]:
    """Return the points whose trials are all still running, in the order of proposal, without duplicates."""
    ended = {_point(trial) for trial in trials if trial.failed or trial.abandoned or trial.score is not None}
    return list(dict.fromkeys(point for point in map(_point, trials) if point not in ended))


def _point(trial: AskedTrial) -> Point:
    return tuple(trial.point.tolist())


def _best_whole_and_latest(trials: Sequence[AskedTrial], limit: int) -> list[AskedTrial]:
    """Return the trials to use, in their order: the winner of a search is one of the best whole ones.

    A trial with several seeds takes the place of as many.
    """
    trainings = [max(1, len(_curves(trial))) for trial in trials]
    ends = {index: max(found) for index, trial in enumerate(trials) if (found := _ends(_curves(trial)))}
    best = _within(limit // 2, sorted(ends, key=lambda index: -ends[index]), trainings)
    others = [index for index in reversed(range(len(trials))) if index not in best]
    latest = _within(limit - sum(trainings[index] for index in best), others, trainings)
    return [trials[index] for index in sorted([*best, *latest])]


def _within(limit: int, order: Sequence[int], trainings: Sequence[int]) -> list[int]:
    """Return the first trials of an order, until they have ``limit`` trainings together."""
    before = accumulate((trainings[index] for index in order), initial=0)
    return [index for index, count in zip(order, before, strict=False) if count < limit]


def _ends(curves: Sequence[SeedCurve]) -> list[float]:
    return [curve.end for curve in curves if curve.end is not None]


def _best_and_latest(scores: Sequence[float], limit: int) -> list[int]:
    half = limit // 2
    best = set(sorted(range(len(scores)), key=lambda index: scores[index], reverse=True)[:half])
    latest = [index for index in range(len(scores)) if index not in best][-half:]
    return sorted(best.union(latest))
