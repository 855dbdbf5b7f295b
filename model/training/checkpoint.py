"""Checkpoints: everything needed to resume a trial, written so that a kill keeps the last valid one."""

import io
import zipfile
from collections import Counter, OrderedDict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from model.errors import DataError, StorageError
from model.files import write_whole
from model.training.outcomes import FailedError

FORMAT = 1
_PLAIN = (torch.Tensor, torch.nn.Parameter, int, float, bool, str, bytes, type(None))
_TABLES = (dict, OrderedDict, Counter)
_ARRAY = "numpy.ndarray"
"""Only key of the table that stands for a NumPy array; its value is the content of an ``.npy`` file."""


def save_checkpoint(path: Path, content: dict[str, Any]) -> None:
    """Write ``content`` to ``path`` atomically.

    It consists of tensors, NumPy arrays, numbers, strings, and lists and dictionaries of these. NumPy's
    numbers come back as Python's.

    Raises:
        FailedError: ``content`` has a value of another type, which ``load_checkpoint`` could not read.
    """
    stored = plain(content, "")
    path.parent.mkdir(parents=True, exist_ok=True)
    buffer = io.BytesIO()
    torch.save({"format": FORMAT, **stored}, buffer)
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
        content: dict[str, Any] = {} if broken else _with_arrays(_content(file))
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


def plain(value: Any, place: str) -> Any:
    """Return ``value`` as a checkpoint holds it; ``place`` is its name in errors.

    Raises:
        FailedError: It has a value of a type that ``load_checkpoint`` could not read.
    """
    if isinstance(value, np.generic):
        value = value.item()
    if type(value) in _TABLES:
        keys = [plain(key, f"{place}, a key") for key in value]
        entries = [plain(entry, f"{place}.{key}" if place else str(key)) for key, entry in value.items()]
        is_plain = _same(keys, value) and _same(entries, value.values())
        # The table of a network's weights carries a version that a copy would lose.
        return value if is_plain else type(value)(zip(keys, entries, strict=True))
    if type(value) in (list, tuple):
        return type(value)(plain(entry, f"{place}[{number}]") for number, entry in enumerate(value))
    if type(value) is np.ndarray and not value.dtype.hasobject:
        return {_ARRAY: _npy(value)}
    if type(value) in _PLAIN:
        return value
    kind = f"{type(value).__module__}.{type(value).__qualname__}"
    if isinstance(value, np.ndarray):
        kind += f" of {value.dtype}"
    raise FailedError(
        f"cannot store {place} in a checkpoint: expected tensors, NumPy arrays, numbers, strings, and lists "
        f"or dictionaries of these, got {kind}"
    )


def _same(stored: Sequence[object], values: Iterable[object]) -> bool:
    return all(one is other for one, other in zip(stored, values, strict=True))


def _npy(array: npt.NDArray[Any]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def _with_arrays(value: Any) -> Any:
    """Return what a checkpoint holds with its NumPy arrays."""
    if type(value) in _TABLES:
        if value.keys() == {_ARRAY}:
            return np.load(io.BytesIO(value[_ARRAY]), allow_pickle=False)
        for key, entry in value.items():
            value[key] = _with_arrays(entry)
        return value
    if type(value) in (list, tuple):
        return type(value)(map(_with_arrays, value))
    return value


def _too_large(path: Path) -> StorageError:
    return StorageError(f"cannot read {path}: not enough memory")


def _damaged(path: Path) -> DataError:
    return DataError("the file is damaged or is not a checkpoint of tensors and plain values", file=path)
