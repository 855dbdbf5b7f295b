"""Feature files: one array of numbers per half, read in blocks and converted to float16 or float32."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from model.errors import Problem
from model.files import broken_link
from model.wording import counted

_NPY = b"\x93NUMPY"
_BLOCK_BYTES = 4 << 20
_KEPT = ("float16", "float32")
_LARGEST_EXACT = 1 << 24
"""Integers up to here are exact in float32."""

Watch = Callable[[npt.NDArray[np.floating[Any]]], None]
"""Function that gets the features of a half block after block."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureFile:
    """Shape and type of the features of one half."""

    path: Path
    frames: int
    dims: int
    dtype: str
    """Number type after conversion: ``float16``, or ``float32`` for every other type of real numbers."""
    converted: bool = False
    """Whether the numbers in the file have another type."""


def find_header(path: Path) -> FeatureFile | Problem | None:
    """Return ``read_header`` of a file of features, or None if nothing has this name."""
    if path.is_file():
        return read_header(path)
    if fault := broken_link(path):
        return Problem(str(path), "", fault)
    if path.exists():
        what = "a folder" if path.is_dir() else "a pipe or a device"
        return Problem(str(path), "", f"expected a .npy file, got {what}; move it away and put the file here")
    return None


def read_header(path: Path) -> FeatureFile | Problem:
    """Read shape and type of the features in ``path``, or return the problem with the file."""
    try:
        array = _mapped(path)
    except Exception as error:  # numpy raises many types for a damaged header
        reason = " ".join(str(error).split())
        message = f"not a readable .npy file of numbers: {reason:.200}; copy it again, or extract it again"
        return Problem(str(path), "", message)
    if array.dtype.kind not in "fiub":
        message = f"expected numbers, got {array.dtype.name}; save them with features.astype('float32')"
        return Problem(str(path), "dtype", message)
    matrix = _as_matrix(array)
    if matrix is None or matrix.shape[1] == 0:
        message = f"expected (frames, dims), got {array.shape}"
        if array.ndim > 2:
            message += "; save one vector per frame, such as features.reshape(frames, -1)"
        return Problem(str(path), "shape", message)
    native = array.dtype.newbyteorder("=").name
    dtype = native if native in _KEPT else "float32"
    frames, dims = matrix.shape
    return FeatureFile(path=path, frames=frames, dims=dims, dtype=dtype, converted=dtype != native)


def width_mismatches(halves: Sequence[FeatureFile]) -> list[Problem]:
    """Report every file whose vector length differs from that of most files, or that all seem transposed."""
    widths = [half.dims for half in halves]
    if len(set(widths)) < 2:
        return []
    usual = max(dict.fromkeys(widths), key=widths.count)
    if len({half.frames for half in halves}) == 1 and 2 * widths.count(usual) <= len(widths):
        return [transposed(halves)]
    first = next(half.path for half in halves if half.dims == usual)
    return [
        Problem(
            str(half.path), "shape", f"expected {usual} dimensions per frame as in {first}, got {half.dims}"
        )
        for half in halves
        if half.dims != usual
    ]


def transposed(halves: Sequence[FeatureFile]) -> Problem:
    """Return the problem of files that all have one number of rows, which seems to be their vector length."""
    first = halves[0]
    message = (
        f"the arrays seem to be transposed: expected (frames, dims), got {counted(len(halves), 'file')} of "
        f"{first.frames} rows, this one with {first.dims} columns; save features.T"
    )
    return Problem(str(first.path), "shape", message)


def common_dtype(halves: Sequence[FeatureFile]) -> str:
    """Return the number type that holds the features of all files."""
    return "float16" if all(half.dtype == "float16" for half in halves) else "float32"


