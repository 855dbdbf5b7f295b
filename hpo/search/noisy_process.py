"""Gaussian process for noisy scores, by BoTorch."""

import math
import warnings
from collections.abc import Iterator
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
from gpytorch.constraints import GreaterThan
from gpytorch.mlls import ExactMarginalLogLikelihood
from gpytorch.priors import LogNormalPrior
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
FIT_WORK = 40_000
"""Number of steps times number of scores after which a fit ends in any case. With many scores, fits of real
searches take 25 to 100 steps; of scores that say nothing twice as many, to shapes that are ever narrower."""
SIGNAL, SIGNAL_SPREAD = 0.5, 0.7
"""Most likely share of the variance of the scores that is not noise, before any score, and the standard
deviation of its logarithm."""
_OWN_VARIANCE = 0.1
"""Part of it that each fidelity has for itself at the beginning of a fit."""


@contextmanager
def quiet() -> Iterator[None]:
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


@quiet()
def fit_process(observed: Observations, *, noise: float, prior: NoisyProcess | None = None) -> NoisyProcess:
    """Fit a process with BoTorch's priors of the length scales and of what the fidelities have in common.

    Each fidelity has noise, mean and scale of its own. So scores of early epochs, which are lower, count as
    far as they agree with later ones, and say as much as their noise lets them. A training's noise is
    correlated over its fidelities.

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
    model = unfitted_model(observed, targets, noise=expected, prior=prior)
    likelihood = ExactMarginalLogLikelihood(model.likelihood, model)
    options = {"ftol": FIT_TOLERANCE, "maxiter": max(1, FIT_WORK // len(targets))}
    with torch.random.fork_rng(devices=[]):  # a fit that fails begins again at random
        torch.manual_seed(0)
        fit_gpytorch_mll(
            likelihood, closure=negative_likelihood(likelihood), optimizer_kwargs={"options": options}
        )
    return NoisyProcess(model, observed, float(means[0]), float(units[0]))


def unfitted_model(
    observed: Observations, targets: Array, *, noise: float, prior: NoisyProcess | None = None
) -> MultiTaskGP:
    """Return the model of standardised scores, before a fit.

    Args:
        observed: What was observed.
        targets: Its scores, those of each fidelity standardised, (count,).
        noise: Most likely variance of their noise.
        prior: See ``fit_process``.
    """
    fidelities, axis = int(observed.fidelities.max()) + 1, observed.points.shape[1]
    model = MultiTaskGP(
        _inputs(observed.points, observed.fidelities),
        _tensor(targets[:, np.newaxis]),
        task_feature=axis,
        output_tasks=[0],
        likelihood=TrainingNoise(
            observed.fidelities,
            observed.trainings,
            prior=_log_normal(noise, NOISE_SPREAD),
            constraint=GreaterThan(LEAST_NOISE, transform=None, initial_value=noise),
        ),
        mean_module=RelatedMean(prior, fidelities) if prior else FidelityMean(fidelities),
        outcome_transform=None,
    )
    _learn_scale(model, fidelities)
    return model


def _log_normal(mode: float, spread: float) -> LogNormalPrior:
    """Return a prior by its most likely value and the standard deviation of the logarithm."""
    return LogNormalPrior(loc=math.log(mode) + spread**2, scale=spread)


def _learn_scale(model: MultiTaskGP, fidelities: int) -> None:
    """Learn how much of the scores' variance the points explain.

    BoTorch expects them to explain all of it, and fits what is noise with shapes as narrow as a point. The
    fit begins with fidelities that mostly agree, where BoTorch draws its beginning anew each time.
    """
    kernel: Any = model.covar_module.kernels[1]
    kernel.unit_scale_for_target = False
    kernel.covar_factor = torch.ones(fidelities, fidelities) + torch.eye(fidelities)
    kernel.var = torch.full((fidelities,), _OWN_VARIANCE)
    _set_scale(kernel, torch.tensor(SIGNAL))
    prior = _log_normal(SIGNAL, SIGNAL_SPREAD)
    kernel.register_prior("scale_prior", prior, lambda kernel: kernel.covar_matrix[0, 0], _set_scale)


def _set_scale(kernel: Any, variance: torch.Tensor) -> None:
    """Set the variance of the highest fidelity and scale that of the others with it."""
    factor = variance / kernel.covar_matrix[0, 0].detach()
    kernel.covar_factor = kernel.covar_factor.detach() * factor.sqrt()
    kernel.var = kernel.var.detach() * factor


@quiet()
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


@quiet()
def possible_scores(process: NoisyProcess, points: Array, *, samples: int, seed: int) -> Array:
    """Draw the scores without noise of all points together, (points, samples)."""
    with torch.no_grad():
        sampler = IIDNormalSampler(torch.Size([samples]), seed=seed)
        draws: Array = sampler(process.posterior(points)).squeeze(-1).T.numpy()
    return process.mean + process.unit * draws


def _inputs(points: Array, fidelities: Numbers) -> torch.Tensor:
    return _tensor(np.column_stack([points, fidelities]))


def _tensor(values: Array) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(values)).double()
