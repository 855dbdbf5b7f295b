"""What is appended is on disk; what a kill cuts short is not taken for an event."""

import contextlib
import errno
import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hpo.journal.events import (
    DataMoved,
    Event,
    Noticed,
    StudyCreated,
    StudyInterrupted,
    StudyRenamed,
    TrialFailed,
)
from hpo.journal.journal import Journal, is_unbegun, read_journal, stored_creation, writer_of
from hpo.journal.results import StudyState
from model.errors import StorageError, UserError

CREATED = StudyCreated(study="demo", plan={}, seed=0, data_digest="d", code_digest="c", versions={})
FAILURES = [TrialFailed(trial=f"bayes-{number:04d}", reason="it was näive") for number in range(3)]
FILE = "journal.jsonl"

APPEND_FOR_EVER = """
import sys
from pathlib import Path
from hpo.journal.events import TrialFailed
from hpo.journal.journal import Journal
with Journal.open(Path(sys.argv[1])) as journal:
    number = 0
    while True:
        journal.append(TrialFailed(trial=str(number), reason="x" * 10_000))
        print(number, flush=True)
        number += 1
"""
APPEND_WITH_LITTLE_ROOM = """
import os, resource, sys
from pathlib import Path
from hpo.journal.events import TrialFailed
from hpo.journal.journal import Journal
from model.errors import UserError
with Journal.open(Path(sys.argv[1])) as journal:
    room = os.path.getsize(Path(sys.argv[1]) / "journal.jsonl") + 100
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))
    try:
        journal.append(TrialFailed(trial="t", reason="x" * 10_000))
    except UserError as error:
        print(error)
"""


