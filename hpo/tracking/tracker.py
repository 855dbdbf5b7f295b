"""What the follower of a journal asks of a place that records studies."""

from typing import Protocol

from hpo.journal.events import Event, StudyCreated
from hpo.journal.results import StudyState


class RecordRefusedError(Exception):
    """The store answered that it will not take this record, now or later."""


class Tracker(Protocol):
    """Takes events in order. Any call may be repeated after a failure and must then change nothing."""

    def connect(self, created: StudyCreated) -> int:
        """Find or make the study's place and forget what was known of it before.

        Returns:
            How many of the study's events were recorded, as last told to ``save``; 0 for a new place.
        """

    def record(self, event: Event, state: StudyState) -> None:
        """Record one event that told something new; ``state`` has it applied already.

        Raises:
            RecordRefusedError: Trying again will not help; any other error may pass.
        """

    def save(self, recorded: int) -> None:
        """Remember that the first ``recorded`` events of the journal are recorded."""
