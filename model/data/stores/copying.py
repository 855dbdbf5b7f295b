"""Local copies of remote files, downloaded once for all processes of this machine and verified."""

import contextlib
import errno
import hashlib
import json
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import quote

import fsspec
from fsspec.core import url_to_fs
from fsspec.utils import tokenize

from model.errors import DataError, StorageError, UserError
from model.locks import locked

COPIES = "copies"
"""Name of the folder of copies inside the cache."""
_AT_ONCE = 8
_BLOCK_BYTES = 1 << 20
_MISSING = (404, 410)
_OUT_OF_SPACE = (errno.ENOSPC, errno.EDQUOT)


class FolderCopy:
    """Local copy, below ``folder``, of files of the remote folder at ``uri``.

    A file appears complete or not at all. A list beside the folder records the SHA-256 of every copy and the
    state of its original. A file is downloaded again if the copy or the original has changed.
    """

    def __init__(self, uri: str, cache: Path) -> None:
        """Find the file system of ``uri``, without connecting to it.

        Raises:
            UserError: The kind of URI is unknown, or its package is not installed.
        """
        self.uri = uri
        self.folder = cache / COPIES / hashlib.sha256(uri.encode()).hexdigest()[:16]
        self._there, self._root = _file_system(uri)
        self._list = self.folder.with_suffix(".jsonl")
        self._known: dict[str, dict[str, Any]] = {}
        self._writing = threading.Lock()

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Lock the copy against other processes of this machine, which wait and then find the files."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(
                f"cannot create the cache folder: {error}", fix="choose another cache folder (HPO_CACHE)"
            ) from error
        with locked(self.folder.with_suffix(".lock")):
            self._known = _read_list(self._list)
            yield

    def fetch(self, names: Sequence[str], progress: Callable[[int, int], None] | None = None) -> int:
        """Download those of ``names`` that exist at the URI and return their number; call it ``locked``.

        Raises:
            DataError: The files cannot be read.
            StorageError: The disk is full.
        """
        found = 0
        pool = ThreadPoolExecutor(_AT_ONCE)
        try:
            for done, is_there in enumerate(pool.map(self._fetch, names), start=1):
                found += is_there
                if progress is not None:
                    progress(done, len(names))
        finally:
            pool.shutdown(cancel_futures=True)
        return found

    def _fetch(self, name: str) -> bool:
        """Whether the file is there; then it is here too."""
        file, entry = self.folder / name, self._known.get(name, {})
        with self._readable(name):
            info = self._info(name)
            if info is None:
                file.unlink(missing_ok=True)
                return False
            looks = tokenize(info)
            if entry.get("looks") != looks or not _is_sound(file, entry):
                self._note(name, looks, file, self._copy(name, file, info.get("size")))
            elif not _is_untouched(file, entry):  # it was read, which a later start need not do again
                self._note(name, looks, file, entry["sha256"])
        return True

    def _info(self, name: str) -> dict[str, Any] | None:
        try:
            info: dict[str, Any] = self._there.info(self._path(name))
            return info
        except (FileNotFoundError, NotADirectoryError) as error:
            # fsspec takes a server of HTTP that is away or refuses for a missing file.
            cause = error.__cause__
            if getattr(cause, "status", None) not in (None, *_MISSING) or _is_silence(cause):
                assert cause is not None
                raise cause from None
            return None

    def _path(self, name: str) -> str:
        if not self._root:
            return name
        is_http = self._root.startswith(("http://", "https://"))
        return f"{self._root.rstrip('/')}/{quote(name) if is_http else name}"

    def _copy(self, name: str, file: Path, size: int | None) -> str:
        """Fetch one file and read it again from the disk; gives its SHA-256."""
        file.parent.mkdir(parents=True, exist_ok=True)
        partial, digest = file.with_name(f".{file.name}.part"), hashlib.sha256()
        with self._there.open(self._path(name), "rb") as source, partial.open("wb") as target:
            while block := source.read(_BLOCK_BYTES):
                digest.update(block)
                target.write(block)
            target.flush()
            os.fsync(target.fileno())
        here = partial.stat().st_size
        if size is not None and here != size:
            raise EOFError(f"expected {size:,} bytes, got {here:,}")
        if _sha256(partial) != digest.hexdigest():
            raise EOFError("the file on the disk differs from what was downloaded")
        partial.replace(file)
        return digest.hexdigest()

    def _note(self, name: str, looks: str, file: Path, digest: str) -> None:
        entry = {"name": name, "looks": looks, "mtime_ns": file.stat().st_mtime_ns, "sha256": digest}
        with self._writing, self._list.open("a") as lines:
            # The end of a line comes first: one that a kill cut has none.
            lines.write(f"\n{json.dumps(entry)}")
            self._known[name] = entry

    @contextlib.contextmanager
    def _readable(self, name: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # each file system of fsspec has errors of its own
            if isinstance(error, OSError) and error.errno in _OUT_OF_SPACE:
                raise StorageError(
                    f"no disk space for the data: {error.strerror}", folder=self.folder
                ) from error
            raise DataError(
                f"cannot read the data at {self.uri}: {_first_line(error)}",
                file=name,
                fix="check that this machine can reach and read it; completed files are not downloaded again",
            ) from error


def _file_system(uri: str) -> tuple[fsspec.AbstractFileSystem, str]:
    try:
        files, root = url_to_fs(uri)
    except ImportError as error:
        raise UserError(
            f"cannot read {uri}: {_first_line(error)}",
            fix="install this package on every machine that trains; for s3:// it is the extra 's3'",
        ) from error
    except Exception as error:  # each file system of fsspec has errors of its own
        raise UserError(f"cannot read {uri}: {_first_line(error)}") from error
    return files, root


def _read_list(file: Path) -> dict[str, dict[str, Any]]:
    """Name -> what is known of the file; a line that a kill cut is as good as none."""
    known = {}
    with contextlib.suppress(FileNotFoundError):
        for line in file.read_text(errors="replace").splitlines():
            with contextlib.suppress(ValueError, KeyError, TypeError):
                entry = json.loads(line)
                known[entry["name"]] = entry
    return known


def _is_sound(file: Path, entry: dict[str, Any]) -> bool:
    """Whether a file is what came; only one that was touched since is read for that."""
    try:
        return _is_untouched(file, entry) or _sha256(file) == entry["sha256"]
    except OSError:
        return False


def _is_untouched(file: Path, entry: dict[str, Any]) -> bool:
    is_untouched: bool = file.stat().st_mtime_ns == entry["mtime_ns"]
    return is_untouched


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _is_silence(cause: BaseException | None) -> bool:
    return isinstance(cause, OSError) and not isinstance(cause, FileNotFoundError)


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
