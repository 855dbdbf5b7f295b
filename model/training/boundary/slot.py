"""Slot of an array of boundary-matching networks: one trial with its weights, optimiser and progress."""

import copy
from typing import Any

import torch
from torch import Tensor

from model.inference.proposals import VideoBatch, predict
from model.losses.boundary import BoundaryLosses, boundary_losses, draw_uniform
from model.networks.bmn import BoundaryMatchingNetwork
from model.precision import Precision
from model.training.boundary.config import BoundaryTrialConfig
from model.training.seeding import torch_stream


class BoundarySlot:
    """State of a trial in training."""

    def __init__(self, config: BoundaryTrialConfig) -> None:
        """Draw the initial weights from the trial's seed."""
        self.config = config
        self.network = BoundaryMatchingNetwork(config.network, torch_stream(config.seed, "weights"))
        self._optimizer = torch.optim.Adam(
            self.network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay, fused=True
        )
        self.epoch = 0
        """Number of finished epochs."""

    def place(self, device: torch.device) -> None:
        """Move weights and moments to ``device``."""
        self.network.to(device)
        # Loading moves the moments to where the weights are.
        self._optimizer.load_state_dict(self._optimizer.state_dict())

    def step(self, batch: VideoBatch, draws: torch.Generator, precision: Precision) -> BoundaryLosses:
        """Train on one batch at the learning rate of the current epoch and return the losses.

        Args:
            batch: Videos with their targets.
            draws: CPU generator that chooses the pairs of the regression loss.
            precision: Number format of the matrix products.
        """
        for group in self._optimizer.param_groups:
            group["lr"] = self.config.learning_rate_of(self.epoch)
        predicted = predict(self.network, batch.features, precision)
        drawn = draw_uniform(batch.target.overlap, draws)
        longest = self.config.network.longest
        losses = boundary_losses(predicted, batch.target, self.config.loss, drawn, longest)
        self._optimizer.zero_grad()
        torch.autograd.backward(losses.total)
        self._optimizer.step()
        return losses

    def gradients(self) -> dict[str, Tensor]:
        """Return the gradients of the last step, on the CPU, by the weights' names."""
        return {
            name: weight.grad.cpu()
            for name, weight in self.network.named_parameters()
            if weight.grad is not None
        }

    def state(self) -> dict[str, Any]:
        """Return a copy of everything that is needed to resume training, for a checkpoint."""
        return copy.deepcopy(
            {
                "network": self.network.state_dict(),
                "optimizer": self._optimizer.state_dict(),
                "epoch": self.epoch,
            }
        )

    def load_state(self, state: dict[str, Any]) -> None:
        """Resume from a result of ``state``."""
        self.network.load_state_dict(state["network"])
        self._optimizer.load_state_dict(copy.deepcopy(state["optimizer"]))
        self.epoch = state["epoch"]
