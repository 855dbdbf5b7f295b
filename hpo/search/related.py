"""Scores with other data, settings or code as the prior mean of a process."""

import torch
from botorch.models import SingleTaskGP
from gpytorch.means import Mean
from gpytorch.priors import NormalPrior

WEIGHT, WEIGHT_SPREAD = 0.7, 0.7
"""Mean and standard deviation of the weight before any score."""


class RelatedMean(Mean):  # type: ignore[misc]  # GPyTorch has no types
    """Mean function with the shape of related scores, and a weight and a level that are fitted.

    What is good on one data set is mostly good on another, but higher or lower by something that is not
    known. Where the scores disagree with the shape, its weight falls to 0 and leaves a constant mean.

    Args:
        related: Process of the related scores, already fitted.
    """

    def __init__(self, related: SingleTaskGP) -> None:
        super().__init__()
        points = related.train_inputs[0]
        # In a list, so that fitting this mean does not fit the related process again.
        self._related, self._points = [related.eval()], points
        with torch.no_grad():
            prior = related.forward(points)
            noisy = related.likelihood(prior).covariance_matrix
            self._of_points = torch.linalg.solve(noisy, related.train_targets - prior.mean)
        shape = self._predicted(points)
        self._level, self._scale = shape.mean(), shape.std().clamp_min(1e-9)
        self._latest: tuple[torch.Tensor, torch.Tensor] | None = None
        self.register_parameter("constant", torch.nn.Parameter(torch.zeros(1, dtype=torch.double)))
        self.register_parameter("weight", torch.nn.Parameter(torch.full((1,), WEIGHT, dtype=torch.double)))
        self.register_prior("weight_prior", NormalPrior(WEIGHT, WEIGHT_SPREAD), "weight")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the mean in standard deviations of the scores; x: (..., points, dimensions)."""
        # A fit asks hundreds of times for the same points.
        if self._latest is None or not torch.equal(self._latest[0], x):
            self._latest = x, (self._predicted(x) - self._level) / self._scale
        mean: torch.Tensor = self.constant + self.weight * self._latest[1]
        return mean

    def _predicted(self, x: torch.Tensor) -> torch.Tensor:
        """Return the related process's mean at points (..., dimensions), in its own standard deviations."""
        # Its posterior would also compute the covariances of all points with each other, which take seconds.
        (related,) = self._related
        flat = x.reshape(-1, x.shape[-1])
        with torch.no_grad():
            covariances = related.covar_module(flat, self._points).to_dense()
            mean: torch.Tensor = related.mean_module(flat) + covariances @ self._of_points
        return mean.reshape(x.shape[:-1])
