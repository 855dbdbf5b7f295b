from datetime import UTC, datetime, timedelta

from hpo.journal.events import DataMoved, Event, Noticed, StudyInterrupted, StudyResumed
from hpo.journal.running_time import RunningTime

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def after(*events: Event) -> RunningTime:
    running = RunningTime(NOON)
    for event in events:
        running.record(event)
    return running


def test_time_between_sessions_does_not_count() -> None:
    running = after(
        Noticed(at=at(10), message="m"),
        StudyInterrupted(at=at(12), reason="r"),
        DataMoved(at=at(500), data="/d"),
        StudyResumed(at=at(1000), versions={}),
        Noticed(at=at(1005), message="m"),
    )
    assert running.seconds() == 17
    assert running.seconds(at(1010)) == 22


def test_stopped_study_uses_no_time() -> None:
    running = after(StudyInterrupted(at=at(12), reason="r"))
    assert running.seconds(at(9999)) == 12


def test_killed_session_ends_with_its_last_event() -> None:
    running = after(Noticed(at=at(30), message="m"), StudyResumed(at=at(4000), versions={}))
    assert running.seconds(at(4001)) == 31


def test_copy_of_a_study_begins_anew_although_its_events_are_older() -> None:
    assert after(Noticed(at=at(-500), message="m")).seconds() == 0
