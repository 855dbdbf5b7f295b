"""What a model is told of the trials so far."""

from collections.abc import Sequence

import numpy as np

from hpo.search.searcher import AskedTrial

Point = tuple[float, ...]
"""A point of the unit cube."""


def settled_scores(trials: Sequence[AskedTrial], *, limit: int) -> dict[Point, float]:
    """A score for each point whose trials have ended, in the order they were asked.

    A failed trial counts with the worst score; a point that was tried several times with the mean.

    Args:
        trials: In the order they were asked; at least one has a score.
        limit: How many trials to use at most: the best and the latest of the others, half and half.
    """
    worst = min(trial.score for trial in trials if trial.score is not None)
    settled = [
        (_point(trial), worst if trial.score is None else trial.score)
        for trial in trials
        if trial.failed or trial.score is not None
    ]
    told: dict[Point, list[float]] = {}
    for index in _best_and_latest([score for _, score in settled], limit):
        point, score = settled[index]
        told.setdefault(point, []).append(score)
    return {point: float(np.mean(scores)) for point, scores in told.items()}


def running_points(trials: Sequence[AskedTrial]) -> list[Point]:
    """Points whose trials have all yet to end, in the order they were asked, each once."""
    ended = {_point(trial) for trial in trials if trial.failed or trial.score is not None}
    return list(dict.fromkeys(point for point in map(_point, trials) if point not in ended))


def _point(trial: AskedTrial) -> Point:
    return tuple(trial.point.tolist())


def _best_and_latest(scores: Sequence[float], limit: int) -> list[int]:
    half = limit // 2
    best = set(sorted(range(len(scores)), key=lambda index: scores[index], reverse=True)[:half])
    latest = [index for index in range(len(scores)) if index not in best][-half:]
    return sorted(best.union(latest))
