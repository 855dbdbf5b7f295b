"""Prior means of a process: a constant, or the shape of scores with other data, settings or code."""

from typing import TYPE_CHECKING

import torch
from gpytorch.means import Mean
from gpytorch.priors import NormalPrior

if TYPE_CHECKING:
    from hpo.search.noisy_process import NoisyProcess

WEIGHT, WEIGHT_SPREAD = 0.7, 0.7
"""Mean and standard deviation of the weight before any score."""


class FidelityMean(Mean):  # type: ignore[misc]  # GPyTorch has no types
    """Mean function that is a constant for each fidelity.

    Args:
        fidelities: Number of fidelities.
    """

    def __init__(self, fidelities: int) -> None:
        super().__init__()
        self.register_parameter("constants", torch.nn.Parameter(torch.zeros(fidelities, dtype=torch.double)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the mean in standard deviations of the scores; x: (..., points, dimensions + fidelity)."""
        constants: torch.Tensor = self.constants[x[..., -1].long()]
        return constants


class RelatedMean(FidelityMean):
    """Mean function with the shape of related scores, and a weight and a level that are fitted.

    What is good on one data set is mostly good on another, but higher or lower by something that is not
    known. Where the scores disagree with the shape, its weight falls to 0 and leaves a constant mean. Each
    fidelity has a level of its own.

    Args:
        related: Process of the related scores, already fitted.
        fidelities: Number of fidelities of the new scores.
    """

    def __init__(self, related: "NoisyProcess", fidelities: int) -> None:
        super().__init__(fidelities)
        model = related.model.eval()
        # In a list, so that fitting this mean does not fit the related process again.
        self._related, self._observed = [related], related.observed_inputs
        with torch.no_grad():
            prior = model.forward(self._observed)
            noisy = model.likelihood(prior, self._observed).covariance_matrix
            self._of_points = torch.linalg.solve(noisy, model.train_targets - prior.mean)
        self._level = self._predicted(torch.from_numpy(related.points)).mean()
        self._latest: tuple[torch.Tensor, torch.Tensor] | None = None
        self.register_parameter("weight", torch.nn.Parameter(torch.full((1,), WEIGHT, dtype=torch.double)))
        self.register_prior("weight_prior", NormalPrior(WEIGHT, WEIGHT_SPREAD), "weight")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the mean in standard deviations of the scores; x: (..., points, dimensions + fidelity)."""
        points = x[..., :-1]
        # A fit asks hundreds of times for the same points.
        if self._latest is None or not torch.equal(self._latest[0], points):
            self._latest = points, self._predicted(points) - self._level
        mean: torch.Tensor = super().forward(x) + self.weight * self._latest[1]
        return mean

    def _predicted(self, points: torch.Tensor) -> torch.Tensor:
        """Return the related process's mean at points (..., dimensions), in its own standard deviations."""
        # Its posterior would also compute the covariances of all points with each other, which take seconds.
        (related,) = self._related
        flat = related.inputs(points.reshape(-1, points.shape[-1]).numpy())
        with torch.no_grad():
            covariances = related.model.covar_module(flat, self._observed).to_dense()
            mean: torch.Tensor = related.model.forward(flat).mean + covariances @ self._of_points
        return mean.reshape(points.shape[:-1])
