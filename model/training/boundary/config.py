"""Settings of BMN's training. Defaults are those of the published code that section 4.2 builds on."""

from dataclasses import dataclass, field

from model.errors import ConfigError
from model.losses.boundary import BoundaryLossConfig
from model.metrics.soft_nms import SoftNmsConfig
from model.networks.bmn import BmnConfig
from model.precision import Precision


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundaryTrialConfig:
    """What one trial has of its own."""

    network: BmnConfig = field(default_factory=BmnConfig)
    loss: BoundaryLossConfig = field(default_factory=BoundaryLossConfig)
    seed: int = 0
    """Draws the initial weights."""
    data_seed: int = 0
    """Draws the order of the videos and the pairs that are regressed; trials that share it see the same."""
    learning_rate: float = 1e-3
    rate_drop: float = 0.1
    """The learning rate is multiplied by it"""
    rate_drop_epochs: int = 7
    """whenever so many epochs are over."""
    weight_decay: float = 1e-4
    """Of Adam: added to the gradient, times the weights."""

    def __post_init__(self) -> None:
        if not 0.0 < self.learning_rate < float("inf"):
            raise ConfigError(f"learning_rate must be a number above 0, got {self.learning_rate:g}")
        if not 0.0 < self.rate_drop <= 1.0 or self.rate_drop_epochs < 1:
            raise ConfigError(
                "rate_drop must lie above 0 and be at most 1, rate_drop_epochs be at least 1, "
                f"got {self.rate_drop:g} and {self.rate_drop_epochs}"
            )
        if not 0.0 <= self.weight_decay < float("inf"):
            raise ConfigError(f"weight_decay must be a number of at least 0, got {self.weight_decay:g}")

    def learning_rate_of(self, epoch: int) -> float:
        """Rate of the epoch that follows ``epoch`` finished ones."""
        drops: int = epoch // self.rate_drop_epochs
        return self.learning_rate * self.rate_drop**drops


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundaryTrainingConfig:
    """What all trials of an array share."""

    epochs: int = 9
    validate_every: int = 1
    """Epochs between two validations; the last epoch is always validated."""
    batch_videos: int = 16
    """Videos a step; the last of an epoch may have fewer."""
    precision: Precision = "float32"
    nms: SoftNmsConfig = field(default_factory=SoftNmsConfig)

    def __post_init__(self) -> None:
        for name in ("epochs", "validate_every", "batch_videos"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be at least 1, got {getattr(self, name)}")

    def next_validation(self, epoch: int) -> int:
        """Number of finished epochs at the validation that follows ``epoch`` finished epochs."""
        return min(self.epochs, (epoch // self.validate_every + 1) * self.validate_every)
