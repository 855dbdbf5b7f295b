"""Features of videos, one CSV file per video as published."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from model.files import write_whole

Features = npt.NDArray[np.float32]


def feature_file(folder: Path, video: str, positions: int) -> Path:
    """Return the path of the features of a video in the published layout."""
    return folder / f"csv_mean_{positions}" / f"{video}.csv"


def header_dims(file: Path) -> int:
    """Read the number of dimensions per position from the header line.

    Raises:
        ValueError: The header line is empty.
        OSError: The file cannot be read.
    """
    with file.open(encoding="utf-8", errors="replace") as stream:
        names = stream.readline().strip()
    if not names:
        raise ValueError("line 1: expected a header line, got an empty one")
    return len(names.split(","))


def read_features(file: Path, *, positions: int, dims: int) -> Features:
    """Read one file: a header line, then ``positions`` lines of ``dims`` numbers.

    Raises:
        ValueError: The file has another content; the message names the line.
        OSError: The file cannot be read.
    """
    lines = file.read_text(encoding="utf-8", errors="replace").splitlines()[1:]
    if len(lines) != positions:
        raise ValueError(f"expected {positions} lines of features below the header line, got {len(lines)}")
    try:
        values = np.array([line.split(",") for line in lines], dtype=np.float32)
    except ValueError:
        values = np.empty(0, dtype=np.float32)
    if values.shape != (positions, dims) or not np.isfinite(values).all():
        raise ValueError(_line_problem(lines, dims))
    return values


def _line_problem(lines: Sequence[str], dims: int) -> str:
    for number, line in enumerate(lines, start=2):
        cells = line.split(",")
        if len(cells) != dims:
            return f"line {number}: expected {dims} numbers, got {len(cells)}"
        for cell in cells:
            if not _is_finite(cell):
                return f"line {number}: expected finite numbers, got {cell!r:.30}"
    return f"expected {dims} numbers per line within the range of float32"


def _is_finite(cell: str) -> bool:
    try:
        return bool(np.isfinite(np.float32(cell)))
    except ValueError:
        return False


def write_features(file: Path, features: Features) -> None:
    """Write one file in the published format; the folder must exist."""
    header = ",".join(f"f{column}" for column in range(features.shape[1]))
    rows = [",".join(map("{:.5g}".format, row)) for row in features.tolist()]
    write_whole(file, "\n".join([header, *rows, ""]).encode())
