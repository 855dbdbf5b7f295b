"""What a trainer of several trials says of each of them."""

from dataclasses import dataclass
from typing import Generic, TypeVar

SlotT = TypeVar("SlotT")


class FailedError(Exception):
    """A trial cannot go on; the others of its array can."""


class DivergedError(FailedError):
    """A trial's loss is no longer a number."""


@dataclass(frozen=True, slots=True)
class Validation:
    """A trial at a validation point."""

    epoch: int
    """Finished epochs."""
    metrics: dict[str, float]
    """Scores in [0, 1], losses, learning rate and speed, by name."""
    duration_s: float
    """Since the validation before: training, calibration and scoring; the trial's share of its array's."""


@dataclass(frozen=True, slots=True)
class Outcome(Generic[SlotT]):
    """What became of a trial on the way to its next validation."""

    slot: SlotT
    result: Validation | FailedError
