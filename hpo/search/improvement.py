"""Expected improvement over points whose scores are noisy or not known yet."""

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch
from botorch.utils.sampling import draw_sobol_normal_samples
from linear_operator.utils.cholesky import psd_safe_cholesky

from hpo.search.noisy_process import NoisyProcess, predicted, quiet

Array = npt.NDArray[np.float64]

_DRAWS = 64
_ROOT_2PI = math.sqrt(2 * math.pi)
_LEAST_VARIANCE = 1e-12
"""Minimum variance of a candidate, whose score may be known, as a share of the largest variance."""
_LOWEST = -1e5
"""Standard deviations below the best at which an improvement is as good as none; beyond, numbers cancel."""
_RIVALS = 20
"""Number of observed points, those of the highest expected scores, that may be the best one. Drawing all of
them together takes time cubic in their number."""


@quiet()
def noisy_improvement(process: NoisyProcess, *, running: Array, seed: int) -> Callable[[Array], Array]:
    """Return a function from candidates (count, dimensions) to the logarithms of their expected improvement.

    The improvement is that of the score without noise over the best of the observed and running points, whose
    scores without noise are drawn together. For each draw the expectation is exact. Letham et al.,
    Constrained Bayesian Optimization with Noisy Experiments, 2019; its logarithm as in Ament et al.,
    Unexpected Improvements to Expected Improvement for Bayesian Optimization, 2023. This is BoTorch's
    ``qLogNoisyExpectedImprovement``, which draws all of them anew with every candidate instead, in ever more
    time the more trials run.

    Args:
        process: A fitted process.
        running: Points of running trials, (count, dimensions).
        seed: Seed of the draws.
    """
    points = process.points
    means, _ = predicted(process, points)
    likely_best = points[np.argsort(-means, kind="stable")[:_RIVALS]]
    rivals = np.vstack([likely_best, running]) if len(running) else likely_best
    normal = draw_sobol_normal_samples(len(rivals), _DRAWS, dtype=torch.double, seed=seed)

    @quiet()
    def improvement(candidates: Array) -> Array:
        with torch.no_grad():
            means, covariance, unit = _joint(process, np.vstack([rivals, candidates]))
            count = len(rivals)
            root = psd_safe_cholesky(covariance[:count, :count])
            best = (means[:count] + normal @ root.T).amax(dim=1)
            # What the draws say about the candidates, (rivals, candidates).
            known = torch.linalg.solve_triangular(root, covariance[:count, count:], upper=False)
            variances = covariance.diagonal()[count:] - known.square().sum(dim=0)
            deviations = variances.clamp_min(_LEAST_VARIANCE).sqrt()
            steps = (means[count:] + normal @ known - best[:, None]) / deviations
            gains: Array = (_log_gain(steps) + deviations.log()).logsumexp(dim=0).numpy()
        return gains + math.log(unit * process.unit / _DRAWS)

    return improvement


def _joint(process: NoisyProcess, points: Array) -> tuple[torch.Tensor, torch.Tensor, float]:
    """Return means (count,), covariances (count, count) of scores at points, without noise, and their unit.

    The unit is the largest standard deviation, so that the largest variance is 1.
    """
    distribution = process.posterior(points).distribution
    covariance = distribution.covariance_matrix
    unit = covariance.diagonal().amax().sqrt()
    return distribution.mean / unit, covariance / unit.square(), float(unit)


def _log_gain(steps: torch.Tensor) -> torch.Tensor:
    """Return the logarithm of the mean of ``max(0, steps + z)`` over standard normal ``z``."""
    above = (torch.exp(-steps.square() / 2) / _ROOT_2PI + steps * torch.special.ndtr(steps)).log()
    low = steps.clamp(_LOWEST, 0.0)
    ratio = torch.special.erfcx(-low / math.sqrt(2)) * (_ROOT_2PI / 2)  # ndtr over the density
    below = -low.square() / 2 - math.log(_ROOT_2PI) + torch.log1p(low * ratio)
    return torch.where(steps > 0, above, below)
