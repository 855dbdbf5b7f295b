"""What the scheduler asks of a study."""

from enum import Enum
from typing import Protocol

from hpo.trial.report import Report
from hpo.trial.specification import TrialSpec


class Pause(Enum):
    """No trial for now."""

    WAIT = "wait"
    """Trials that run decide what comes next."""


class TrialFeed(Protocol):
    """Hands out trials and hears what becomes of them, all in one thread."""

    def next_spec(self) -> TrialSpec | Pause | None:
        """The next trial to train, WAIT while running ones decide it, or None when there are no more."""

    def started(self, trial: str) -> None:
        """A process begins to train the trial, or begins again after it was lost."""

    def reported(self, trial: str, report: Report) -> bool:
        """The trial was validated; may repeat what was reported before a process was lost.

        Returns:
            Whether the trial goes on; False ends it before its time.
        """

    def finished(self, trial: str) -> None:
        """The trial used up its epochs."""

    def failed(self, trial: str, reason: str) -> None:
        """The trial diverged or crashed."""

    def noted(self, message: str) -> None:
        """Something that a person should know, and that stops nothing."""
