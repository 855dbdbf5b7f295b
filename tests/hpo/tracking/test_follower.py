"""A journal is recorded in the background: everything, in order, once, whatever the store does."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from waiting import wait_until

from hpo.journal.events import Event, StudyCreated, TrialReported
from hpo.journal.journal import Journal, read_journal
from hpo.journal.results import StudyState
from hpo.tracking.follower import Follower, Projection, remarks_to
from hpo.tracking.tracker import RecordRefusedError

Follow = Callable[..., Follower]


class Store:
    """What survives the process that records, as MLflow does."""

    def __init__(self) -> None:
        self.recorded = 0
        self.events: list[Event] = []
        self.down = False


class StoreTracker:
    """Records into a ``Store``, which ignores what it has, and only when it saves."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.held: list[Event] = []
        self.connections = self.saves = 0
        self.refuse: Callable[[Event], bool] = lambda event: False
        self.die_in = 1_000_000

    def connect(self, created: StudyCreated) -> int:
        self._answer()
        self.connections += 1
        self.held = []
        return self.store.recorded

    def record(self, event: Event, state: StudyState) -> None:
        self._answer()
        self.held.append(event)
        if isinstance(event, TrialReported):
            assert state.trials[event.trial].reports[event.epoch] is event

    def save(self, recorded: int) -> None:
        self._answer()
        self.saves += 1
        held, self.held = self.held, []
        if any(map(self.refuse, held)):
            raise RecordRefusedError("no")
        self.store.events += [event for event in held if event not in self.store.events]
        self._answer()
        self.store.recorded = recorded

    def _answer(self) -> None:
        if self.store.down:
            raise ConnectionError("nobody answers")
        self.die_in -= 1
        if self.die_in < 0:
            raise KeyboardInterrupt


class GatedTracker(StoreTracker):
    """Saves only while its gate is open."""

    def __init__(self, store: Store, gate: threading.Event) -> None:
        super().__init__(store)
        self.gate = gate
        self.waits = threading.Event()

    def save(self, recorded: int) -> None:
        if not self.gate.is_set():
            self.waits.set()
        self.gate.wait()
        super().save(recorded)


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def released() -> Iterator[threading.Event]:
    """Ends what hangs, at the end of the test at the latest."""
    event = threading.Event()
    yield event
    event.set()


@pytest.fixture
def tracker(store: Store) -> StoreTracker:
    return StoreTracker(store)


def expected(folder: Path) -> list[Event]:
    """Every event that tells something new; the creation is recorded by connecting."""
    created, *events = read_journal(folder).events
    state = StudyState.replay([created])
    return [event for event in events if state.apply(event)]


def test_events_are_recorded_in_order_and_once(
    follow: Follow, study: Any, store: Store, tracker: StoreTracker
) -> None:
    study.whole()
    follower = follow(study.folder, tracker, poll_s=0.01)
    report = follower.close(5)
    assert (report.events_left, report.failure, report.refused) == (0, None, ())
    assert store.events == expected(study.folder)
    assert store.recorded == len(read_journal(study.folder).events)


def test_events_that_wait_are_saved_together(study: Any, store: Store, tracker: StoreTracker) -> None:
    study.whole()
    Projection(study.folder, tracker).advance()
    assert store.events == expected(study.folder)
    assert tracker.saves == 1


def test_an_epoch_reported_again_after_a_restart_is_recorded_once(
    study: Any, store: Store, tracker: StoreTracker
) -> None:
    study.whole()
    Projection(study.folder, tracker).advance()
    epochs = [e.epoch for e in store.events if isinstance(e, TrialReported) and e.trial == "bayes-0002"]
    assert epochs == [20, 40, 60]


def test_events_are_recorded_while_the_study_goes_on(study: Any, store: Store, tracker: StoreTracker) -> None:
    with Follower(study.folder, tracker, poll_s=0.01):
        study.create()
        wait_until(lambda: len(store.events) == 1)
        study.ask("bayes-0000")
        wait_until(lambda: len(store.events) == 2)
        study.start("bayes-0000")
    assert store.events == expected(study.folder)
    assert tracker.connections == 1


def test_a_follower_waits_for_a_study_that_is_not_created_yet(
    follow: Follow, tmp_path: Path, tracker: StoreTracker
) -> None:
    follower = follow(tmp_path / "later", tracker, poll_s=0.01)
    wait_until(lambda: follower.failure)
    with Journal.create(tmp_path / "later") as journal:
        journal.append(
            StudyCreated(study="later", plan={}, seed=0, data_digest="", code_digest="", versions={})
        )
    report = follower.close(5)
    assert (report.events_left, report.failure, tracker.connections) == (0, None, 1)


