"""Gaussian process for noisy scores, by BoTorch."""

import math
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from botorch.exceptions.warnings import InputDataWarning
from botorch.fit import fit_gpytorch_mll
from botorch.models.multitask import MultiTaskGP
from botorch.posteriors.gpytorch import GPyTorchPosterior
from botorch.sampling.normal import IIDNormalSampler
from botorch.utils.sampling import draw_sobol_normal_samples
from gpytorch.constraints import GreaterThan
from gpytorch.mlls import ExactMarginalLogLikelihood
from gpytorch.priors import LogNormalPrior
from linear_operator.utils.cholesky import psd_safe_cholesky
from linear_operator.utils.warnings import NumericalWarning
from torch.sparse import check_sparse_tensor_invariants

from hpo.search.likelihood import negative_likelihood
from hpo.search.observations import Numbers, Observations, unit_of
from hpo.search.prior_means import FidelityMean, RelatedMean
from hpo.search.training_noise import TrainingNoise

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
_OWN_VARIANCE = 0.1
"""Variance that each fidelity has for itself at the beginning of a fit."""
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
    """Silence what BoTorch warns of where scores are equal or points close together; it handles both.

    PyTorch wants to be told whether to check the sparse matrices of the fidelities.
    """
    with warnings.catch_warnings(), check_sparse_tensor_invariants(False):  # type: ignore[no-untyped-call]
        warnings.simplefilter("ignore", InputDataWarning)
        warnings.simplefilter("ignore", NumericalWarning)
        yield


@dataclass(frozen=True, slots=True)
class NoisyProcess:
    """A fitted process, which predicts scores at the highest fidelity that was observed."""

    model: MultiTaskGP
    """Process of standardised scores, whose last input is the fidelity."""
    observed: Observations
    """Observations that it was fitted to."""
    mean: float
    """Mean of the scores of the highest fidelity."""
    unit: float
    """Unit in which the model sees them."""

    @property
    def points(self) -> Array:
        """Observed points, without duplicates, (count, dimensions)."""
        return np.unique(self.observed.points, axis=0)

    @property
    def observed_inputs(self) -> torch.Tensor:
        """Inputs that the model was fitted to, (count, dimensions + 1)."""
        return _inputs(self.observed.points, self.observed.fidelities)

    def inputs(self, points: Array) -> torch.Tensor:
        """Return the inputs of the model to predict scores at points, (count, dimensions + 1)."""
        return _inputs(points, np.zeros(len(points), dtype=np.int64))

    def posterior(self, points: Array) -> GPyTorchPosterior:
        """Return the distribution of the standardised scores without noise at points, together."""
        posterior = self.model.posterior(self.inputs(points))
        assert isinstance(posterior, GPyTorchPosterior)
        return posterior


@_quiet()
def fit_process(observed: Observations, *, noise: float, prior: NoisyProcess | None = None) -> NoisyProcess:
    """Fit a process with BoTorch's priors of the length scales and of what the fidelities have in common.

    Each fidelity has noise, mean and scale of its own. So scores of early epochs, which are lower, count as
    far as they agree with later ones, and say as much as their noise lets them.

    Args:
        observed: At least two scores of each fidelity.
        prior: Process of scores with other data, settings or code, whose shape these are expected to have.
        noise: Assumed standard deviation of the score between seeds. The scores may teach another one: a
            factor of e in the variance costs as much as one standard deviation of a normal distribution.
    """
    fidelities = int(observed.fidelities.max()) + 1
    of_each = [observed.scores[observed.fidelities == fidelity] for fidelity in range(fidelities)]
    means = np.array([scores.mean() for scores in of_each])
    units = np.array([unit_of(float(scores.std(ddof=1)), noise=noise) for scores in of_each])
    expected = float(np.clip((noise / units[0]) ** 2, 2 * LEAST_NOISE, MOST_NOISE))
    targets = (observed.scores - means[observed.fidelities]) / units[observed.fidelities]
    axis = observed.points.shape[1]
    model = MultiTaskGP(
        _inputs(observed.points, observed.fidelities),
        _tensor(targets[:, np.newaxis]),
        task_feature=axis,
        output_tasks=[0],
        likelihood=TrainingNoise(
            observed.fidelities,
            observed.trainings,
            prior=_noise_prior(expected),
            constraint=GreaterThan(LEAST_NOISE, transform=None, initial_value=expected),
        ),
        mean_module=RelatedMean(prior, fidelities) if prior else FidelityMean(fidelities),
        outcome_transform=None,
    )
    _begin_alike(model, fidelities)
    likelihood = ExactMarginalLogLikelihood(model.likelihood, model)
    options = {"ftol": FIT_TOLERANCE}
    with torch.random.fork_rng(devices=[]):  # a fit that fails begins again at random
        torch.manual_seed(0)
        fit_gpytorch_mll(
            likelihood, closure=negative_likelihood(likelihood), optimizer_kwargs={"options": options}
        )
    return NoisyProcess(model, observed, float(means[0]), float(units[0]))


def _noise_prior(expected: float) -> LogNormalPrior:
    """Return the prior of a noise variance whose most likely value is the expected one."""
    return LogNormalPrior(loc=math.log(expected) + NOISE_SPREAD**2, scale=NOISE_SPREAD)


def _begin_alike(model: MultiTaskGP, fidelities: int) -> None:
    """Begin the fit with fidelities that mostly agree: BoTorch's beginning is drawn anew each time."""
    kernel: Any = model.covar_module.kernels[1]
    kernel.covar_factor = torch.ones(fidelities, fidelities) + torch.eye(fidelities)
    kernel.var = torch.full((fidelities,), _OWN_VARIANCE)


@_quiet()
def predicted(process: NoisyProcess, points: Array) -> tuple[Array, Array]:
    """Return mean and standard deviation of the score without noise at points, (count,) each."""
    with torch.no_grad():
        posterior = process.posterior(points)
        means, deviations = posterior.mean.squeeze(-1), posterior.variance.sqrt().squeeze(-1)
    return process.mean + process.unit * means.numpy(), process.unit * deviations.numpy()


def noise_between_seeds(process: NoisyProcess) -> float:
    """Return the standard deviation of the score between seeds that the process has learnt."""
    likelihood: Any = process.model.likelihood
    return float(likelihood.noise.flatten()[0].sqrt().item()) * process.unit


def best_observed(process: NoisyProcess) -> Array:
    """Return the observed point with the highest expected score, (dimensions,)."""
    points = process.points
    means, _ = predicted(process, points)
    best: Array = points[np.argmax(means)]
    return best


@_quiet()
def possible_scores(process: NoisyProcess, points: Array, *, samples: int, seed: int) -> Array:
    """Draw the scores without noise of all points together, (points, samples)."""
    with torch.no_grad():
        sampler = IIDNormalSampler(torch.Size([samples]), seed=seed)
        draws: Array = sampler(process.posterior(points)).squeeze(-1).T.numpy()
    return process.mean + process.unit * draws


@_quiet()
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

    @_quiet()
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


def _inputs(points: Array, fidelities: Numbers) -> torch.Tensor:
    return _tensor(np.column_stack([points, fidelities]))


def _tensor(values: Array) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(values)).double()