def row_blocks(half: FeatureFile, dtype: str | None = None) -> Iterator[npt.NDArray[np.floating[Any]]]:
    """Yield the features of one half in blocks of a few MiB, contiguous and in the native byte order.

    Args:
        half: The file.
        dtype: Number type of the blocks. None: that of ``half``.
    """
    array = _as_matrix(_mapped(half.path))
    assert array is not None, "the header was checked"
    rows = max(1, _BLOCK_BYTES // (half.dims * array.dtype.itemsize))
    for start in range(0, half.frames, rows):
        with np.errstate(over="ignore"):  # what becomes infinite is reported
            yield np.ascontiguousarray(array[start : start + rows], dtype=dtype or half.dtype)


def unusable_values(half: FeatureFile, watch: Watch = lambda block: None) -> Problem | None:
    """Read all features of one half and report the first value that cannot be used, or None.

    Such a value is NaN, infinite, or an integer that ``float32`` does not hold exactly.

    Args:
        half: The file.
        watch: Called with every block of usable values.
    """
    array = _as_matrix(_mapped(half.path))
    assert array is not None, "the header was checked"
    if array.dtype.kind in "iu" and array.dtype.itemsize > 2:
        problem = _inexact_integer(half, array)
        if problem is not None:
            return problem
    first_frame = 0
    for block in row_blocks(half):
        problem = non_finite_problem(half.path, block, first_frame)
        if problem is not None:
            return problem
        watch(block)
        first_frame += len(block)
    return None


def non_finite_problem(path: Path, block: npt.NDArray[np.floating[Any]], first_frame: int) -> Problem | None:
    """Report the first NaN or infinity in a block that starts at ``first_frame``, or None."""
    finite = np.isfinite(block)
    if finite.all():
        return None
    rows = np.flatnonzero(~finite.all(axis=1))
    column = int(np.flatnonzero(~finite[rows[0]])[0])
    value = float(block[rows[0], column])
    message = f"expected finite numbers of {block.dtype}, got {value} in column {column}"
    return Problem(str(path), f"frame {first_frame + int(rows[0])}", message)


def read_features(half: FeatureFile, dtype: str) -> npt.NDArray[np.floating[Any]]:
    """Read all features of one half, (frames, dims)."""
    return np.concatenate(list(row_blocks(half, dtype)))


def _inexact_integer(half: FeatureFile, array: npt.NDArray[Any]) -> Problem | None:
    rows = max(1, _BLOCK_BYTES // (half.dims * array.dtype.itemsize))
    for start in range(0, half.frames, rows):
        block = np.asarray(array[start : start + rows])
        too_large = (block > _LARGEST_EXACT) | (block < -_LARGEST_EXACT if block.dtype.kind == "i" else False)
        if too_large.any():
            row, column = map(int, np.argwhere(too_large)[0])
            message = (
                f"expected integers up to {_LARGEST_EXACT}, which float32 holds exactly, got "
                f"{int(block[row, column])} in column {column}; scale them, or save them as float32"
            )
            return Problem(str(half.path), f"frame {start + row}", message)
    return None


def _as_matrix(array: npt.NDArray[Any]) -> npt.NDArray[Any] | None:
    """Return ``array`` as (frames, dims) without axes of length 1, or None if that is not possible.

    Feature extractors leave such axes: (1, frames, dims) for a batch of one video, (frames, dims, 1, 1) after
    pooling.
    """
    while array.ndim > 2 and array.shape[-1] == 1:
        array = array[..., 0]
    if array.ndim > 2 and array.shape[0] == 1:
        array = array[0]
    if array.ndim == 3 and array.shape[1] == 1:
        array = array[:, 0]
    return array if array.ndim == 2 else None


def _mapped(path: Path) -> npt.NDArray[Any]:
    # numpy would open archives of arrays too, and leave damaged ones open.
    with path.open("rb") as stream:
        if stream.read(len(_NPY)) != _NPY:
            raise ValueError("the file does not begin with the .npy signature")
    try:
        array: np.memmap[Any, np.dtype[Any]] = np.load(path, mmap_mode="r", allow_pickle=False)
    except ValueError as error:
        if "mmap length" in str(error):
            raise ValueError("the file is cut off: it is shorter than its header says") from error
        raise
    surplus = path.stat().st_size - array.offset - array.nbytes
    if surplus:
        # numpy.save writes array after array into an open file, and numpy.load reads the first.
        raise ValueError(
            f"the file is {surplus:,} bytes longer than its header says, as if it held several arrays"
        )
    return array
