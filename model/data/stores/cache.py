"""Cache folders: each appears complete or not at all, and is found again without reading its source files."""

import contextlib
import errno
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO

from model.documents import parse_json
from model.errors import DataError, UserError
from model.locks import LockHeldError, locked

_NAME_LENGTH = 16
_OUT_OF_SPACE = (errno.ENOSPC, errno.EDQUOT)


def fingerprint_of(root: Path, files: Iterable[Path], *settings: object) -> str:
    """Return a hash of ``files`` and ``settings``; an equal one means unchanged, without reading any file.

    It takes names, sizes and times of the files: of the last write, which archives set, and of the last
    change, which only the system sets. The folder counts too, because a mount can set both times.

    Args:
        root: Folder of the data.
        files: Files below ``root``; one that is missing counts as missing.
        settings: What else the content depends on; JSON must be able to hold it.
    """
    stamps = [(file.relative_to(root).as_posix(), *_stamp(file)) for file in files]
    content = json.dumps([str(root.resolve()), stamps, settings])
    return hashlib.sha256(content.encode()).hexdigest()[:32]


def cached_folder(cache: Path, fingerprint: str, write: Callable[[Path], str], *, prefix: str = "") -> Path:
    """Return the folder in ``cache`` with this ``fingerprint`` and create it if it is missing.

    If two processes request the same folder, one creates it and the other waits. An incomplete folder of a
    killed process is never used; the next process that creates a folder removes it.

    Args:
        cache: Parent of all cache folders; created if it is missing.
        fingerprint: Hash of everything that the content depends on, by ``fingerprint_of``.
        write: Fills an empty folder, including ``meta.json``, and returns the digest of its content.
        prefix: Start of the folder's name, before the digest.

    Raises:
        UserError: The cache folder cannot be created, its file system has no locks, or the disk is full.
    """
    found = _indexed(cache, fingerprint, prefix)
    if found is not None:
        return found
    building = cache / "building"
    _make_folders(building, cache / "index")
    with locked(building / f"{fingerprint}.lock"):
        # Another process may have built it while this one waited.
        found = _indexed(cache, fingerprint, prefix)
        if found is not None:
            return found
        _remove_abandoned(building, but=fingerprint)
        with _working_folder(building / fingerprint) as folder:
            digest = write(folder)
            target = _target(cache, prefix, digest)
            _publish(folder, target)
        _write_index(cache, fingerprint, digest)
    return target


def check_space(folder: Path, needed: int) -> None:
    """Check that the disk of the cache folder ``folder`` has ``needed`` bytes free.

    Raises:
        UserError: The disk has less free space.
    """
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise UserError(
            f"the cache needs {needed / 1e9:.1f} GB of disk space, only {free / 1e9:.1f} GB are free",
            folder=folder.parent.parent,
            fix="free some space, or choose another cache folder (HPO_CACHE)",
        )


def unusable(what: str, folder: Path, error: Exception) -> DataError:
    """Return the error for the cache folder ``folder`` whose content, ``what``, cannot be opened."""
    if not (folder / "meta.json").exists():
        return DataError(f"{what} is not there", folder=folder, fix="start again; it will be built again")
    if isinstance(error, OSError) and not isinstance(error, FileNotFoundError):
        return DataError(
            f"{what} cannot be read: {error.strerror}",
            folder=folder,
            fix="make it readable, or choose another cache folder (HPO_CACHE)",
        )
    return DataError(
        f"{what} is damaged: {error}", folder=folder, fix="delete this folder; it will be built again"
    )


def sync(stream: IO[bytes]) -> None:
    """Flush ``stream`` to the disk; call it for every file before its folder is renamed."""
    stream.flush()
    os.fsync(stream.fileno())


def _stamp(file: Path) -> Sequence[int]:
    try:
        status = file.stat()
    except OSError:
        return ()
    # Not the inode number: mounts such as sshfs give a file another one each time.
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _target(cache: Path, prefix: str, digest: str) -> Path:
    return cache / f"{prefix}{digest[:_NAME_LENGTH]}"


def _indexed(cache: Path, fingerprint: str, prefix: str) -> Path | None:
    try:
        entry = parse_json((cache / "index" / f"{fingerprint}.json").read_bytes())
        folder = _target(cache, prefix, entry["digest"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return folder if (folder / "meta.json").is_file() else None


def _write_index(cache: Path, fingerprint: str, digest: str) -> None:
    entry = cache / "index" / f"{fingerprint}.json"
    temporary = entry.with_suffix(".tmp")  # only the holder of the fingerprint's lock writes here
    temporary.write_text(json.dumps({"digest": digest}), encoding="utf-8")
    temporary.replace(entry)


def _make_folders(*folders: Path) -> None:
    try:
        for folder in folders:
            folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"cannot create the cache folder: {error}", fix="choose another cache folder (HPO_CACHE)"
        ) from error


def _remove_abandoned(building: Path, *, but: str) -> None:
    """Remove what killed processes left; folders whose lock is held are still being written."""
    for folder in building.iterdir():
        if not folder.is_dir() or folder.name == but:
            continue
        # In a cache that people share, OSError means that another user's process left it.
        with contextlib.suppress(LockHeldError, OSError), locked(Path(f"{folder}.lock"), wait_s=0):
            shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _working_folder(folder: Path) -> Iterator[Path]:
    shutil.rmtree(folder, ignore_errors=True)  # left by a process that was killed
    folder.mkdir()
    try:
        yield folder
    except OSError as error:
        if error.errno in _OUT_OF_SPACE:
            raise UserError(
                "the disk became full while the cache was built",
                folder=folder.parent,
                fix="free some space, or choose another cache folder (HPO_CACHE)",
            ) from error
        raise
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _publish(folder: Path, target: Path) -> None:
    """Move a finished folder to its place, unless the same content is there already."""
    if not (target / "meta.json").is_file():
        shutil.rmtree(target, ignore_errors=True)  # somebody removed a part of it
    try:
        folder.rename(target)
    except OSError:
        if not (target / "meta.json").is_file():
            raise
