"""Report of a trial on one of its validations."""

import numbers
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from hpo.tasks.base.score import Score
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
            FailedError: The metric of ``score`` is missing or lies outside [0, 1], or a metric is no number.
        """
        values = {name: _number(name, value) for name, value in metrics.items()}
        if score.metric not in values:
            raise FailedError(f"expected metric {score.metric!r} from a validation, got {sorted(metrics)}")
        value = values[score.metric]
        if not -_ROUNDING <= value <= 1 + _ROUNDING:
            raise FailedError(
                f"expected a score {score.metric!r} in [0, 1], where higher is better, got {value:g} after "
                f"epoch {epoch}"
            )
        return cls(epoch, values, train_s, value)


def _number(name: str, value: object) -> float:
    """Convert a number of any type, such as numpy's, to one that every file can hold."""
    if isinstance(value, numbers.Real) and not isinstance(value, bool):
        return float(value)
    raise FailedError(f"expected a number as metric {name!r}, got {type(value).__name__}")


def best_report(reports: list[Report]) -> Report:
    """Return the report with the highest score, the earliest of equal ones."""
    return max(reports, key=lambda report: (report.score, -report.epoch))
