"""Report of a trial on one of its validations."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from hpo.tasks.base.score import Score
from model.training.outcomes import FailedError


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


def best_report(reports: list[Report]) -> Report:
    """Return the report with the highest score, the earliest of equal ones."""
    return max(reports, key=lambda report: (report.score, -report.epoch))
