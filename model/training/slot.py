"""Slot of an array: one trial with its weights, Adam's moments and its progress."""

from typing import Any

import torch
from torch import Tensor

from model.networks.calf import CalfNetwork
from model.training.config import TrialConfig
from model.training.seeding import torch_stream


class Slot:
    """State of a trial between two validations; during training, a ``TrainingStack`` holds its weights."""

    def __init__(self, config: TrialConfig) -> None:
        """Draw the initial weights from the trial's seed."""
        self.config = config
        self.network = CalfNetwork(config.network, torch_stream(config.seed, "weights"))
        self.epoch = 0
        """Number of finished epochs."""
        self.steps = 0
        """Number of steps of the optimiser."""
        self.moments: list[dict[str, Tensor]] = [
            {name: torch.zeros_like(value) for name, value in self.network.named_parameters()}
            for _ in range(2)
        ]
        """Adam's first and second moments."""

    def learning_rate(self, progress: float) -> float:
        """Return the learning rate after a fraction ``progress`` of the training; it changes linearly."""
        first, last = self.config.learning_rate, self.config.final_learning_rate
        return first + (last - first) * progress

    def state(self) -> dict[str, Any]:
        """Return everything that is needed to resume training, for a checkpoint."""
        return {
            "network": self.network.state_dict(),
            "moments": self.moments,
            "steps": self.steps,
            "epoch": self.epoch,
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Resume from a result of ``state``."""
        self.network.load_state_dict(state["network"])
        self.moments = list(state["moments"])
        self.steps, self.epoch = state["steps"], state["epoch"]
