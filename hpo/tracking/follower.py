"""Background thread that follows a journal and records every event once, possibly late."""

import math
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from hpo.config.environment import without_passwords
from hpo.journal.events import Event, StudyCreated
from hpo.journal.journal import count_events, read_journal, stored_events
from hpo.journal.results import StudyState
from hpo.tracking.tracker import RecordRefusedError, Tracker
from model.wording import counted, described

NEVER_ANSWERED_S = 10.0
"""Seconds to wait at most at the end of a study for a tracker that has failed from its beginning."""
LOOK_S = 0.2
"""Seconds between two looks at whether it has answered."""
REMARK_S = 2.0
"""Seconds of waiting at the end of a study after which the user hears why."""
EVENTS_A_SAVE = 30
"""Largest number of events that are saved together."""
MOST_LEFT = 60
"""Number of events not yet recorded above which a study lets the follower catch up."""
CATCH_UP_S = 1.0
"""Seconds that a study waits at most for that: it goes on whatever happens to the tracker."""
CATCH_UP_LOOK_S = 0.01
"""Seconds between two looks at whether it has caught up."""
_turns: defaultdict[Path, threading.Lock] = defaultdict(threading.Lock)
"""Folder of a study -> lock of the one thread of this process that records it."""
_say: ContextVar[Callable[[str], None] | None] = ContextVar("say", default=None)


@contextmanager
def remarks_to(say: Callable[[str], None]) -> Iterator[None]:
    """Let followers that close inside the context call ``say`` with a line for the user if they wait long."""
    before = _say.set(say)
    try:
        yield
    finally:
        _say.reset(before)


@dataclass(frozen=True, slots=True)
class Position:
    """Place in a journal up to which it has been read."""

    events: int = 0
    """Number of events before it."""
    end: int = 0
    """Byte at which the next event starts."""


class Projection:
    """Copies a journal into a tracker.

    The tracker stores the number of recorded events next to its records, so that another store, or an older
    copy of a store, gets exactly the events that it lacks.

    Args:
        folder: Folder of the study.
        tracker: Records the events.
        abandoned: Set to record nothing after the events that are being saved.
    """

    def __init__(self, folder: Path, tracker: Tracker, abandoned: threading.Event | None = None) -> None:
        self._abandoned = abandoned or threading.Event()
        self._refusals: dict[int, str] = {}
        self._folder = folder
        self._tracker = tracker
        self._state: StudyState | None = None
        self._pending: deque[Event] = deque()
        self._read = Position()
        self._recorded = 0
        self._refused_once: set[int] = set()
        self._singly_until = 0
        """Number of the event before which each event is saved by itself, so that a refusal has its event."""

    @property
    def refused(self) -> tuple[str, ...]:
        """Events that the tracker refused permanently, each with its reason."""
        return tuple(self._refusals.values())

    def advance(self) -> None:
        """Record all new events of the journal.

        Raises:
            Exception: The tracker raised it; the next call continues after the last saved event.
        """
        done = False
        while not (done or self._abandoned.is_set()):
            try:
                if self._state is None:
                    self._state = self._connect()
                if self._state is not None:
                    self._record_new(self._state)
                done = True
            except RecordRefusedError:
                self._state = None  # every event is tried again once, with fresh knowledge of the store
            except BaseException:
                self._state = None
                raise

    def events_left(self) -> int:
        """Return the number of events in the journal that are not yet recorded."""
        read = self._read  # one object, so that another thread never sees half of a change
        return read.events + count_events(self._folder, read.end) - self._recorded

    def _connect(self) -> StudyState | None:
        created = next(stored_events(self._folder), None)
        if created is None:
            return None
        if not isinstance(created, StudyCreated):
            raise TypeError("the journal does not begin with the creation of a study")
        recorded = self._tracker.connect(created)
        # A long journal is read only for a tracker that answers: the study wants the processor at its start.
        reading = read_journal(self._folder)
        # The creation itself is recorded by connecting.
        self._recorded = min(max(1, recorded), len(reading.events))
        self._pending = deque(reading.events[self._recorded :])
        self._read = Position(len(reading.events), reading.end)
        return StudyState.replay(reading.events[: self._recorded])

    def _record_new(self, state: StudyState) -> None:
        reading = read_journal(self._folder, self._read.end)
        self._pending.extend(reading.events)
        self._read = Position(self._read.events + len(reading.events), reading.end)
        while self._pending and not self._abandoned.is_set():
            singly = self._recorded < self._singly_until
            self._record_next(state, 1 if singly else min(EVENTS_A_SAVE, len(self._pending)))

    def _record_next(self, state: StudyState, count: int) -> None:
        """Record the next ``count`` events and save them together."""
        done = self._recorded + count
        try:
            for event in [self._pending.popleft() for _ in range(count)]:
                if state.apply(event):
                    self._tracker.record(event, state)
            self._tracker.save(done)
        except RecordRefusedError as refusal:
            if count > 1:
                self._singly_until = max(self._singly_until, done)
                raise
            # The tracker's state may be out of date, so the first refusal of an event only reconnects.
            if self._recorded not in self._refused_once:
                self._refused_once.add(self._recorded)
                raise
            line = f"{type(event).__name__} (journal line {done})"
            self._refusals[self._recorded] = f"{line}: {refusal}"
            self._tracker.save(done)
        self._recorded = done


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowerReport:
    """Result of following a journal to its end."""

    events_left: int
    """Number of events that are not recorded; the next follower records them."""
    failure: str | None
    """The tracker's reason for events that are left; None if there was no failure."""
    refused: tuple[str, ...]
    """Events that the tracker refused permanently, each with its reason."""


