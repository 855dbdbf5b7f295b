"""Time for which a study ran, measured by its journal."""

from datetime import datetime

from hpo.journal.events import DataMoved, Event, StudyInterrupted, StudyRenamed, StudyResumed


class RunningTime:
    """Sum of the sessions of a study; the time in which it was stopped does not count.

    A killed session ends with its last event: what it did after that is lost anyway.
    """

    def __init__(self, created_at: datetime) -> None:
        """Begin with the first session."""
        self._before_s = 0.0
        self._since: datetime | None = created_at
        self.last_at = created_at
        """Time of the last event of a session."""

    def record(self, event: Event) -> None:
        """Count the time up to an event."""
        match event:
            case StudyRenamed() | DataMoved():
                return  # nothing runs meanwhile
            case StudyResumed():
                self._before_s, self._since = self.seconds(), event.at
            case StudyInterrupted():
                self._before_s, self._since = self.seconds(event.at), None
        self.last_at = event.at

    def seconds(self, now: datetime | None = None) -> float:
        """Return the running time in seconds, up to the last event or, for a study that runs, up to now."""
        if self._since is None:
            return self._before_s
        return self._before_s + max(0.0, ((now or self.last_at) - self._since).total_seconds())
