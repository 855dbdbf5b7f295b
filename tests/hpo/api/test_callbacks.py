"""Callbacks: every new event once, in order; an error stops the study and reaches the caller."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from hpo.api.callbacks import announced
from hpo.journal.events import Event, Noticed, StudyCreated, StudyInterrupted
from hpo.journal.journal import Journal
from hpo.journal.results import StudyState

CREATED = StudyCreated(
    study="s", plan={"study": {"task": "calf"}}, seed=0, data_digest="d", code_digest="c", versions={}
)
STATE = StudyState.replay([CREATED])


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal.create(tmp_path / "s") as journal:
        yield journal


def test_every_new_event_is_announced_once_also_the_last(journal: Journal) -> None:
    journal.append(CREATED)
    seen: list[Event] = []
    shown: list[StudyState] = []
    with announced([seen.append], journal.folder, shown.append) as listener:
        journal.append(Noticed(message="one"))
        journal.append(Noticed(message="two"))
        listener(STATE)
        listener(STATE)
        journal.append(StudyInterrupted(reason="stopped"))
    assert [type(event).__name__ for event in seen] == ["Noticed", "Noticed", "StudyInterrupted"]
    assert shown == [STATE, STATE]


def test_of_a_new_study_all_events_are_announced(tmp_path: Path) -> None:
    seen: list[Event] = []
    with announced([seen.append], tmp_path / "new", lambda state: None) as listener:
        with Journal.create(tmp_path / "new") as journal:
            journal.append(CREATED)
            listener(STATE)
    assert seen == [CREATED]


def test_without_callbacks_the_listener_is_left_as_it_is(tmp_path: Path) -> None:
    def listener(state: StudyState) -> None: ...

    with announced([], tmp_path / "none", listener) as found:
        assert found is listener


def test_an_error_stops_the_study_as_ctrl_c_does_and_reaches_the_caller(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[int] = []
    called: list[Event] = []
    monkeypatch.setattr(signal, "raise_signal", sent.append)

    def fail(event: Event) -> None:
        called.append(event)
        raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        with announced([fail], journal.folder, lambda state: None) as listener:
            journal.append(CREATED)
            listener(STATE)
            journal.append(Noticed(message="later"))
            listener(STATE)
    assert sent == [signal.SIGINT]
    assert called == [CREATED]


def test_an_error_stops_the_study_also_where_ctrl_c_is_ignored(journal: Journal) -> None:
    """As in a script's background."""

    def fail(event: Event) -> None:
        raise ValueError("mine")

    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with pytest.raises(ValueError, match="mine"):
            with announced([fail], journal.folder, lambda state: None) as listener:
                journal.append(CREATED)
                with pytest.raises(KeyboardInterrupt):
                    listener(STATE)
    finally:
        signal.signal(signal.SIGINT, before)