def test_a_store_that_was_down_gets_everything_once_it_is_back(
    study: Any, store: Store, tracker: StoreTracker
) -> None:
    study.create()
    with Follower(study.folder, tracker, poll_s=0.01, longest_wait_s=0.05) as follower:
        wait_until(lambda: len(store.events) == 1)
        store.down = True
        study.first_trial()
        wait_until(lambda: follower.failure)
        assert follower.failure == "ConnectionError: nobody answers"
        study.failing_trial()
        store.down = False
        wait_until(lambda: len(store.events) == 10)
        assert follower.failure is None
    assert store.events == expected(study.folder)


def test_what_a_store_missed_is_told_and_recorded_by_the_next_follower(
    follow: Follow, study: Any, store: Store, tracker: StoreTracker
) -> None:
    study.create()
    Projection(study.folder, tracker).advance()
    study.first_trial()
    store.down = True
    report = follow(study.folder, tracker, poll_s=0.01).close(0.2)
    assert report.failure == "ConnectionError: nobody answers"
    assert report.events_left > 0
    store.down = False
    assert follow(study.folder, StoreTracker(store), poll_s=0.01).close(5).events_left == 0
    assert store.events == expected(study.folder)


@pytest.mark.parametrize("fails_before", [True, False])
def test_a_store_that_never_answered_does_not_hold_the_end_up(
    follow: Follow,
    study: Any,
    store: Store,
    tracker: StoreTracker,
    monkeypatch: pytest.MonkeyPatch,
    fails_before: bool,
) -> None:
    monkeypatch.setattr("hpo.tracking.follower.NEVER_ANSWERED_S", 0.1)
    study.create()
    study.first_trial()
    store.down = True
    follower = follow(study.folder, tracker, poll_s=0.01)
    if fails_before:
        wait_until(lambda: follower.failure)
    start = time.monotonic()
    report = follower.close(60)
    assert time.monotonic() - start < 10
    assert report.events_left > 0 and report.failure == "ConnectionError: nobody answers"


