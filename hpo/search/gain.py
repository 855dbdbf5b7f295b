"""Expected gain of further trials, by a Gaussian process of the scores."""

import numpy as np
from sklearn.gaussian_process import GaussianProcessRegressor  # type: ignore[import-untyped]  # has no types
from sklearn.gaussian_process.kernels import Kernel  # type: ignore[import-untyped]

from hpo.search.design import quasi_random_points
from hpo.search.surrogate import Array
from hpo.space.space import Space

TRIALS = 10
"""Number of further trials whose gain is estimated."""
_SPREAD_POINTS = 256
"""Candidates spread over the whole space."""
_NEAR_POINTS = 64
"""Candidates near the best point."""
_NEAR = 0.1
"""Standard deviation of their distance from it, per axis of the unit cube."""
_SAMPLES = 256


def expected_gain(
    kernel: Kernel, alpha: float, points: Array, scores: Array, *, space: Space, seed: int
) -> float:
    """Return by how much ``TRIALS`` further trials are expected to exceed the best configuration so far.

    The functions that the process considers possible are sampled together at candidates, out of which the
    trials with the largest joint gain are chosen one by one. The score without noise counts: a configuration
    is only better if it is so on average over seeds.

    Args:
        kernel: Fitted kernel of the process.
        alpha: Variance of its noise, as a share of the variance of the scores.
        points: Points on the unit cube that were tried, (count, dimensions).
        scores: Their scores, (count,).
        space: Space of the search.
        seed: Seed of the candidates and samples.
    """
    process = GaussianProcessRegressor(kernel, alpha=alpha, optimizer=None, normalize_y=True)
    process.fit(points, scores)
    best = points[np.argmax(process.predict(points))]
    candidates = np.vstack([best, space.as_tried(_candidates(best, seed))])
    possible = process.sample_y(candidates, n_samples=_SAMPLES, random_state=seed)
    return _joint_gain(possible)


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
