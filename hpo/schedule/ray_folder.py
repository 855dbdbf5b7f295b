"""Folder for the sockets and logs of a Ray that one command starts for itself."""

import fcntl
import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from model.errors import UserError

RAY_TMPDIR = "RAY_TMPDIR"
"""Variable with which a user chooses the place; it is then the only one that is tried."""
_PLACES = ("/tmp", "/var/tmp", "/dev/shm", "~")
_PREFIX = "hpo-ray-"
_LOCK = "in-use"
_SOCKET = "session_2026-01-01_00-00-00_000000_4194304/sockets/plasma_store"
"""Longest path of a socket in the folder. Linux refuses paths of sockets with more than 107 bytes."""
_MISREAD = "'\\"
"""Characters that Ray loses when it starts a process, because it splits the command line as a shell would."""
_ROOM_BYTES = 8 << 20
"""Room for the logs of a study."""


class RayFolder:
    """New folder in the first place where Ray can work; only this user can open it.

    Ray's default is ``$TMPDIR/ray``, which may be too long for sockets, full, another user's, or have a name
    that Ray cannot read. A process that was killed leaves its folder behind; the next one deletes it.

    Raises:
        UserError: Ray can work in none of the places.
    """

    def __init__(self) -> None:
        self.path = _make_folder()
        self._lock = _lock(self.path)
        _delete_orphans(self.path.parent)

    def delete(self) -> None:
        """Delete the folder."""
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._lock)

    def keep(self) -> None:
        """Keep the folder for good, so that its user can read Ray's logs."""
        (self.path / _LOCK).unlink(missing_ok=True)
        os.close(self._lock)


def _lock(folder: Path) -> int:
    """Create the file that shows, while this process lives, that ``folder`` is in use."""
    new, file = folder / f"{_LOCK}.new", folder / _LOCK
    lock = os.open(new, os.O_CREAT | os.O_RDWR, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    new.rename(file)
    return lock


def _delete_orphans(place: Path) -> None:
    """Delete the folders in ``place`` whose processes were killed; a folder without the file is kept."""
    for file in place.glob(f"{_PREFIX}*/{_LOCK}"):
        with suppress(OSError):  # in use, or another user's
            lock = os.open(file, os.O_RDWR)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(file.parent, ignore_errors=True)
            finally:
                os.close(lock)


def _make_folder() -> Path:
    reasons = []
    for place in _places():
        try:
            return _made_in(place)
        except OSError as error:
            reasons.append(f"{place}: {error.strerror or error}")
    raise UserError(
        "\n  ".join(["Ray needs a folder for sockets and logs, and none of these can be used:", *reasons]),
        fix=f"set {RAY_TMPDIR} to a folder with a short path of plain letters on a local disk with 8 MB free",
    )


def _places() -> Iterator[Path]:
    if chosen := os.environ.get(RAY_TMPDIR):
        yield Path(chosen).absolute()
        return
    places = [os.environ.get("TMPDIR"), *_PLACES]
    for place in dict.fromkeys(filter(None, places)):
        with suppress(RuntimeError):  # a user without a home
            yield Path(place).expanduser().absolute()


def _made_in(place: Path) -> Path:
    """Create a folder in ``place`` after trying what Ray does there: listen on a socket and write logs."""
    if not str(place).isascii() or set(_MISREAD).intersection(str(place)):
        raise OSError("Ray cannot read a path with a letter outside ASCII, a single quote or a backslash")
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=place))
    try:
        listened, written = folder / _SOCKET, folder / "written"
        listened.parent.mkdir(parents=True)
        _listen(listened)
        written.write_bytes(bytes(_ROOM_BYTES))
        written.unlink()
        shutil.rmtree(folder / listened.relative_to(folder).parts[0])
    except OSError:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return folder


def _listen(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        try:
            listener.bind(str(path))
        except OSError as error:
            if error.errno is None:  # Python measures the path before it asks the system
                raise OSError(f"the path is too long for sockets, by {_excess(path)} characters") from None
            raise


def _excess(path: Path) -> int:
    longest = 107 if os.uname().sysname == "Linux" else 103
    return len(os.fsencode(path)) - longest
