"""Expected gain of further trials, by the scores that a model considers possible."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from hpo.search.design import quasi_random_points
from hpo.space.space import Space

Array = npt.NDArray[np.float64]

TRIALS = 10
"""Number of further trials whose gain is estimated."""
_SPREAD_POINTS = 256
"""Candidates spread over the whole space."""
_NEAR_POINTS = 64
"""Candidates near the best point."""
_NEAR = 0.1
"""Standard deviation of their distance from it, per axis of the unit cube."""
SAMPLES = 256
"""Number of possible scores of every candidate."""


def expected_gain(possible: Callable[[Array], Array], best: Array, *, space: Space, seed: int) -> float:
    """Return by how much ``TRIALS`` further trials are expected to exceed the best configuration so far.

    The trials with the largest joint gain are chosen one by one out of candidates. The score without noise
    counts: a configuration is only better if it is so on average over seeds.

    Args:
        possible: Draws scores without noise that a model considers possible at points (count, dimensions),
            together for all points: (count, samples).
        best: Point of the highest expected score so far, (dimensions,).
        space: Space of the search.
        seed: Seed of the candidates.
    """
    candidates = np.vstack([best, space.as_tried(_candidates(best, seed))])
    return _joint_gain(possible(candidates))


def _candidates(best: Array, seed: int) -> Array:
    spread = np.array(quasi_random_points(len(best), seed=seed, count=_SPREAD_POINTS))
    random = np.random.default_rng(seed)
    near = best + random.normal(scale=_NEAR, size=(_NEAR_POINTS, len(best)))
    return np.vstack([spread, near.clip(0.0, 1.0)])


def _joint_gain(possible: Array) -> float:
    """Return the mean gain of the best of ``TRIALS`` candidates over the first one.

    Args:
        possible: Scores of candidates, (candidates, samples); the first is the best point so far.
    """
    reached = possible[0]
    for _ in range(TRIALS):
        means = np.maximum(possible, reached).mean(axis=1)
        reached = np.maximum(possible[np.argmax(means)], reached)
    return float((reached - possible[0]).mean())
