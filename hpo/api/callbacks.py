"""Calls of a user's own functions after every event of a running study."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from hpo.journal.events import Event
from hpo.journal.journal import read_journal
from hpo.journal.results import StudyState
from hpo.study.running.signals import press_ctrl_c
from model.errors import UserError

if TYPE_CHECKING:
    from hpo.study.running.runner import Listener


class Callback(Protocol):
    """Function that is called after every event of a study, in the process that started it.

    An event is one of the classes of ``hpo.events``, such as ``hpo.events.TrialFinished``; it is on disk when
    the function is called. The study waits for the function. If the function raises an error, the study stops
    in good order and the error reaches the caller; the study can be continued later.
    """

    def __call__(self, event: Event, /) -> None:
        """Handle an event."""
        ...


@contextmanager
def announced(callbacks: Sequence[Callback], folder: Path, listener: "Listener") -> "Iterator[Listener]":
    """Yield a listener that calls ``listener`` and then all callbacks with what is new in a study's journal.

    Events that the journal in ``folder`` has already are not announced; the last ones are announced when the
    context ends.
    """
    if not callbacks:
        yield listener
        return
    announcer = _Announcer(callbacks, folder, listener)
    try:
        yield announcer.update
    finally:
        if announcer.failure is not None:
            raise announcer.failure
    announcer.announce()


class _Announcer:
    """Follows the journal of a study that runs in this process."""

    def __init__(self, callbacks: Sequence[Callback], folder: Path, listener: "Listener") -> None:
        self.failure: BaseException | None = None
        """What a callback raised; nothing is announced after it."""
        self._callbacks, self._folder, self._listener = callbacks, folder, listener
        self._end = _end_of(folder)

    def update(self, state: StudyState) -> None:
        """Call the listener, then the callbacks; an error of theirs stops the study like Ctrl-C."""
        self._listener(state)
        if self.failure is not None:
            return
        try:
            self.announce()
        except BaseException as error:
            self.failure = error
            press_ctrl_c()  # Ray Tune would hide the error in its own

    def announce(self) -> None:
        """Call the callbacks with every event that is new in the journal."""
        reading = read_journal(self._folder, self._end)
        self._end = reading.end
        for event in reading.events:
            for callback in self._callbacks:
                callback(event)


def _end_of(folder: Path) -> int:
    """Return the length of the journal's complete lines; 0 for a study that does not exist yet."""
    try:
        return read_journal(folder).end
    except UserError:
        return 0
