"""Gaussian process for noisy scores, by BoTorch."""

import math
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch
from botorch.exceptions.warnings import InputDataWarning
from botorch.fit import fit_gpytorch_mll
from botorch.models import SingleTaskGP
from botorch.models.transforms import Standardize
from botorch.posteriors.gpytorch import GPyTorchPosterior
from botorch.sampling.normal import IIDNormalSampler
from botorch.utils.sampling import draw_sobol_normal_samples
from gpytorch.constraints import GreaterThan
from gpytorch.likelihoods import FixedNoiseGaussianLikelihood
from gpytorch.mlls import ExactMarginalLogLikelihood
from gpytorch.priors import LogNormalPrior
from linear_operator.utils.cholesky import psd_safe_cholesky
from linear_operator.utils.warnings import NumericalWarning

from hpo.search.observations import LEAST_SPREAD, Observations, unit_of
from hpo.search.related import RelatedMean

Array = npt.NDArray[np.float64]

LEAST_NOISE = 1e-5
"""Minimum variance of the noise, as a share of the variance of the scores."""
MOST_NOISE = 1.0
"""Maximum of the assumed variance of the noise, as a share of the variance of the scores."""
NOISE_SPREAD = 1.0
"""Standard deviation of the logarithm of the noise variance around the assumed one, before any score."""
FIT_TOLERANCE = 1e-5
"""Relative change of the likelihood at which a fit ends. SciPy's 2e-9 takes twice as long, for length scales
that differ by a few percent where the scores say nothing about them."""
_DRAWS = 64
_ROOT_2PI = math.sqrt(2 * math.pi)
_LEAST_VARIANCE = 1e-12
"""Minimum variance of a candidate, whose score may be known, as a share of the largest variance."""
_LOWEST = -1e5
"""Standard deviations below the best at which an improvement is as good as none; beyond, numbers cancel."""
_RIVALS = 20
"""Number of observed points, those of the highest expected scores, that may be the best one. Drawing all of
them together takes time cubic in their number."""


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence what BoTorch warns of where scores are equal or points close together; it handles both."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InputDataWarning)
        warnings.simplefilter("ignore", NumericalWarning)
        yield


@_quiet()
def fit_process(observed: Observations, *, noise: float, prior: SingleTaskGP | None = None) -> SingleTaskGP:
    """Fit a process with BoTorch's priors of the length scales.

    Args:
        observed: At least two scores.
        prior: Process of scores with other data, settings or code, whose shape these are expected to have.
        noise: Assumed standard deviation of the score between seeds. The scores may teach another one: a
            factor of e in the variance costs as much as one standard deviation of a normal distribution.
    """
    unit = unit_of(float(np.std(observed.scores, ddof=1)), noise=noise)
    expected = float(np.clip((noise / unit) ** 2, 2 * LEAST_NOISE, MOST_NOISE))
    likelihood = FixedNoiseGaussianLikelihood(
        noise=_tensor(observed.variances[:, np.newaxis] / unit**2 + LEAST_NOISE).squeeze(-1),
        learn_additional_noise=True,
        noise_prior=LogNormalPrior(loc=math.log(expected), scale=NOISE_SPREAD),
        noise_constraint=GreaterThan(LEAST_NOISE),
    )
    likelihood.second_noise_covar.initialize(noise=expected)
    model = SingleTaskGP(
        _tensor(observed.points),
        _tensor(observed.scores[:, np.newaxis]),
        likelihood=likelihood,
        outcome_transform=_standardize(observed.scores, unit),
        mean_module=None if prior is None else RelatedMean(prior),
    )
    options = {"ftol": FIT_TOLERANCE}
    fit_gpytorch_mll(
        ExactMarginalLogLikelihood(model.likelihood, model), optimizer_kwargs={"options": options}
    )
    return model


def _standardize(scores: Array, unit: float) -> Standardize:
    """Return BoTorch's transform into ``unit``, which by itself would leave equal scores in units of 1."""
    if np.std(scores, ddof=1) >= LEAST_SPREAD:
        return Standardize(m=1)
    transform = _FixedUnit(m=1)
    # Two scores that have the same mean, and the unit as standard deviation.
    transform(_tensor(np.mean(scores) + unit * np.array([[-1.0], [1.0]]) / math.sqrt(2)))
    return transform.eval()


class _FixedUnit(Standardize):
    """Standardisation that keeps what it has learnt when it is used to train a process."""

    def train(self, mode: bool = True) -> Self:
        """Stay as it is."""
        return super().train(False)


