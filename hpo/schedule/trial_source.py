"""Interface through which the scheduler gets trials from a study and reports their results."""

from collections.abc import Collection
from enum import Enum
from typing import Protocol

from hpo.trial.report import Report
from hpo.trial.specification import TrialSpec
from model.errors import UserError


class Pause(Enum):
    """Answer of a trial source that has no trial at the moment."""

    WAIT = "wait"
    """The results of running trials decide which trial comes next."""


class TrialSource(Protocol):
    """Provides trials to train and records their results. All calls come from one thread."""

    def next_spec(self) -> TrialSpec | Pause | None:
        """Return the next trial to train, WAIT if running trials decide it, or None at the end."""

    def should_end(self) -> bool:
        """Return whether all training should end now; called about ten times a second."""

    def to_stop(self) -> Collection[str]:
        """Return the trials whose training should be interrupted now; called about ten times a second."""

    def started(self, trial: str) -> None:
        """Record that a process has started to train the trial, or has restarted after a crash."""

    def trained_on(self, trial: str, host: str) -> None:
        """Record the machine that trains the trial."""

    def reported(self, trial: str, report: Report) -> bool:
        """Record a validation; a restarted process may repeat validations that were reported before.

        Returns:
            Whether the trial continues; False stops it early.
        """

    def finished(self, trial: str) -> None:
        """Record that the trial has trained all its epochs."""

    def stopped(self, trial: str) -> None:
        """Record the end of a trial of ``to_stop`` after the end of its process."""

    def failed(self, trial: str, reason: str) -> None:
        """Record that the trial diverged or crashed, and why."""

    def code_changed(self) -> UserError:
        """Return the error for a process that has imported other code than the study was started with."""

    def add_note(self, message: str) -> None:
        """Record a message for the user about an event that does not stop the study."""
