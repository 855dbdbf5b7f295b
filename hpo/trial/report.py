"""What a trial tells of its validations."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Report:
    """One validation of a trial."""

    epoch: int
    metrics: dict[str, float]
    train_s: float
    """Seconds spent on the trial so far, over all its runs."""

    score: float
    """What the study maximises, on the validation split."""


def best_report(reports: list[Report]) -> Report:
    """The highest score; of equals the earliest."""
    return max(reports, key=lambda report: (report.score, -report.epoch))
