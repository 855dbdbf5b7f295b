"""Settings of training. Defaults are the paper's (section 4.1)."""

from dataclasses import dataclass, field

from model.data.sampler import SamplerConfig
from model.errors import ConfigError
from model.losses.complete import LossConfig
from model.networks.calf_config import NetworkConfig
from model.precision import Precision


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialConfig:
    """What one trial has of its own."""

    network: NetworkConfig
    loss: LossConfig
    seed: int = 0
    """Draws the initial weights."""
    data_seed: int = 0
    """Draws the chunks; trials that share it see the same ones."""
    learning_rate: float = 1e-3
    final_learning_rate: float = 1e-6
    """Reached at the end of the last epoch, linearly."""
    adam_eps: float = 1e-8
    """Of Kingma and Ba, whose default parameters the paper uses; the original code has 1e-7 (Keras), which
    it adds before the second moment is scaled up: as 3e-6 here at step 1, as 1.3e-7 at step 1000."""

    def __post_init__(self) -> None:
        if not 0.0 < self.final_learning_rate <= self.learning_rate < float("inf"):
            raise ConfigError(
                "learning rates must satisfy 0 < final_learning_rate <= learning_rate, "
                f"got {self.final_learning_rate:g} and {self.learning_rate:g}"
            )
        if not 0.0 < self.adam_eps < float("inf"):
            raise ConfigError(f"adam_eps must be a number above 0, got {self.adam_eps:g}")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingConfig:
    """What all trials of an array share: chunks, length, precision and how they are scored."""

    epochs: int = 1000
    validate_every: int = 20
    """Epochs between two validations; the last epoch is always validated."""
    sampler: SamplerConfig = field(default_factory=SamplerConfig)
    precision: Precision = "float32"
    nms_window_s: float | None = None
    """Suppression when scoring: None as wide as each tolerance (2020 code), 20.0 as the 2021 code."""

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.validate_every < 1:
            raise ConfigError(
                f"epochs and validate_every must be at least 1, got {self.epochs} and {self.validate_every}"
            )

    def next_validation(self, epoch: int) -> int:
        """Number of finished epochs at the validation that follows ``epoch`` finished epochs."""
        return min(self.epochs, (epoch // self.validate_every + 1) * self.validate_every)
