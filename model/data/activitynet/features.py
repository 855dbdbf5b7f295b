"""Features of videos: one CSV file each, as published, read once into an array that is then mapped."""

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from model.errors import DataError, Problem
from model.files import write_whole

Features = npt.NDArray[np.float32]


def feature_file(folder: Path, video: str, positions: int) -> Path:
    """Where the published layout has the features of a video."""
    return folder / f"csv_mean_{positions}" / f"{video}.csv"


def read_features(file: Path, *, positions: int, dims: int) -> Features:
    """Read one file: a line of names, then ``positions`` lines of ``dims`` numbers.

    Raises:
        ValueError: The file holds something else; says in which line.
        OSError: It cannot be read.
    """
    lines = file.read_text(encoding="utf-8", errors="replace").splitlines()[1:]
    if len(lines) != positions:
        raise ValueError(f"expected {positions} lines of features below a line of names, got {len(lines)}")
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
    return f"expected numbers that float32 can hold, {dims} a line"


def _is_finite(cell: str) -> bool:
    try:
        return bool(np.isfinite(np.float32(cell)))
    except ValueError:
        return False


def open_features(folder: Path, videos: Sequence[str], cache: Path, *, positions: int, dims: int) -> Features:
    """Features of ``videos`` as one read-only array (videos, positions, dims), mapped from ``cache``.

    The cache is made from the CSV files when it is missing or when one of them has changed in size or time.

    Raises:
        DataError: Files are missing or cannot be used; every one is listed.
    """
    files = [feature_file(folder, video, positions) for video in videos]
    missing = [Problem(str(file), "", "no such file") for file in files if not file.is_file()]
    if missing:
        raise DataError(f"features of {len(missing)} of {len(files)} videos are missing", missing)
    stamp = _stamp(files, positions, dims)
    array = cache / f"activitynet-{stamp}.npy"
    if not array.is_file():
        cache.mkdir(parents=True, exist_ok=True)
        _write_array(array, files, positions, dims)
    mapped: Features = np.load(array, mmap_mode="r", allow_pickle=False)
    return mapped


def _stamp(files: Sequence[Path], positions: int, dims: int) -> str:
    stats = [(str(file.resolve()), file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    return hashlib.sha256(json.dumps([positions, dims, stats]).encode()).hexdigest()[:16]


def _write_array(array: Path, files: Sequence[Path], positions: int, dims: int) -> None:
    problems = []
    # Filled where it will be mapped from: whole ActivityNet has 3 GB.
    partial = array.with_name(f".{array.name}.{os.getpid()}")
    values = np.lib.format.open_memmap(
        partial, mode="w+", dtype=np.float32, shape=(len(files), positions, dims)
    )
    for index, file in enumerate(files):
        try:
            values[index] = read_features(file, positions=positions, dims=dims)
        except (OSError, ValueError) as error:
            problems.append(Problem(str(file), "", str(error)))
    values.flush()
    if problems:
        partial.unlink()
        raise DataError(f"features of {len(problems)} of {len(files)} videos cannot be used", problems)
    partial.replace(array)


def write_features(file: Path, features: Features) -> None:
    """Write one file in the published layout; the folder must exist."""
    header = ",".join(f"f{column}" for column in range(features.shape[1]))
    rows = [",".join(map("{:.5g}".format, row)) for row in features.tolist()]
    write_whole(file, "\n".join([header, *rows, ""]).encode())
