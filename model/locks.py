"""Locks between processes, also on several machines: whoever locks a file holds it until its process ends."""

import contextlib
import errno
import fcntl
import math
import os
import time
from collections.abc import Iterator
from pathlib import Path

from model.errors import StorageError

_HELD = (errno.EAGAIN, errno.EACCES)
_NO_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP)
"""Errors of file systems without locks, such as Lustre without ``flock`` or NFS with ``nolock``."""
_LOOK_EVERY_S = 0.05


class LockHeldError(Exception):
    """Another process holds a lock."""


def take_lock(file: Path, *, wait_s: float = math.inf) -> int:
    """Lock ``file``, which is created if it is missing, and return the descriptor whose closing releases it.

    The file stays in place, also after a kill, which releases the lock: its existence says nothing.

    Args:
        file: The file to lock; nothing is written into it.
        wait_s: Seconds to wait for another process that holds it; 0: do not wait.

    Raises:
        LockHeldError: Another process holds it for longer.
        StorageError: The file system has no locks.
        OSError: The file cannot be opened.
    """
    until = time.monotonic() + wait_s
    while True:
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o666)
        is_ours = False
        try:
            # Whoever held it may have deleted the file meanwhile; others would lock a new one.
            is_ours = try_lock(descriptor, file) and os.fstat(descriptor).st_nlink > 0
        finally:
            if not is_ours:
                os.close(descriptor)
        if is_ours:
            return descriptor
        if time.monotonic() >= until:
            raise LockHeldError(str(file))
        time.sleep(_LOOK_EVERY_S)


@contextlib.contextmanager
def locked(file: Path, *, wait_s: float = math.inf) -> Iterator[None]:
    """Hold the lock ``file`` inside the context; see ``take_lock``."""
    descriptor = take_lock(file, wait_s=wait_s)
    try:
        yield
    finally:
        os.close(descriptor)


def is_locked(file: Path) -> bool:
    """Return whether another process holds a lock; processes that ask at the same time do not see each other.

    Raises:
        StorageError: The file system has no locks.
        OSError: The file cannot be read.
    """
    try:
        opened = file.open("rb")
    except (FileNotFoundError, NotADirectoryError):
        return False
    with opened:
        return not try_lock(opened.fileno(), file, fcntl.LOCK_SH)


def try_lock(descriptor: int, file: Path, kind: int = fcntl.LOCK_EX) -> bool:
    """Lock the open ``file`` until its descriptor is closed, if no other process holds it.

    Returns:
        Whether it is locked now.

    Raises:
        StorageError: The file system has no locks.
    """
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _HELD:
            return False
        if error.errno in _NO_LOCKS:
            raise _no_locks(file, error) from error
        raise
    return True


def _no_locks(file: Path, error: OSError) -> StorageError:
    return StorageError(
        f"the file system of {file.parent} has no locks between processes: {error.strerror}",
        expected="one where flock works, so that two processes never write the same files",
        fix="mount it with locks (Lustre: flock; NFS: without nolock), or name folders elsewhere: HPO_RUNS "
        "for studies, HPO_CACHE for caches",
    )
