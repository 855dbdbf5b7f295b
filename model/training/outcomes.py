"""Outcomes that a trainer reports for each trial of its array."""

from dataclasses import dataclass
from typing import Generic, TypeVar

from model.wording import described

SlotT = TypeVar("SlotT")

OUT_OF_MEMORY = "the device has too little memory for this trial alone"
"""Reason of the failure of a trial that does not fit into the device's memory."""


class FailedError(Exception):
    """Error for a trial that cannot continue, while the other trials of its array can."""


def failure_of(error: Exception) -> FailedError:
    """Return the failure of the trial in which ``error`` was raised, of any kind."""
    if isinstance(error, FailedError):
        return error
    failure = FailedError(described(error))
    failure.__cause__ = error
    return failure


class DivergedError(FailedError):
    """Error for a trial whose loss or metrics are NaN or infinite."""


@dataclass(frozen=True, slots=True)
class Validation:
    """Validation of a trial."""

    epoch: int
    """Number of finished epochs."""
    metrics: dict[str, float]
    """Metrics by name: scores in [0, 1], losses, learning rate and speed."""
    duration_s: float
    """Seconds of training, calibration and scoring since the last validation, divided among the array."""


@dataclass(frozen=True, slots=True)
class Outcome(Generic[SlotT]):
    """Outcome of a trial: its next validation, or the error that stopped it."""

    slot: SlotT
    result: Validation | FailedError