@contextlib.contextmanager
def appending(folder: Path) -> Iterator["subprocess.Popen[str]"]:
    """Another process appends to the study without end."""
    command = [sys.executable, "-c", APPEND_FOR_EVER, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        try:
            yield process
        finally:
            process.kill()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of a study with four events."""
    folder = tmp_path / "studies" / "demo"
    write(folder, [CREATED, *FAILURES])
    return folder


def write(folder: Path, events: list[Event]) -> None:
    with Journal.create(folder) as journal:
        for event in events:
            journal.append(event)


def test_events_are_read_in_the_order_they_were_appended(folder: Path) -> None:
    assert read_journal(folder).events == (CREATED, *FAILURES)


def test_a_reader_sees_an_event_as_soon_as_it_is_appended(folder: Path) -> None:
    with Journal.open(folder) as journal:
        journal.append(StudyInterrupted(reason="Ctrl-C"))
        assert read_journal(folder).events == journal.events()
        assert len(journal.events()) == 5


def test_an_event_is_forced_to_the_disk_before_append_returns(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forced: list[bytes] = []
    with Journal.open(folder) as journal:
        monkeypatch.setattr(os, "fsync", lambda file: forced.append((folder / FILE).read_bytes()))
        journal.append(StudyInterrupted(reason="Ctrl-C"))
        assert forced == [(folder / FILE).read_bytes()]


def test_events_that_are_appended_together_wait_for_the_disk_once(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forced: list[int] = []
    with Journal.open(folder) as journal:
        monkeypatch.setattr(os, "fsync", lambda file: forced.append(len(read_journal(folder).events)))
        journal.append(*FAILURES)
        assert forced == [7]
        assert journal.events() == (CREATED, *FAILURES, *FAILURES)


def test_first_events_of_a_study_appear_together_once_they_are_on_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forced: list[int] = []
    with Journal.create(tmp_path / "demo") as journal:
        monkeypatch.setattr(os, "fsync", lambda file: forced.append(len(journal.events())))
        journal.append(CREATED, *FAILURES)
        assert forced == [0, 4]
        journal.append(FAILURES[0])
        assert journal.events() == (CREATED, *FAILURES, FAILURES[0])


def test_a_reader_goes_on_where_its_last_reading_ended(folder: Path) -> None:
    first = read_journal(folder)
    assert read_journal(folder, first.end).events == ()
    with Journal.open(folder) as journal:
        journal.append(last := StudyInterrupted(reason="Ctrl-C"))
    assert read_journal(folder, first.end).events == (last,)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(share=st.floats(0, 1))
def test_any_cut_of_a_journal_is_a_prefix_of_its_events(folder: Path, share: float) -> None:
    whole = (folder / FILE).read_bytes()
    cut = whole[: round(share * len(whole))]
    (folder / FILE).write_bytes(cut)
    try:
        events = read_journal(folder).events
        assert events == (CREATED, *FAILURES)[: cut.count(b"\n")]
        with Journal.open(folder) as journal:
            assert journal.dropped_bytes == len(cut) - (cut.rfind(b"\n") + 1)
            journal.append(FAILURES[0])
            assert journal.events() == (*events, FAILURES[0])
    finally:
        (folder / FILE).write_bytes(whole)


@pytest.mark.parametrize("damage", [b"{}\n", b"\0\0\0\n", b"\xff\xfe\n", b"\n", b'{"event": "trial-fai\n'])
def test_a_damaged_line_is_named(folder: Path, damage: bytes) -> None:
    lines = (folder / FILE).read_bytes().splitlines(keepends=True)
    (folder / FILE).write_bytes(b"".join([*lines[:2], damage, *lines[3:]]))
    with pytest.raises(UserError, match="line 3 of the journal cannot be read") as refused:
        read_journal(folder)
    assert str(folder / FILE) in str(refused.value)
    with pytest.raises(UserError, match="line 3"), Journal.open(folder) as journal:
        journal.events()
    assert writer_of(folder) is None


def test_opening_a_journal_reads_none_of_its_events(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[bytes] = []
    monkeypatch.setattr("hpo.journal.journal.from_json", read.append)
    with Journal.open(folder):
        assert read == []


def test_a_damaged_line_is_named_by_its_place_in_the_whole_file(folder: Path) -> None:
    end = read_journal(folder).end
    with (folder / FILE).open("ab") as file:
        file.write(b"oops\n")
    with pytest.raises(UserError, match="line 5 of the journal"):
        read_journal(folder, end)


def test_a_study_is_not_created_over_another(folder: Path) -> None:
    with pytest.raises(UserError, match="study 'demo' exists already"):
        Journal.create(folder)
    assert read_journal(folder).events == (CREATED, *FAILURES)
    assert writer_of(folder) is None


def test_a_study_killed_before_its_first_event_can_be_created_again(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b'{"event": "study-crea')
    write(tmp_path, [CREATED])
    assert read_journal(tmp_path).events == (CREATED,)


def test_kill_while_the_first_events_are_written_leaves_no_study(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    folder = tmp_path / "demo"
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt), Journal.create(folder) as journal:
        patch.setattr(Path, "replace", killed)
        journal.append(CREATED, *FAILURES)
    assert is_unbegun(folder)
    write(folder, [CREATED])
    assert read_journal(folder).events == (CREATED,)


def test_a_study_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no study 'other'"):
        Journal.open(tmp_path / "other")
    with pytest.raises(UserError, match="there is no study 'other'"):
        read_journal(tmp_path / "other")
    assert writer_of(tmp_path / "other") is None
    assert not (tmp_path / "other").exists()


def test_a_closed_journal_may_be_opened_again(folder: Path) -> None:
    journal = Journal.open(folder)
    journal.close()
    journal.close()
    Journal.open(folder).close()


def test_a_second_process_may_not_write_but_may_read(folder: Path) -> None:
    with appending(folder) as writer:
        assert writer_of(folder) == f"process {writer.pid} on {os.uname().nodename}"
        with pytest.raises(UserError, match=f"study 'demo' is being run by process {writer.pid}"):
            Journal.open(folder)
        assert len(read_journal(folder).events) > 4


def test_a_study_is_read_without_taking_its_lock(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may be of another user, or on a read-only disk; and two readers are no writers to each other."""

    def refuse(*_: object, **__: object) -> int:
        pytest.fail("the lock was taken")

    with appending(folder) as writer:
        monkeypatch.setattr("hpo.journal.journal.take_lock", refuse)
        assert writer_of(folder) == f"process {writer.pid} on {os.uname().nodename}"
    with (folder / "lock").open("rb") as reader:
        fcntl.flock(reader, fcntl.LOCK_SH)
        assert writer_of(folder) is None


@pytest.mark.parametrize("code", [errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP])
def test_study_is_refused_where_processes_cannot_lock_files(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(fcntl, "flock", refuse)
    for use in (writer_of, Journal.open, Journal.create):
        with pytest.raises(StorageError, match=rf"file system of {folder} has no locks") as refused:
            use(folder)
        assert "HPO_RUNS" in refused.value.details["fix"]


def test_nothing_appended_is_lost_by_a_kill(folder: Path) -> None:
    with appending(folder) as writer:
        assert writer.stdout is not None
        told = [writer.stdout.readline() for _ in range(20)]
        writer.send_signal(signal.SIGKILL)
        told += writer.stdout.read().split()
        promised = int(told[-1]) + 1
    # A line that was cut in the middle, as if the kill had come inside the write.
    with (folder / FILE).open("ab") as file:
        file.write(b'{"event": "trial-failed", "at": "20')
    assert writer_of(folder) is None
    with Journal.open(folder) as journal:
        kept = len(journal.events()) - 4
        assert promised <= kept <= promised + 1
        journal.append(FAILURES[0])
        assert len(journal.events()) == 4 + kept + 1


def test_a_full_disk_is_an_error_that_leaves_the_journal_whole(folder: Path) -> None:
    before = (folder / FILE).read_bytes()
    told = subprocess.run(
        [sys.executable, "-c", APPEND_WITH_LITTLE_ROOM, str(folder)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "the journal cannot be written: File too large" in told.stdout
    assert "hpo resume demo" in told.stdout
    assert (folder / FILE).read_bytes() == before


def test_a_file_that_is_far_too_large_for_a_journal_is_not_read(tmp_path: Path) -> None:
    Journal.create(tmp_path / "demo").close()
    with (tmp_path / "demo" / FILE).open("wb") as file:
        file.truncate((1 << 30) + 1)
    for read in (read_journal, Journal.open):
        with pytest.raises(UserError, match="larger than 1 GiB"):
            read(tmp_path / "demo")


def test_creation_is_read_with_renames_and_moves_and_without_other_lines(tmp_path: Path) -> None:
    with Journal.create(tmp_path / "study") as journal:
        journal.append(CREATED)
        journal.append(Noticed(message='"data-moved" is only told of'))
        journal.append(DataMoved(data="there"))
        journal.append(StudyRenamed(study="new"))
    file = tmp_path / "study" / "journal.jsonl"
    file.write_bytes(file.read_bytes() + b"no event\n")
    found = list(stored_creation(tmp_path / "study"))
    assert [type(event) for event in found] == [StudyCreated, DataMoved, StudyRenamed]
    created = StudyState.replay(found).created
    assert (created.study, created.plan["data"]) == ("new", "there")
