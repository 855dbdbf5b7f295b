"""One trial in an array: its weights, its optimiser's moments and how far it is."""

from typing import Any

import torch
from torch import Tensor

from model.networks.calf import CalfNetwork
from model.training.config import TrialConfig
from model.training.seeding import torch_stream


class Slot:
    """A trial between two validations. While it trains, its numbers lie in a stack (``TrainingStack``)."""

    def __init__(self, config: TrialConfig) -> None:
        """Draw the initial weights from the trial's seed."""
        self.config = config
        self.network = CalfNetwork(config.network, torch_stream(config.seed, "weights"))
        self.epoch = 0
        """Finished epochs."""
        self.steps = 0
        """Of the optimiser."""
        self.moments: list[dict[str, Tensor]] = [
            {name: torch.zeros_like(value) for name, value in self.network.named_parameters()}
            for _ in range(2)
        ]
        """Adam's first and second moments."""

    def learning_rate(self, progress: float) -> float:
        """Rate after the share ``progress`` of the training: linear from first to last."""
        first, last = self.config.learning_rate, self.config.final_learning_rate
        return first + (last - first) * progress

    def state(self) -> dict[str, Any]:
        """Everything that training goes on from, for a checkpoint."""
        return {
            "network": self.network.state_dict(),
            "moments": self.moments,
            "steps": self.steps,
            "epoch": self.epoch,
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from what ``state`` returned."""
        self.network.load_state_dict(state["network"])
        self.moments = list(state["moments"])
        self.steps, self.epoch = state["steps"], state["epoch"]
