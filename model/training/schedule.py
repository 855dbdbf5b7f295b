"""Length of a training and the epochs after which it is validated."""

from dataclasses import dataclass

from model.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingSchedule:
    """Number of epochs of a trial, and the interval of its validations."""

    epochs: int
    validate_every: int
    """Number of epochs between two validations; the last epoch is always validated."""

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.validate_every < 1:
            raise ConfigError(
                f"epochs and validate_every must be at least 1, got {self.epochs} and {self.validate_every}"
            )

    def next_validation(self, epoch: int) -> int:
        """Return the number of finished epochs at the validation that follows ``epoch`` finished epochs."""
        return min(self.epochs, (epoch // self.validate_every + 1) * self.validate_every)
