"""Requests to stop a trial or a study that another process runs, perhaps on another machine."""

import time
from collections.abc import Iterator
from pathlib import Path

from hpo.journal.journal import read_journal, writer_of
from hpo.journal.results import StudyState, stored_state
from hpo.journal.trial_state import TrialState
from hpo.report.trial_tables import condition
from model.errors import UserError

WHOLE_STUDY = "study"
"""Name of the request to stop the whole study."""
BY_USER = "stopped by the user"
"""Reason that the journal gives."""
_FOLDER = "stop"
_LOOK_EVERY_S = 1.0
"""Shortest time between two looks for requests, whose folder may be on a file server."""
_POLL_S = 0.5


class StopRequests:
    """Requests as files in the folder of a study, which every machine that runs or follows it can reach.

    A request for a trial stands until the trial has ended, also over a restart of the study. The process that
    runs the study reads and removes them; the journal records what came of it.
    """

    def __init__(self, folder: Path) -> None:
        """Refer to the requests for the study in ``folder``."""
        self._folder = folder / _FOLDER
        self._looked_at, self._standing = -_LOOK_EVERY_S, frozenset[str]()

    def add(self, name: str) -> None:
        """Request that a trial, or ``WHOLE_STUDY``, stops.

        Raises:
            UserError: The study's folder cannot be written.
        """
        try:
            self._folder.mkdir(exist_ok=True)
            (self._folder / name).touch()
        except OSError as error:
            raise UserError(f"cannot write to {self._folder}: {error.strerror}") from None

    def has(self, name: str) -> bool:
        """Return whether a request for a trial, or for ``WHOLE_STUDY``, stands."""
        return (self._folder / name).exists()

    @property
    def standing(self) -> frozenset[str]:
        """All requests that stand; looks into the folder at most once a second."""
        if time.monotonic() - self._looked_at >= _LOOK_EVERY_S:
            self._looked_at, self._standing = time.monotonic(), frozenset(self._names())
        return self._standing

    def remove(self, name: str) -> None:
        """Remove a request, if there is one."""
        (self._folder / name).unlink(missing_ok=True)

    def _names(self) -> list[str]:
        try:
            return [file.name for file in self._folder.iterdir()]
        except OSError:  # missing without any request, or a file server that is away for a moment
            return []


def request_stop_of_trial(folder: Path, name: str) -> None:
    """Request that a running trial ends at once, with the best validation that it has.

    Raises:
        UserError: There is no such trial, it has ended, or the study is not running.
    """
    state = stored_state(folder)
    trial = state.trials.get(name)
    if trial is None:
        raise UserError(
            f"study {folder.name!r} has no trial {name!r}", running=", ".join(_unfinished(state)) or "none"
        )
    if trial.has_ended:
        raise UserError(
            f"trial {folder.name}/{name} has ended already: {trial.status}",
            running=", ".join(_unfinished(state)) or "none",
        )
    _require_running(folder, state)
    StopRequests(folder).add(name)


def request_stop_of_study(folder: Path) -> None:
    """Request that a running study stops as after Ctrl-C.

    Raises:
        UserError: The study is not running.
    """
    _require_running(folder, stored_state(folder))
    StopRequests(folder).add(WHOLE_STUDY)


def wait_for_end_of_trial(folder: Path, name: str) -> TrialState:
    """Wait until a trial has ended and return it; it has not ended if the study stopped before."""
    reading = read_journal(folder)
    state = StudyState.replay(reading.events)
    for is_running in _while_running(folder):
        reading = read_journal(folder, reading.end)
        for event in reading.events:
            state.apply(event)
        if state.trials[name].has_ended or not is_running:
            break
    return state.trials[name]


def wait_for_end_of_study(folder: Path) -> None:
    """Wait until no process runs the study."""
    for _ in _while_running(folder):
        pass


def _while_running(folder: Path) -> Iterator[bool]:
    """Yield True about twice a second while a process runs the study, then False."""
    while writer_of(folder) is not None:
        yield True
        time.sleep(_POLL_S)
    yield False


def _unfinished(state: StudyState) -> list[str]:
    return [name for stage in state.stages for name in state.tally(stage).unfinished]


def _require_running(folder: Path, state: StudyState) -> None:
    if writer_of(folder) is None:
        raise UserError(f"study {folder.name!r} is not running: {condition(state, None)}")
