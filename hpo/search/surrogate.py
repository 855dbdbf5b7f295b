"""Which Gaussian process explains the scores: how noisy they are, and whether all axes matter alike."""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.exceptions import ConvergenceWarning  # type: ignore[import-untyped]  # has no types
from sklearn.gaussian_process import GaussianProcessRegressor  # type: ignore[import-untyped]
from sklearn.gaussian_process.kernels import Matern  # type: ignore[import-untyped]

LENGTH_SCALES = (0.05, 10.0)
"""Shortest and longest distance on the unit cube over which the model believes scores to be alike."""
QUIETER = (1.0, 0.03, 0.001)
"""Noise that is tried, as shares of the variance that noise is thought to have."""
LEAST_ALPHA = 1e-6
"""A process without any noise cannot be computed where two points lie close."""
# Nats by which the scores must speak for a model that says more. Without them few scores look free of noise,
# and each axis gets a length of its own by chance: with noise that was no better than random search.
AXIS_COST = 3.0
"""For each length scale beyond the first; with 1.5, noise made the search worse again."""
QUIET_COST = 2.0
"""For less noise than thought."""

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Surrogate:
    """A Gaussian process over the unit cube, for scores scaled to mean 0 and standard deviation 1."""

    kernel: Matern
    """With one length scale, or one for each axis, as they were fitted; they may be fitted again."""
    alpha: float
    """Variance of the noise."""


def likeliest(points: Array, scores: Array, *, alpha: float) -> Surrogate:
    """The process with the highest marginal likelihood, less what a more particular one must pay.

    Args:
        points: (count, dimensions), on the unit cube.
        scores: (count,), on any scale.
        alpha: Variance that their noise is thought to have, as a share of theirs. It may turn out to be less.
    """
    return max(_fitted(points, scores, alpha), key=lambda fit: fit[0])[1]


def _fitted(points: Array, scores: Array, alpha: float) -> Iterator[tuple[float, Surrogate]]:
    dimensions = points.shape[1]
    for noise in dict.fromkeys(max(alpha * share, LEAST_ALPHA) for share in QUIETER):
        for axes in dict.fromkeys((1, dimensions)):
            evidence, lengths = _fit(points, scores, np.ones(axes), noise)
            cost = AXIS_COST * (axes - 1) + (QUIET_COST if noise < alpha else 0.0)
            yield evidence - cost, Surrogate(_matern(lengths), noise)


def _fit(points: Array, scores: Array, lengths: Array, alpha: float) -> tuple[float, Array]:
    process = GaussianProcessRegressor(_matern(lengths), alpha=alpha, normalize_y=True)
    with warnings.catch_warnings():
        # A length at its bound, which flat scores and idle axes ask for, is an answer.
        warnings.simplefilter("ignore", ConvergenceWarning)
        process.fit(points, scores)
    return process.log_marginal_likelihood_value_, np.atleast_1d(process.kernel_.length_scale)


def _matern(lengths: Array) -> Matern:
    return Matern(nu=2.5, length_scale=lengths, length_scale_bounds=LENGTH_SCALES)
