"""Settings of training, with the paper's defaults (section 4.1)."""

from dataclasses import dataclass, field

from model.data.sampler import SamplerConfig
from model.errors import ConfigError
from model.losses.complete import LossConfig
from model.metrics.average_map import LOOSE_TOLERANCES_S
from model.networks.calf_config import NetworkConfig
from model.precision import Precision
from model.training.schedule import TrainingSchedule


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialConfig:
    """Settings of one trial."""

    network: NetworkConfig
    loss: LossConfig
    seed: int = 0
    """Seed of the initial weights."""
    data_seed: int = 0
    """Seed of the chunks; trials with the same data seed see the same chunks."""
    learning_rate: float = 1e-3
    final_learning_rate: float = 1e-6
    """Learning rate at the end of the last epoch; the rate changes linearly."""
    adam_eps: float = 1e-8
    """Epsilon of Adam: the default of Kingma and Ba, as in the paper.

    The original code has 1e-7 (Keras) and adds it before the bias correction of the second moment. Its loss
    is the sum over the B chunks of a batch, here it is their mean, so that gradients are B times smaller:
    its 1e-7 corresponds to 3e-6 / B here at step 1 and to 1.3e-7 / B at step 1000.
    """

    def __post_init__(self) -> None:
        if not 0.0 < self.final_learning_rate <= self.learning_rate < float("inf"):
            raise ConfigError(
                "learning rates must satisfy 0 < final_learning_rate <= learning_rate, "
                f"got {self.final_learning_rate:g} and {self.learning_rate:g}"
            )
        if not 0.0 < self.adam_eps < float("inf"):
            raise ConfigError(f"adam_eps must be a finite number above 0, got {self.adam_eps:g}")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingConfig(TrainingSchedule):
    """Settings shared by all trials of an array: chunks, length, precision and scoring."""

    epochs: int = 1000
    validate_every: int = 20
    sampler: SamplerConfig = field(default_factory=SamplerConfig)
    precision: Precision = "float32"
    nms_window_s: float | None = None
    """Width of the suppression when scoring, in seconds; None: each tolerance (2020 code; 2021 code: 20)."""
    tolerances_s: tuple[float, ...] = LOOSE_TOLERANCES_S
    """Tolerances of Average-mAP in seconds, as full widths."""
