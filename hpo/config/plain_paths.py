"""Paths for programs that misread some: a link with a plain name stands for such a folder."""

import contextlib
import hashlib
import os
import stat
import tempfile
from pathlib import Path


def is_text(path: Path | str) -> bool:
    """Return whether a path is text; on Unix, names of files may be any bytes."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True


def plain_path(folder: Path, *, misread: str = "") -> Path:
    """Return ``folder``, or a link to it if its path is not text or contains a character of ``misread``.

    The link has the same name each time. It lies in a folder of this user among the temporary files of this
    machine, and is made again when it was deleted.
    """
    if is_text(folder) and not set(misread).intersection(str(folder)):
        return folder
    link = _links() / hashlib.sha256(os.fsencode(folder)).hexdigest()[:20]
    with contextlib.suppress(FileExistsError):
        link.symlink_to(folder)
    return link


def _links() -> Path:
    """Return a folder that only this user can write."""
    temporary = Path(tempfile.gettempdir())
    if not is_text(temporary) or set("%?").intersection(str(temporary)):
        temporary = Path("/tmp")  # what lies in it is checked below
    folder = temporary / f"hpo-links-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o022:
        return Path(tempfile.mkdtemp(prefix="hpo-links-", dir=temporary))
    return folder
