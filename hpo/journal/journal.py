"""Journal of a study: an append-only file, with every line on disk before the study continues."""

import contextlib
import errno
import json
import os
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from hpo.journal.codec import from_json, to_json
from hpo.journal.events import DataMoved, Event, StudyCreated, StudyRenamed
from model.documents import parse_json, read_limited
from model.errors import StorageError, UserError
from model.locks import LockHeldError, is_locked, take_lock
from model.shell import shell_line

_JOURNAL = "journal.jsonl"
_NEW = "journal.jsonl.new"
"""The journal until its first events are on disk; nothing reads it."""
_LOCK = "lock"
_WRITER = "writer.json"
# Some three million events.
_MAX_BYTES = 1 << 30
_MAX_WRITER_BYTES = 4096
_TAIL_BYTES = 1 << 18
"""Bytes at the end of a journal that hold its last line, but for studies with an enormous result."""
_READ_ONLY = (errno.EACCES, errno.EPERM, errno.EROFS)
"""Errors where this user may read only: a study of another user, or a read-only file system."""
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# ``writer_of`` looks at the lock for an instant; a writer that starts just then must not give up.
_PATIENCE_S = 1.0


@dataclass(frozen=True, slots=True)
class Reading:
    """Complete lines that were read from a journal."""

    events: tuple[Event, ...]
    end: int
    """Byte at which the next reading starts."""


class Journal:
    """The only writer of a study's journal; it holds the study's lock until it is closed."""

    def __init__(self, folder: Path, lock: int) -> None:
        """Set up a journal; called by ``create`` and ``open``, which take the lock first, a descriptor."""
        self.folder = folder
        self._lock = lock
        self.dropped_bytes = 0
        """Length of a last line that a kill left unfinished and that was dropped on opening."""
        self._file = os.open(folder / _JOURNAL, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o666)

    @classmethod
    def create(cls, folder: Path) -> Self:
        """Start the journal of a new study, making its folder.

        Raises:
            UserError: The folder already contains a study, cannot be written, or is being made by another
                process.
        """
        journal = cls._locked(folder)
        if next(stored_events(folder), None) is not None:
            journal.close()
            raise UserError(
                f"study {folder.name!r} exists already",
                folder=folder,
                fix="choose another name",
            )
        return journal

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Continue the journal of a study; an unfinished last line is dropped.

        Read the events before you append one: only reading finds a damaged line, and opening does not read.

        Raises:
            UserError: There is no such study, or another process is running it.
        """
        _require_journal(folder)
        return cls._locked(folder)

    @classmethod
    def _locked(cls, folder: Path) -> Self:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            lock = take_lock(folder / _LOCK, wait_s=_PATIENCE_S)
        except LockHeldError:
            raise UserError(
                f"study {folder.name!r} is being run by {_last_writer(folder)}",
                folder=folder,
                fix="wait for it, or stop it first",
            ) from None
        except OSError as error:
            raise _unwritable(folder, error) from error
        try:
            writer = {"process": os.getpid(), "host": socket.gethostname()}
            (folder / _WRITER).write_text(json.dumps(writer))
            journal = cls(folder, lock)
            journal._drop_unfinished_line()
        except OSError as error:
            os.close(lock)
            raise _unwritable(folder, error) from error
        return journal

    def append(self, *events: Event) -> None:
        """Write events to disk before returning, with one wait for the disk.

        The first events of a study appear together or not at all: its creation alone cannot be continued. Of
        later events that are written together, a kill may leave the first ones.

        Raises:
            StorageError: The disk is full or missing; the journal is unchanged.
        """
        content = b"".join(to_json(event).encode() + b"\n" for event in events)
        end = os.lseek(self._file, 0, os.SEEK_END)
        try:
            if end == 0:
                self._begin(content)
            else:
                _write(self._file, content)
        except OSError as error:
            with contextlib.suppress(OSError):
                os.ftruncate(self._file, end)
            raise _unwritable(self.folder, error) from error

    def _begin(self, content: bytes) -> None:
        """Replace the empty journal by a file with the first events, once they are on disk."""
        new = self.folder / _NEW
        file = os.open(new, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_TRUNC, 0o666)
        try:
            _write(file, content)
            new.replace(self.folder / _JOURNAL)
        except OSError:
            os.close(file)
            new.unlink(missing_ok=True)
            raise
        os.close(self._file)
        self._file = file
        _sync_folder(self.folder)

    def events(self) -> tuple[Event, ...]:
        """Return all events that were written so far."""
        return read_journal(self.folder).events

    def close(self) -> None:
        """Release the lock, so that another process can write."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
            os.close(self._lock)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _drop_unfinished_line(self) -> None:
        content = (self.folder / _JOURNAL).read_bytes()
        whole = content.rfind(b"\n") + 1
        self.dropped_bytes = len(content) - whole
        if self.dropped_bytes:
            os.ftruncate(self._file, whole)
            os.fsync(self._file)


