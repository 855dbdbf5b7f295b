"""Scores on other data, features or epochs as the prior mean of a process."""

import gpytorch
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
        # In a list, so that fitting this mean does not fit the related process again.
        self._related = [related.eval()]
        shape = self._predicted(related.train_inputs[0])
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
        settings = gpytorch.settings
        # debug: GPyTorch warns if the points are those of the process, as they may be here.
        with torch.no_grad(), settings.skip_posterior_variances(), settings.debug(False):
            posterior = self._related[0](x.reshape(-1, x.shape[-1]))
        mean: torch.Tensor = posterior.mean.reshape(x.shape[:-1])
        return mean
