"""Checkpoints: everything needed to resume a trial, written so that a kill keeps the last valid one."""

import io
import zipfile
from pathlib import Path
from typing import Any

import torch

from model.errors import DataError, StorageError
from model.files import write_whole
from model.training.outcomes import FailedError

FORMAT = 1


_PLAIN = (torch.Tensor, torch.nn.Parameter, int, float, bool, str, bytes, type(None))


def save_checkpoint(path: Path, content: dict[str, Any]) -> None:
    """Write ``content`` (tensors, numbers, strings, lists and dictionaries) to ``path`` atomically.

    Raises:
        FailedError: ``content`` has a value of another type, which ``load_checkpoint`` could not read.
    """
    require_plain(content, "")
    path.parent.mkdir(parents=True, exist_ok=True)
    buffer = io.BytesIO()
    torch.save({"format": FORMAT, **content}, buffer)
    write_whole(path, buffer.getbuffer())


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Load a checkpoint that ``save_checkpoint`` wrote; no code of the file is executed.

    Raises:
        DataError: The file is missing, damaged or not a checkpoint of this version.
        StorageError: The file cannot be read, which says nothing about what it holds.
    """
    try:
        file = io.BytesIO(path.read_bytes())
    except FileNotFoundError:
        raise DataError(f"no such file: {path}") from None
    except OSError as error:
        raise StorageError(f"cannot read {path}: {error.strerror}") from error
    except MemoryError as error:
        raise _too_large(path) from error
    try:
        # torch.load does not look at the checksums that torch.save wrote.
        with zipfile.ZipFile(file) as archive:
            broken = archive.testzip()
        content: dict[str, Any] = {} if broken else _content(file)
    except MemoryError as error:
        raise _too_large(path) from error
    except Exception as error:  # torch.load raises many types for a damaged file
        raise _damaged(path) from error
    if broken:
        raise _damaged(path)
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        found = content.get("format") if isinstance(content, dict) else None
        raise DataError(f"expected a checkpoint of format {FORMAT}, got format {found!r:.60}", file=path)
    return content


def _content(file: io.BytesIO) -> dict[str, Any]:
    file.seek(0)
    try:
        content: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True)
    except RuntimeError as error:
        if "allocate memory" in str(error):  # PyTorch's own kind of MemoryError
            raise MemoryError(str(error)) from error
        raise
    return content


def require_plain(value: Any, place: str) -> None:
    """Check that a checkpoint can hold ``value``; ``place`` is its name in errors.

    Raises:
        FailedError: It has a value of a type that ``load_checkpoint`` could not read.
    """
    if isinstance(value, dict):
        for key, entry in value.items():
            require_plain(key, f"{place}, a key")
            require_plain(entry, f"{place}.{key}" if place else str(key))
    elif type(value) in (list, tuple):
        for number, entry in enumerate(value):
            require_plain(entry, f"{place}[{number}]")
    elif type(value) not in _PLAIN:
        kind = f"{type(value).__module__}.{type(value).__qualname__}"
        raise FailedError(
            f"cannot store {place} in a checkpoint: expected tensors, numbers, strings, and lists or "
            f"dictionaries of these, got {kind}"
        )


def _too_large(path: Path) -> StorageError:
    return StorageError(f"cannot read {path}: not enough memory")


def _damaged(path: Path) -> DataError:
    return DataError("the file is damaged or is not a checkpoint of tensors and plain values", file=path)