def read_journal(folder: Path, start: int = 0) -> Reading:
    """Read complete lines from byte ``start`` on, without a lock; an unfinished last line is ignored.

    Raises:
        UserError: There is no such study, or a line, which is named, is damaged.
    """
    lines = list(_lines(folder, start))
    return Reading(tuple(event for event, _ in lines), lines[-1][1] if lines else start)


def stored_events(folder: Path) -> Iterator[Event]:
    """Yield the events of a journal one by one, so that a long journal takes no memory.

    Raises:
        UserError: There is no such study, or a line, which is named, is damaged.
    """
    for event, _ in _lines(folder, 0):
        yield event


def stored_creation(folder: Path) -> Iterator[Event]:
    """Yield the creation of a study, its renames and the moves of its data, without reading other lines.

    Raises:
        UserError: There is no such study, or one of these lines, which is named, is damaged.
    """
    kinds = (StudyCreated, StudyRenamed, DataMoved)
    marks = tuple(json.dumps(fields(kind)[0].default).encode() for kind in kinds)
    for event, _ in _lines(folder, 0, marks):
        if isinstance(event, kinds):
            yield event


def count_events(folder: Path, start: int = 0) -> int:
    """Return the number of events in a journal from byte ``start`` on; an unfinished last line is ignored.

    Raises:
        UserError: There is no such study.
    """
    _require_journal(folder)
    with (folder / _JOURNAL).open("rb") as file:
        file.seek(start)
        return file.read().count(b"\n")


def _lines(folder: Path, start: int, marks: Sequence[bytes] = ()) -> Iterator[tuple[Event, int]]:
    """Yield each event, with marks each whose line has one, with the byte at which the next line starts."""
    _require_journal(folder)
    with (folder / _JOURNAL).open("rb") as file:
        file.seek(start)
        end = start
        for number, line in enumerate(file):
            if not line.endswith(b"\n"):
                return
            end += len(line)
            if marks and not any(mark in line for mark in marks):
                continue
            try:
                event = from_json(line[:-1])
            except ValueError as error:
                raise _damaged(folder, start, number, error) from error
            yield event, end


def has_events(folder: Path) -> bool:
    """Return whether a folder has a study: a journal with an event."""
    journal = folder / _JOURNAL
    return journal.is_file() and journal.stat().st_size > 0


def changed_at(folder: Path) -> float:
    """Return the time of a study's last event, in seconds since 1970, whatever copied its folder.

    Of a journal whose end is damaged it is the time at which the file changed.
    """
    journal = folder / _JOURNAL
    with journal.open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL_BYTES))
        lines = file.read().splitlines(keepends=True)
    last = next((line for line in reversed(lines) if line.endswith(b"\n")), b"")
    try:
        return datetime.fromisoformat(json.loads(last)["at"]).timestamp()
    except (ValueError, TypeError, KeyError):
        return journal.stat().st_mtime


def is_unbegun(folder: Path) -> bool:
    """Return whether a folder has nothing but what a process killed before a study's first event leaves."""
    names = {file.name for file in folder.iterdir()}
    return names <= {_JOURNAL, _NEW, _LOCK, _WRITER} and not has_events(folder)


def writer_of(folder: Path) -> str | None:
    """Describe the process that is running the study; None if there is none.

    Raises:
        StorageError: The file system has no locks, so that nobody can know.
    """
    return _last_writer(folder) if is_locked(folder / _LOCK) else None


def _last_writer(folder: Path) -> str:
    try:
        writer = parse_json(read_limited(folder / _WRITER, _MAX_WRITER_BYTES))
        return f"process {writer['process']} on {writer['host']}"
    except (OSError, ValueError, KeyError, TypeError):
        # Its note is written just after the lock is taken.
        return "another process"


def _unwritable(folder: Path, error: OSError) -> StorageError:
    resume = shell_line("hpo", "resume", folder.name)
    if error.errno in _READ_ONLY:
        fix = "make its folder writable, then repeat the command"
    elif error.errno in _FULL:
        fix = f"make room, then {resume}"
    else:
        fix = f"make its disk usable again, then {resume}"
    return StorageError(f"the journal cannot be written: {error.strerror}", file=folder / _JOURNAL, fix=fix)


def _require_journal(folder: Path) -> None:
    if not (folder / _JOURNAL).is_file():
        raise UserError(f"there is no study {folder.name!r}", looked_for=folder / _JOURNAL)
    if (folder / _JOURNAL).stat().st_size > _MAX_BYTES:
        raise UserError(
            f"the journal is larger than {_MAX_BYTES >> 30} GiB: no study writes so much",
            file=folder / _JOURNAL,
        )


def _damaged(folder: Path, start: int, number: int, error: ValueError) -> UserError:
    path = folder / _JOURNAL
    before = path.read_bytes()[:start].count(b"\n")
    return UserError(
        f"line {before + number + 1} of the journal cannot be read: {error}",
        file=path,
        fix="restore the line from a copy; lines after it depend on it",
    )


def _write(file: int, content: bytes) -> None:
    while content:
        content = content[os.write(file, content) :]
    os.fsync(file)


def _sync_folder(folder: Path) -> None:
    # A new file is only found again after a power cut when its folder is on disk too.
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
