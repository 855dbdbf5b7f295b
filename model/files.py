"""Write files atomically, find them, and check that paths stay inside their folder."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from model.errors import StorageError

_LONGEST_NAME = 255
_LONGEST_PATH = 1000


def write_whole(file: Path, content: bytes | memoryview) -> None:
    """Write ``content`` to ``file`` atomically, replacing an existing file; the folder must exist.

    If ``file`` is a link to a file, that one is replaced and the link stays.

    The bytes reach the disk before the name does, so that not even a power cut leaves a partial file.

    Raises:
        OSError: The file cannot be written; it is named, not the temporary one.
    """
    try:
        _write_and_rename(file.resolve() if file.is_file() else file, content)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(file)) from error


def write_new(file: Path, content: bytes | memoryview, *, refusal: str, fix: str) -> None:
    """Write ``content`` to ``file`` atomically; a file with other content stays as it is.

    Args:
        file: The file; its folder must exist.
        content: The content.
        refusal: Message of the error if the file has other content.
        fix: What the user can do then.

    Raises:
        StorageError: The file exists with other content.
    """
    if file.exists() and file.read_bytes() != content:
        raise StorageError(refusal, file=file, fix=fix)
    write_whole(file, content)


def _write_and_rename(file: Path, content: bytes | memoryview) -> None:
    handle, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        # mkstemp makes files for their owner only; folders of data and studies are often shared.
        temporary.chmod(0o644)
        temporary.replace(file)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def files_below(root: Path) -> Iterator[Path]:
    """Yield the files in all folders below ``root``, in folders behind symbolic links too.

    A folder that several links lead to, or that contains a link to itself, is entered once.
    """
    entered: set[tuple[int, int]] = set()
    for folder, inner, names in os.walk(root, followlinks=True):
        status = Path(folder).stat()
        if (status.st_dev, status.st_ino) in entered:
            inner.clear()
            continue
        entered.add((status.st_dev, status.st_ino))
        inner.sort()
        yield from (Path(folder, name) for name in sorted(names))


def broken_link(path: Path) -> str | None:
    """Describe a symbolic link that leads to nothing, or to itself, with what to do; None for all else."""
    if path.is_symlink() and not path.exists():
        return (
            f"a link to {path.readlink()}, where there is nothing; correct the link, or copy its target here"
        )
    return None


def path_fault(path: str) -> str | None:
    """Return the reason why ``path`` cannot name a file inside a folder, or None if it can."""
    parts = PurePosixPath(path).parts
    if not parts:
        return "it names no file"
    if PurePosixPath(path).is_absolute() or ".." in parts:
        return "it lies outside the data folder"
    if any(character < " " or character == "\x7f" for character in path):
        return "it contains control characters"
    if any(len(part.encode(errors="replace")) > _LONGEST_NAME for part in parts) or len(path) > _LONGEST_PATH:
        return "it is longer than file systems allow"
    return None