@_quiet()
def predicted(model: SingleTaskGP, points: Array) -> tuple[Array, Array]:
    """Return mean and standard deviation of the score without noise at points, (count,) each."""
    with torch.no_grad():
        posterior = model.posterior(_tensor(points))
        return posterior.mean.squeeze(-1).numpy(), posterior.variance.sqrt().squeeze(-1).numpy()


def noise_between_seeds(model: SingleTaskGP) -> float:
    """Return the standard deviation of the score between seeds that the process has learnt."""
    likelihood: Any = model.likelihood
    scale: Any = model.outcome_transform
    return float(likelihood.second_noise_covar.noise.sqrt().item() * scale.stdvs.item())


def best_observed(model: SingleTaskGP) -> Array:
    """Return the observed point with the highest expected score, (dimensions,)."""
    points: Array = model.train_inputs[0].numpy()
    means, _ = predicted(model, points)
    best: Array = points[np.argmax(means)]
    return best


@_quiet()
def possible_scores(model: SingleTaskGP, points: Array, *, samples: int, seed: int) -> Array:
    """Draw the scores without noise of all points together, (points, samples)."""
    with torch.no_grad():
        sampler = IIDNormalSampler(torch.Size([samples]), seed=seed)
        draws: Array = sampler(model.posterior(_tensor(points))).squeeze(-1).T.numpy()
    return draws


@_quiet()
def noisy_improvement(
    model: SingleTaskGP, observed: Observations, *, running: Array, seed: int
) -> Callable[[Array], Array]:
    """Return a function from candidates (count, dimensions) to the logarithms of their expected improvement.

    The improvement is that of the score without noise over the best of the observed and running points, whose
    scores without noise are drawn together. For each draw the expectation is exact. Letham et al.,
    Constrained Bayesian Optimization with Noisy Experiments, 2019; its logarithm as in Ament et al.,
    Unexpected Improvements to Expected Improvement for Bayesian Optimization, 2023. This is BoTorch's
    ``qLogNoisyExpectedImprovement``, which draws all of them anew with every candidate instead, in ever more
    time the more trials run.

    Args:
        model: A fitted process.
        observed: Observations that it was fitted to.
        running: Points of running trials, (count, dimensions).
        seed: Seed of the draws.
    """
    points = np.unique(observed.points, axis=0)
    means, _ = predicted(model, points)
    likely_best = points[np.argsort(-means, kind="stable")[:_RIVALS]]
    rivals = np.vstack([likely_best, running]) if len(running) else likely_best
    normal = draw_sobol_normal_samples(len(rivals), _DRAWS, dtype=torch.double, seed=seed)

    @_quiet()
    def improvement(candidates: Array) -> Array:
        with torch.no_grad():
            means, covariance, unit = _joint(model, np.vstack([rivals, candidates]))
            count = len(rivals)
            root = psd_safe_cholesky(covariance[:count, :count])
            best = (means[:count] + normal @ root.T).amax(dim=1)
            # What the draws say about the candidates, (rivals, candidates).
            known = torch.linalg.solve_triangular(root, covariance[:count, count:], upper=False)
            variances = covariance.diagonal()[count:] - known.square().sum(dim=0)
            deviations = variances.clamp_min(_LEAST_VARIANCE).sqrt()
            steps = (means[count:] + normal @ known - best[:, None]) / deviations
            gains: Array = (_log_gain(steps) + deviations.log()).logsumexp(dim=0).numpy()
        return gains + math.log(unit / _DRAWS)

    return improvement


def _joint(model: SingleTaskGP, points: Array) -> tuple[torch.Tensor, torch.Tensor, float]:
    """Return means (count,), covariances (count, count) of scores at points, without noise, and their unit.

    The unit is the largest standard deviation, so that the largest variance is 1.
    """
    posterior = model.posterior(_tensor(points))
    assert isinstance(posterior, GPyTorchPosterior)  # standardising the scores keeps it a normal distribution
    means, covariance = posterior.distribution.mean, posterior.distribution.covariance_matrix
    unit = covariance.diagonal().amax().sqrt()
    return means / unit, covariance / unit.square(), float(unit)


def _log_gain(steps: torch.Tensor) -> torch.Tensor:
    """Return the logarithm of the mean of ``max(0, steps + z)`` over standard normal ``z``."""
    above = (torch.exp(-steps.square() / 2) / _ROOT_2PI + steps * torch.special.ndtr(steps)).log()
    low = steps.clamp(_LOWEST, 0.0)
    ratio = torch.special.erfcx(-low / math.sqrt(2)) * (_ROOT_2PI / 2)  # ndtr over the density
    below = -low.square() / 2 - math.log(_ROOT_2PI) + torch.log1p(low * ratio)
    return torch.where(steps > 0, above, below)


def _tensor(values: Array) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(values)).double()