def test_a_password_in_the_reason_of_a_failure_is_not_shown(
    follow: Follow, study: Any, tracker: StoreTracker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(created: StudyCreated) -> int:
        raise ConnectionError("no answer from postgresql://me:secret@host/runs")

    monkeypatch.setattr(tracker, "connect", refuse)
    study.create()
    follower = follow(study.folder, tracker, poll_s=0.01)
    wait_until(lambda: follower.failure)
    assert follower.failure == "ConnectionError: no answer from postgresql://host/runs"


def test_a_store_that_hangs_does_not_hold_the_study_up(
    follow: Follow,
    study: Any,
    tracker: StoreTracker,
    monkeypatch: pytest.MonkeyPatch,
    released: threading.Event,
) -> None:
    study.create()
    monkeypatch.setattr(tracker, "connect", lambda created: released.wait())
    follower = follow(study.folder, tracker, poll_s=0.01)
    start = time.monotonic()
    report = follower.close(0.1)
    assert time.monotonic() - start < 10
    assert (report.events_left, report.failure) == (2, "not finished within 0.1 s")


def test_a_follower_that_was_left_ends_with_its_save_and_the_next_one_waits_for_it(
    follow: Follow, study: Any, store: Store, monkeypatch: pytest.MonkeyPatch, released: threading.Event
) -> None:
    monkeypatch.setattr("hpo.tracking.follower.EVENTS_A_SAVE", 3)
    study.whole()
    left, following = GatedTracker(store, released), StoreTracker(store)
    first = follow(study.folder, left, poll_s=0.01)
    left.waits.wait()
    assert first.close(0.05).failure == "not finished within 0.05 s"
    second = follow(study.folder, following, poll_s=0.01)
    assert second.close(0.2).events_left and not following.connections
    third = follow(study.folder, following, poll_s=0.01)
    released.set()
    assert third.close(20).events_left == 0
    assert (left.saves, following.connections) == (1, 1)
    assert store.events == expected(study.folder)


def test_a_long_wait_for_the_store_is_told_once_with_its_limit(
    follow: Follow,
    study: Any,
    tracker: StoreTracker,
    monkeypatch: pytest.MonkeyPatch,
    released: threading.Event,
) -> None:
    monkeypatch.setattr("hpo.tracking.follower.REMARK_S", 0.1)
    monkeypatch.setattr("hpo.tracking.follower.LOOK_S", 0.05)
    study.create()
    told = list[str]()

    def hang(created: StudyCreated) -> int:
        released.wait()
        return 0

    def hear(line: str) -> None:
        told.append(line)
        released.set()

    monkeypatch.setattr(tracker, "connect", hang)
    with remarks_to(hear):
        assert follow(study.folder, tracker, poll_s=0.01).close(60).events_left == 0
        assert told == ["sending 2 events to MLflow, for 60 seconds at most"]
        follow(study.folder, tracker, poll_s=0.01).close(60)
    assert len(told) == 1, "a store that answers is waited for in silence"


@pytest.fixture
def gated(
    follow: Follow, study: Any, store: Store, released: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> tuple[Follower, GatedTracker]:
    """A follower that has recorded all and looks again in an hour; its store saves once it is released."""
    monkeypatch.setattr("hpo.tracking.follower.MOST_LEFT", 1)
    study.create()
    released.set()
    tracker = GatedTracker(store, released)
    follower = follow(study.folder, tracker, poll_s=3600)
    wait_until(lambda: store.recorded == 2)
    wait_until(lambda: follower.keeps_up)
    released.clear()
    study.first_trial()
    return follower, tracker


def test_a_study_that_is_faster_than_the_store_lets_it_catch_up(
    gated: tuple[Follower, GatedTracker], released: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hpo.tracking.follower.CATCH_UP_S", 3600)
    follower, tracker = gated
    study = threading.Thread(target=follower.let_catch_up, daemon=True)
    study.start()
    tracker.waits.wait()  # the follower has been woken
    assert study.is_alive() and follower.events_left > 1
    released.set()
    study.join(30)
    assert not study.is_alive() and follower.events_left <= 1


def test_a_store_that_is_too_slow_or_fails_is_waited_for_once(
    gated: tuple[Follower, GatedTracker],
    store: Store,
    released: threading.Event,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    follower, _ = gated
    monkeypatch.setattr("hpo.tracking.follower.CATCH_UP_S", 0.05)
    follower.let_catch_up()
    monkeypatch.setattr("hpo.tracking.follower.CATCH_UP_S", 3600)
    follower.let_catch_up()
    store.down = True
    released.set()
    wait_until(lambda: follower.failure)
    follower.let_catch_up()
    assert follower.events_left > 1


def test_a_store_that_lost_its_records_gets_them_all_again(study: Any, store: Store) -> None:
    study.whole()
    Projection(study.folder, StoreTracker(store)).advance()
    emptied = Store()
    Projection(study.folder, StoreTracker(emptied)).advance()
    assert emptied.events == store.events


def test_a_record_refused_out_of_date_knowledge_is_tried_again(
    follow: Follow, study: Any, store: Store, tracker: StoreTracker
) -> None:
    study.whole()
    tracker.refuse = lambda event: isinstance(event, TrialReported) and tracker.connections == 1
    report = follow(study.folder, tracker, poll_s=0.01).close(5)
    assert (report.events_left, report.refused, tracker.connections) == (0, (), 2)
    assert store.events == expected(study.folder)


def test_several_refused_records_do_not_take_turns_for_ever(
    follow: Follow, study: Any, store: Store, tracker: StoreTracker
) -> None:
    study.whole()
    tracker.refuse = lambda event: isinstance(event, TrialReported)
    # A wait after each of them would add up to hours.
    report = follow(study.folder, tracker, poll_s=30.0).close(10)
    assert (report.events_left, report.failure) == (0, None)
    assert len(report.refused) == sum(map(tracker.refuse, expected(study.folder))) > 1
    assert store.events == [event for event in expected(study.folder) if not tracker.refuse(event)]


def test_a_record_refused_for_good_is_told_and_does_not_hold_up_the_others(
    follow: Follow, study: Any, store: Store, tracker: StoreTracker
) -> None:
    study.create()
    study.first_trial()
    tracker.refuse = lambda event: isinstance(event, TrialReported) and event.epoch == 20
    report = follow(study.folder, tracker, poll_s=0.01).close(5)
    assert report.events_left == 0
    assert report.refused == ("TrialReported (journal line 5): no",)
    assert store.events == [event for event in expected(study.folder) if not tracker.refuse(event)]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=50)
@given(deaths=st.lists(st.integers(0, 40), max_size=6))
def test_followers_killed_anywhere_leave_nothing_out(study: Any, deaths: list[int]) -> None:
    if not read_journal(study.folder).events:
        study.whole()
    store = Store()
    for calls in deaths:
        tracker = StoreTracker(store)
        tracker.die_in = calls
        try:
            Projection(study.folder, tracker).advance()
        except KeyboardInterrupt:
            pass
    Projection(study.folder, StoreTracker(store)).advance()
    assert store.events == expected(study.folder)
