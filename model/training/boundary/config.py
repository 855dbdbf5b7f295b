"""Settings of BMN's training, with the defaults of the published code that section 4.2 builds on."""

from dataclasses import dataclass, field

from model.errors import ConfigError
from model.losses.boundary import BoundaryLossConfig
from model.metrics.soft_nms import SoftNmsConfig
from model.networks.bmn import BmnConfig
from model.precision import Precision
from model.training.schedule import TrainingSchedule


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundaryTrialConfig:
    """Settings of one trial."""

    network: BmnConfig = field(default_factory=BmnConfig)
    loss: BoundaryLossConfig = field(default_factory=BoundaryLossConfig)
    seed: int = 0
    """Seed of the initial weights."""
    data_seed: int = 0
    """Seed of the order of the videos and of the pairs for the regression; equal seeds give equal data."""
    learning_rate: float = 1e-3
    rate_drop: float = 0.1
    """Factor of the learning rate after every ``rate_drop_epochs`` epochs."""
    rate_drop_epochs: int = 7
    """Number of epochs between two drops of the learning rate."""
    weight_decay: float = 1e-4
    """Weight decay of Adam: this multiple of the weights is added to the gradient."""

    def __post_init__(self) -> None:
        if not 0.0 < self.learning_rate < float("inf"):
            raise ConfigError(f"learning_rate must be a finite number above 0, got {self.learning_rate:g}")
        if not 0.0 < self.rate_drop <= 1.0 or self.rate_drop_epochs < 1:
            raise ConfigError(
                "rate_drop must be above 0 and at most 1, and rate_drop_epochs must be at least 1, "
                f"got {self.rate_drop:g} and {self.rate_drop_epochs}"
            )
        if not 0.0 <= self.weight_decay < float("inf"):
            raise ConfigError(
                f"weight_decay must be a finite number of at least 0, got {self.weight_decay:g}"
            )

    def learning_rate_of(self, epoch: int) -> float:
        """Return the learning rate of the epoch that follows ``epoch`` finished epochs."""
        drops: int = epoch // self.rate_drop_epochs
        return self.learning_rate * self.rate_drop**drops


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundaryTrainingConfig(TrainingSchedule):
    """Settings shared by all trials of an array."""

    epochs: int = 9
    validate_every: int = 1
    batch_videos: int = 16
    """Number of videos per step; the last step of an epoch may have fewer."""
    precision: Precision = "float32"
    nms: SoftNmsConfig = field(default_factory=SoftNmsConfig)

    def __post_init__(self) -> None:
        TrainingSchedule.__post_init__(self)  # a dataclass with slots has no super()
        if self.batch_videos < 1:
            raise ConfigError(f"batch_videos must be at least 1, got {self.batch_videos}")
