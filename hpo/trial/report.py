"""Report of a trial on one of its validations."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from hpo.tasks.base.score import Score, number_in
from model.training.outcomes import FailedError

_ROUNDING = 1e-6
"""Distance from [0, 1] that the rounding of a mean can explain."""


@dataclass(frozen=True, slots=True)
class Report:
    """Results of one validation of a trial."""

    epoch: int
    """Number of finished epochs."""
    metrics: dict[str, float]
    """Metric -> value on the validation split."""
    train_s: float
    """Seconds spent on the trial so far, over all its runs."""
    score: float
    """The metric that the study maximises."""

    @classmethod
    def from_metrics(cls, metrics: Mapping[str, float], score: Score, *, epoch: int, train_s: float) -> Self:
        """Make a report from the metrics of a validation.

        Raises:
            FailedError: The metric of ``score`` is missing.
        """
        if score.metric not in metrics:
            raise FailedError(f"expected metric {score.metric!r} from a validation, got {sorted(metrics)}")
        return cls(epoch, dict(metrics), train_s, metrics[score.metric])


def checked_metrics(metrics: Mapping[str, object], score: Score) -> dict[str, float]:
    """Return what a task's validation returned as plain numbers, which every file can hold.

    Raises:
        FailedError: A metric is no number, or the metric of ``score`` lies outside [0, 1].
    """
    checked = {name: _number(name, value) for name, value in metrics.items()}
    value = checked.get(score.metric, 0.0)
    if not -_ROUNDING <= value <= 1 + _ROUNDING:
        raise FailedError(
            f"expected a score {score.metric!r} in [0, 1], where higher is better, got {value:g}"
        )
    return checked


def _number(name: str, value: object) -> float:
    number = number_in(value)
    if number is None:
        raise FailedError(f"expected a number as metric {name!r}, got {type(value).__name__}")
    return number


def best_report(reports: list[Report]) -> Report:
    """Return the report with the highest score, the earliest of equal ones."""
    return max(reports, key=lambda report: (report.score, -report.epoch))
