"""Choice of a Gaussian process for the scores: noise, and one length scale or one per axis."""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.exceptions import ConvergenceWarning  # type: ignore[import-untyped]  # has no types
from sklearn.gaussian_process import GaussianProcessRegressor  # type: ignore[import-untyped]
from sklearn.gaussian_process.kernels import Matern  # type: ignore[import-untyped]

LENGTH_SCALES = (0.05, 10.0)
"""Bounds of the length scales on the unit cube: distances over which scores are assumed to be similar."""
NOISE_SHARES = (1.0, 0.03, 0.001)
"""Noise variances to try, as shares of the assumed noise variance."""
LEAST_ALPHA = 1e-6
"""Minimum noise variance. Without noise, the process is ill-conditioned where two points are close."""
# Minimum gain in log likelihood (nats) for a more complex model. Without these costs, a few scores look free
# of noise and each axis gets its own length scale by chance, which was no better than random search.
AXIS_COST = 3.0
"""Cost of each length scale after the first, in nats. With 1.5, noise made the search worse again."""
LESS_NOISE_COST = 2.0
"""Cost of assuming less noise, in nats."""

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Surrogate:
    """Settings of a Gaussian process on the unit cube, for scores with mean 0 and standard deviation 1."""

    kernel: Matern
    """Kernel with fitted length scales, one for all axes or one per axis; they may be fitted again."""
    alpha: float
    """Variance of the noise."""


def fit_surrogate(points: Array, scores: Array, *, alpha: float) -> Surrogate:
    """Fit Gaussian processes and return the one with the highest log marginal likelihood minus its costs.

    Args:
        points: Points on the unit cube, (count, dimensions).
        scores: Their scores on any scale, (count,).
        alpha: Assumed noise variance, as a share of the variance of the scores. The result may have less.
    """
    return max(_fitted(points, scores, alpha), key=lambda fit: fit[0])[1]


def _fitted(points: Array, scores: Array, alpha: float) -> Iterator[tuple[float, Surrogate]]:
    dimensions = points.shape[1]
    for noise in dict.fromkeys(max(alpha * share, LEAST_ALPHA) for share in NOISE_SHARES):
        for axes in dict.fromkeys((1, dimensions)):
            evidence, lengths = _fit(points, scores, np.ones(axes), noise)
            cost = AXIS_COST * (axes - 1) + (LESS_NOISE_COST if noise < alpha else 0.0)
            yield evidence - cost, Surrogate(_matern(lengths), noise)


def _fit(points: Array, scores: Array, lengths: Array, alpha: float) -> tuple[float, Array]:
    process = GaussianProcessRegressor(_matern(lengths), alpha=alpha, normalize_y=True)
    with warnings.catch_warnings():
        # A length scale at its bound is a valid result: flat scores and irrelevant axes lead to it.
        warnings.simplefilter("ignore", ConvergenceWarning)
        process.fit(points, scores)
    return process.log_marginal_likelihood_value_, np.atleast_1d(process.kernel_.length_scale)


def _matern(lengths: Array) -> Matern:
    return Matern(nu=2.5, length_scale=lengths, length_scale_bounds=LENGTH_SCALES)
