"""What a trial tells of its validations."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from hpo.tasks.base.score import Score
from model.training.outcomes import FailedError


@dataclass(frozen=True, slots=True)
class Report:
    """One validation of a trial."""

    epoch: int
    metrics: dict[str, float]
    train_s: float
    """Seconds spent on the trial so far, over all its runs."""
    score: float
    """What the study maximises, on the validation split."""

    @classmethod
    def of(cls, metrics: Mapping[str, float], score: Score, *, epoch: int, train_s: float) -> Self:
        """A validation with these metrics.

        Raises:
            FailedError: The task's score is not among them.
        """
        if score.metric not in metrics:
            raise FailedError(f"expected the metric {score.metric!r} of a validation, got {sorted(metrics)}")
        return cls(epoch, dict(metrics), train_s, metrics[score.metric])


def best_report(reports: list[Report]) -> Report:
    """The highest score; of equals the earliest."""
    return max(reports, key=lambda report: (report.score, -report.epoch))
