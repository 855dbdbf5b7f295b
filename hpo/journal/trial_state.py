"""State of a trial, computed from its events."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Self

from hpo.journal.events import (
    TrialFailed,
    TrialFinished,
    TrialReported,
    TrialStarted,
    TrialStopped,
    Value,
)
from model.wording import printable

TrialEvent = TrialStarted | TrialReported | TrialFinished | TrialStopped | TrialFailed
"""Event of a trial that has been proposed."""


class TrialStatus(StrEnum):
    """Status of a trial; the last three are final."""

    ASKED = "asked"
    RUNNING = "running"
    FINISHED = "finished"
    STOPPED = "stopped"
    """Stopped early, because other trials were better at the same epoch or for the reason that it has."""
    FAILED = "failed"


@dataclass(slots=True, kw_only=True)
class TrialState:
    """State of a trial."""

    trial: str
    """Name of the trial."""
    stage: str
    """Name of its stage."""
    parameters: Mapping[str, Value]
    """Hyperparameters that the stage varies."""
    seed: int
    """Seed of the trial."""
    replicate: int
    """Distance of its seed from the study's seed."""
    role: str
    """Name of its configuration within the stage; empty in a search."""
    asked_at: datetime
    """Time at which the stage proposed it."""
    together: int = 1
    """Number of trials that its array trains together."""
    attempt: int = 1
    """Number of the attempt to train it, from 1; a failed trial may be trained again."""
    lost_s: float = 0.0
    """Seconds spent on its former attempts, which failed."""
    status: TrialStatus = TrialStatus.ASKED
    host: str = ""
    device: str = ""
    reports: dict[int, TrialReported] = field(default_factory=dict)
    """Epoch -> validation. A trial that resumes from an older checkpoint reports epochs again; the first
    report is kept, because decisions may depend on it."""
    started_at: datetime | None = None
    """Time of the first start, also for a resumed trial."""
    ended_at: datetime | None = None
    """Time at which it finished, was stopped or failed."""
    score: float | None = None
    """Score of its best validation, in [0, 1]; None before the end, after a failure, and without any."""
    best_epoch: int | None = None
    """Epoch of its best validation."""
    duration_s: float | None = None
    """Seconds spent on the present attempt, over all its runs; None before the end and after a failure."""
    reason: str | None = None
    """Reason of a failure, or of a stop that the scheduler did not decide."""
    tested: Mapping[str, float] | None = None
    """Metrics on the test split; None for a trial that was not evaluated on it."""
    test_items: int | None = None
    """Number of items of the test split, such as games; None if it is not known."""

    @property
    def has_ended(self) -> bool:
        """True if the trial has finished, was stopped, or has failed."""
        return self.status in (TrialStatus.FINISHED, TrialStatus.STOPPED, TrialStatus.FAILED)

    def status_in_words(self, *, is_running: bool) -> str:
        """Return its status; ``is_running`` says whether the study runs, without which nothing trains it."""
        return str(self.status) if self.has_ended or is_running else "waiting to be resumed"

    @property
    def spent_s(self) -> float:
        """Seconds spent on all attempts; without an end or after a failure, until the latest validation."""
        validated_s = max((report.train_s for report in self.reports.values()), default=0.0)
        return self.lost_s + (self.duration_s or validated_s)

    @property
    def metrics(self) -> Mapping[str, float]:
        """Metrics of its best validation; empty before the end and after a failure."""
        report = self.reports.get(self.best_epoch or 0)
        return report.metrics if report else {}

    @property
    def epochs_trained(self) -> int:
        """Number of epochs at its latest validation."""
        return max(self.reports, default=0)

    def advance(self, event: TrialEvent) -> bool:
        """Update the state with an event of the trial; return whether it was new.

        Nothing changes a trial that has ended, and a repeated validation changes nothing.
        """
        if self.has_ended:
            return False
        match event:
            case TrialStarted():
                self.status, self.host, self.device = TrialStatus.RUNNING, event.host, event.device
                self.started_at = self.started_at or event.at
            case TrialReported():
                return self.reports.setdefault(event.epoch, event) is event
            case TrialFinished() | TrialStopped():
                self.status, self.ended_at = TrialStatus.FINISHED, event.at
                self.score, self.best_epoch, self.duration_s = event.score, event.epoch, event.duration_s
                if isinstance(event, TrialStopped):
                    self.status, self.reason = TrialStatus.STOPPED, event.reason or None
            case TrialFailed():
                self.status, self.ended_at = TrialStatus.FAILED, event.at
                self.reason = printable(event.reason)
        return True

    def unstarted(self) -> Self:
        """Return the trial as it was proposed, for the next attempt to train it."""
        return type(self)(
            trial=self.trial,
            stage=self.stage,
            parameters=self.parameters,
            seed=self.seed,
            replicate=self.replicate,
            role=self.role,
            asked_at=self.asked_at,
            together=self.together,
            attempt=self.attempt + 1,
            lost_s=self.spent_s,
        )
