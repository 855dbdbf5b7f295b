"""Noise of scores that come from the same trainings at several fidelities."""

from typing import Any

import numpy as np
import torch
from botorch.models.utils.priors import BetaPrior
from gpytorch.constraints import GreaterThan, Positive
from gpytorch.likelihoods.hadamard_gaussian_likelihood import HadamardGaussianLikelihood
from gpytorch.priors import Prior
from linear_operator import to_linear_operator
from linear_operator.operators import LinearOperator

from hpo.search.observations import Numbers


class TrainingNoise(HadamardGaussianLikelihood):  # type: ignore[misc]  # GPyTorch has no types
    """Noise of each fidelity, which has something in common over the fidelities of a training.

    A training that is lucky after half of its epochs mostly is at the end. A process that took such scores
    for independent would find what they share in the points, as a shape with dents as narrow as one point.
    The correlation of two fidelities is the product of those of the neighbours between them.

    Args:
        fidelities: Fidelity of each score, (count,).
        trainings: Number of the training that each score comes from, (count,).
        prior: Prior of the noise variance of a fidelity.
        constraint: Bounds of it, with the value at which a fit begins.
    """

    def __init__(
        self, fidelities: Numbers, trainings: Numbers, *, prior: Prior, constraint: GreaterThan
    ) -> None:
        count = int(fidelities.max()) + 1
        super().__init__(num_tasks=count, noise_prior=prior, noise_constraint=constraint)
        ours = torch.from_numpy(trainings)
        self._same = (ours[:, None] == ours).double()
        self._fidelities = torch.nn.functional.one_hot(torch.from_numpy(fidelities), count).double()
        self.register_parameter("raw_distances", torch.nn.Parameter(torch.zeros(count - 1).double()))
        self.register_constraint("raw_distances", Positive(initial_value=torch.full((count - 1,), np.log(2))))
        self.register_prior(
            "neighbours_prior",
            BetaPrior(2.0, 2.0),
            lambda noise: noise.neighbours,
            lambda noise, value: noise.initialize(raw_distances=noise.raw_of(value)),
        )

    @property
    def neighbours(self) -> torch.Tensor:
        """Correlation of the noise of each fidelity with that of the next, (fidelities - 1,)."""
        return torch.exp(-self.raw_distances_constraint.transform(self.raw_distances))

    def raw_of(self, neighbours: torch.Tensor) -> torch.Tensor:
        """Return the parameter that leads to correlations."""
        raw: torch.Tensor = self.raw_distances_constraint.inverse_transform(-neighbours.log())
        return raw

    def covariance(self) -> torch.Tensor:
        """Return the covariance of the noise of all scores, (count, count)."""
        steps = self.raw_distances_constraint.transform(self.raw_distances).cumsum(0)
        places = torch.cat([torch.zeros(1).double(), steps])
        deviations = self.noise.flatten().sqrt()
        of_fidelities = torch.outer(deviations, deviations) * torch.exp(-(places[:, None] - places).abs())
        return self._same * (self._fidelities @ of_fidelities @ self._fidelities.T)

    def _shaped_noise_covar(self, base_shape: torch.Size, *params: Any, **kwargs: Any) -> LinearOperator:
        """Return it in the form in which GPyTorch asks for it; only the observed scores have noise."""
        return to_linear_operator(self.covariance())
