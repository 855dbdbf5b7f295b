"""Mark in a trial's folder while a process trains the trial: a process that dies leaves it behind."""

import contextlib
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from hpo.trial.files import IN_TRAINING
from model.errors import StorageError


@contextlib.contextmanager
def marked(folders: Sequence[Path]) -> Iterator[None]:
    """Mark trials while this process trains them, or opens one, which can kill the process too.

    Raises:
        StorageError: The folder of a trial cannot be written.
    """
    for folder in folders:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / IN_TRAINING).write_text("")
        except OSError as error:
            raise StorageError(f"cannot write to {folder}: {error.strerror}") from error
    try:
        yield
    except Exception:  # the process has survived it
        _unmark(folders)
        raise
    _unmark(folders)


def add_reason(folder: Path, reason: str) -> bool:
    """Record why the process that trains the trial is about to end; return False if none trains it."""
    with contextlib.suppress(OSError), (folder / IN_TRAINING).open("r+") as file:
        file.write(reason)
        return True
    return False


def age_s(folder: Path) -> float | None:
    """Return for how long a process has trained the trial, in seconds; None if none trains it."""
    with contextlib.suppress(OSError):
        return time.time() - (folder / IN_TRAINING).stat().st_mtime
    return None


def read(folder: Path) -> str | None:
    """Return why the process that trained the trial died.

    Returns:
        The reason, empty if none was recorded; None if no process died while it trained the trial.
    """
    with contextlib.suppress(OSError):
        return (folder / IN_TRAINING).read_text(errors="replace")
    return None


def take(folder: Path) -> str | None:
    """Return what ``read`` returns, and remove the mark, so that each death is seen once."""
    reason = read(folder)
    _unmark([folder])
    return reason


def _unmark(folders: Sequence[Path]) -> None:
    for folder in folders:
        with contextlib.suppress(OSError):
            (folder / IN_TRAINING).unlink(missing_ok=True)
