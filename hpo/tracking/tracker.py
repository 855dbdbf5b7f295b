"""Interface of trackers, which record the events of a study."""

from typing import Protocol

from hpo.journal.events import Event, StudyCreated
from hpo.journal.results import StudyState


class RecordRefusedError(Exception):
    """The store refused a record permanently."""


class Tracker(Protocol):
    """Records events in order. A call that is repeated after a failure must change nothing."""

    def connect(self, created: StudyCreated) -> int:
        """Find or create the study's records in the store, and discard cached state.

        Returns:
            The number of recorded events, as last passed to ``save``; 0 for new records.
        """

    def record(self, event: Event, state: StudyState) -> None:
        """Record an event that changed the state; ``state`` already includes it.

        The tracker may hold records back until ``save``, to write those of several events together.

        Raises:
            RecordRefusedError: The record is refused permanently. After any other error, retrying may help.
        """

    def save(self, recorded: int) -> None:
        """Write all records that were held back, then store that the first ``recorded`` events are recorded.

        Raises:
            RecordRefusedError: One of the records is refused permanently; none is held back any longer.
        """