class Follower:
    """Records a journal in a background thread. Its failures never stop the study."""

    def __init__(
        self, folder: Path, tracker: Tracker, *, poll_s: float = 0.2, longest_wait_s: float = 30.0
    ) -> None:
        """Prepare to follow the journal in ``folder``.

        Args:
            folder: Folder of the study.
            tracker: Records the events; only the background thread uses it.
            poll_s: Seconds between two reads of the journal, and the first wait after a failure.
            longest_wait_s: Longest wait in seconds; waits after failures double up to it.
        """
        self.failure: str | None = None
        """Reason of the last failure; None if the last try succeeded."""
        self.keeps_up = False
        """Whether all events were recorded at some time after the last failure or wait that was in vain."""
        self._has_answered = False
        self._poll_s = poll_s
        self._longest_wait_s = longest_wait_s
        self._closing = threading.Event()
        self._abandoned = threading.Event()
        self._wake = threading.Event()
        """Set to end the wait until the next look at the journal."""
        self._projection = Projection(folder, tracker, self._abandoned)
        self._turn = _turns[folder.resolve()]
        # A daemon thread, so that a hanging store does not prevent a finished study from exiting.
        self._thread = threading.Thread(target=self._follow, name="tracking", daemon=True)

    def start(self) -> Self:
        """Start to record the journal, unless that has begun already, and return the follower."""
        if self._thread.ident is None:
            self._thread.start()
        return self

    @property
    def events_left(self) -> int:
        """Number of events in the journal that are not yet recorded."""
        return self._projection.events_left()

    def let_catch_up(self) -> None:
        """Wait until at most ``MOST_LEFT`` events are not recorded, for ``CATCH_UP_S`` at most.

        Trials that take no time write events faster than MLflow takes them. A study without this wait would
        end no earlier: the rest is sent at its end. A tracker that fails, is too slow or has much to record
        of earlier sessions is not waited for until it has recorded everything.
        """
        until = time.monotonic() + CATCH_UP_S
        while self.keeps_up and self.events_left > MOST_LEFT:
            if time.monotonic() >= until:
                self.keeps_up = False
            self._wake.set()
            time.sleep(CATCH_UP_LOOK_S)

    def close(self, timeout_s: float) -> FollowerReport:
        """Record all events that the journal has now, for at most ``timeout_s`` seconds.

        A follower that has not been started records nothing. A tracker that has failed from the beginning is
        given ``NEVER_ANSWERED_S`` seconds at most; one that has answered may come back. What ``remarks_to``
        names is called once if this takes long. After the time, the thread ends with its present save.
        """
        self._closing.set()
        self._wake.set()
        started, say = time.monotonic(), _say.get()
        while self._thread.is_alive():
            is_down = self.failure is not None and not self._has_answered
            limit_s = min(timeout_s, NEVER_ANSWERED_S) if is_down else timeout_s
            waited_s = time.monotonic() - started
            if waited_s >= limit_s:
                break
            if say and waited_s >= REMARK_S:
                say(self._waiting_line(limit_s - waited_s))
                say = None
            self._thread.join(min(limit_s - waited_s, LOOK_S))
        failure = self.failure
        if self._thread.is_alive() and failure is None:
            failure = f"not finished within {timeout_s:g} s"
        self._abandoned.set()
        self._wake.set()
        return FollowerReport(
            events_left=self.events_left,
            failure=failure,
            refused=self._projection.refused,
        )

    def _waiting_line(self, left_s: float) -> str:
        events = counted(self.events_left, "event")
        return f"sending {events} to MLflow, for {counted(math.ceil(left_s), 'second')} at most"

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close(self._longest_wait_s)

    def _follow(self) -> None:
        """Record the journal, after an earlier follower of it has ended the save with which it was left."""
        while not self._turn.acquire(timeout=self._poll_s):
            if self._abandoned.is_set():
                return
        try:
            self._record()
        finally:
            self._turn.release()

    def _record(self) -> None:
        wait_s = self._poll_s
        while not self._abandoned.is_set():
            # Read before the journal, so that everything appended before closing is recorded.
            closing = self._closing.is_set()
            try:
                self._projection.advance()
            except Exception as error:  # a store may fail in ways that no list holds
                self.failure, self.keeps_up = without_passwords(described(error)), False
                wait_s = min(2 * wait_s, self._longest_wait_s)
            else:
                self.failure, wait_s = None, self._poll_s
                self._has_answered = self.keeps_up = True
                if closing:
                    return
            self._wake.wait(wait_s)
            self._wake.clear()
