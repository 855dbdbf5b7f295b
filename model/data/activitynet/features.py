"""Features of videos, one CSV file per video as published."""

import os
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from model.data.activitynet.texts import read_text, reason_of, shortened
from model.errors import Problem
from model.files import write_whole

Features = npt.NDArray[np.float32]

FOLDER = "csv_mean_"
"""Start of the name of a folder of features; the number of temporal positions follows."""
DIMS_STEP = 4
"""The network takes feature vectors whose length is a multiple of this number."""
_LONGEST_LINE = 1 << 22
_LINES_SHOWN = 5
_INDEX_NAMES = ("", "Unnamed: 0")
"""Names of the column of line numbers that pandas writes unless it is told not to."""
_NUMBERED = "a first column that numbers the lines"


def feature_folder(folder: Path, positions: int) -> Path:
    """Return the folder of all feature files in the published layout."""
    return folder / f"{FOLDER}{positions}"


def feature_file(folder: Path, video: str, positions: int) -> Path:
    """Return the path of the features of a video in the published layout."""
    return feature_folder(folder, positions) / f"{video}.csv"


def positions_found(folder: Path) -> list[int]:
    """Return the numbers of temporal positions for which ``folder`` has a folder of features."""
    names = [
        re.fullmatch(rf"{FOLDER}([1-9][0-9]{{0,5}})", entry.name)
        for entry in os.scandir(folder)
        if entry.is_dir()
    ]
    return sorted(int(name[1]) for name in names if name)


def files_in(folder: Path) -> frozenset[str]:
    """Return the names of the CSV files in a folder of features; without the folder there are none."""
    try:
        return frozenset(entry.name for entry in os.scandir(folder) if entry.name.endswith(".csv"))
    except OSError:
        return frozenset()


class FeatureError(ValueError):
    """Error for a file of features that cannot be used.

    Args:
        faults: (place, message) of every fault that concerns this file alone.
        lines: Number of lines of features, if it is another one than expected.
        dims: Numbers per line, if all lines have the same number and another one was expected.
        numbers_lines: Whether the first column only numbers the lines, and would give the position away.
    """

    def __init__(
        self,
        faults: Sequence[tuple[str, str]] = (),
        lines: int | None = None,
        dims: int | None = None,
        *,
        numbers_lines: bool = False,
    ) -> None:
        self.faults, self.lines, self.dims = tuple(faults), lines, dims
        self.numbers_lines = numbers_lines
        texts = [f"{place}: {message}" if place else message for place, message in self.faults]
        if lines is not None:
            texts.append(f"{lines} lines of features below the header line")
        if dims is not None:
            texts.append(f"{dims} numbers per line")
        if numbers_lines:
            texts.append(_NUMBERED)
        super().__init__("; ".join(texts))


def read_features(file: Path, *, positions: int, dims: int) -> Features:
    """Read one file: a header line, then ``positions`` lines of ``dims`` numbers.

    Raises:
        FeatureError: The file cannot be read or has another content; every fault is listed.
    """
    try:
        lines = read_text(file, errors="replace").split("\n")
    except (OSError, ValueError) as error:
        raise FeatureError([("", reason_of(error))]) from None
    while lines and not lines[-1].strip():
        lines.pop()
    header, rows = lines[:1], lines[1:]
    if _numbers_lines(header, rows):
        raise FeatureError(numbers_lines=True)
    if len(rows) == positions:
        values = _numbers(rows)
        if values.shape == (positions, dims) and np.isfinite(values).all():
            return values
    raise _fault_of(header, rows, positions, dims)


def _numbers_lines(header: Sequence[str], rows: Sequence[str]) -> bool:
    """Whether the first column is an index as pandas writes it: 0, 1, 2 and so on, under no name."""
    if not header or header[0].split(",", 1)[0].strip('" ') not in _INDEX_NAMES:
        return False
    return [row.split(",", 1)[0] for row in rows] == [str(number) for number in range(len(rows))]


def _numbers(rows: Sequence[str]) -> Features:
    if any("_" in row for row in rows):  # numpy reads 1_000 as 1000
        return np.empty(0, dtype=np.float32)
    try:
        with np.errstate(over="ignore"):
            return np.array([row.split(",") for row in rows], dtype=np.float32)
    except ValueError:
        return np.empty(0, dtype=np.float32)


def _fault_of(header: Sequence[str], rows: Sequence[str], positions: int, dims: int) -> FeatureError:
    if not header:
        return FeatureError([("", "the file is empty; download it again")])
    widths = [len(row.split(",")) for row in rows]
    same = len({*widths}) == 1
    wrong_lines = None if len(rows) == positions else len(rows)
    if wrong_lines == positions - 1 and _is_numeric(header[0]):
        return FeatureError([("line 1", "expected a header line above the features, got numbers")])
    faults = []
    for number, (row, width) in enumerate(zip(rows, widths, strict=True), start=2):
        if width != dims and not same:
            faults.append((f"line {number}", f"expected {dims} numbers, got {width if row.strip() else 0}"))
            continue
        cell = next((cell for cell in row.split(",") if not _is_finite(cell)), None)
        if cell is not None:
            faults.append((f"line {number}", f"expected finite numbers of float32, got {cell!r:.30}"))
    more = len(faults) - _LINES_SHOWN
    if more > 0:
        faults[_LINES_SHOWN:] = [("", f"{more} more lines are invalid")]
    return FeatureError(faults, wrong_lines, widths[0] if same and widths[0] != dims else None)


def _is_numeric(line: str) -> bool:
    return all(_is_finite(cell) for cell in line.split(",")) and "." in line


def _is_finite(cell: str) -> bool:
    try:
        with np.errstate(over="ignore"):
            return "_" not in cell and bool(np.isfinite(np.float32(cell)))
    except ValueError:
        return False


def common_dims(files: Sequence[Path]) -> int:
    """Return the numbers per line that most of ``files`` have; 0 if none of them can be read."""
    widths = Counter(width for file in files if (width := _width(file)) is not None)
    return widths.most_common(1)[0][0] if widths else 0


def _width(file: Path) -> int | None:
    """Read the number of numbers in the first line of features."""
    try:
        with file.open("rb") as stream:
            stream.readline(_LONGEST_LINE)
            line = stream.readline(_LONGEST_LINE).strip()
    except OSError:
        return None
    return len(line.split(b",")) if line else None


def scan_features(
    files: Sequence[Path], *, positions: int, dims: int, progress: Callable[[int, int], None]
) -> dict[Path, FeatureError]:
    """Read all ``files`` and return what is wrong with them."""
    faults = {}
    for done, file in enumerate(files, start=1):
        try:
            read_features(file, positions=positions, dims=dims)
        except FeatureError as fault:
            faults[file] = fault
        progress(done, len(files))
    return faults


def feature_problems(
    faults: Mapping[Path, FeatureError], *, positions: int, dims: int, total: int
) -> list[Problem]:
    """Return the problems of the files of one folder; a fault that several files share is one problem.

    Args:
        faults: File -> what is wrong with it.
        positions: Number of temporal positions (T) that was expected.
        dims: Length of the feature vector that was expected.
        total: Number of files looked at.
    """
    problems = []
    by_lines, by_dims = defaultdict(list), defaultdict(list)
    for file, fault in faults.items():
        problems += [Problem(str(file), place, message) for place, message in fault.faults]
        if fault.lines is not None:
            by_lines[fault.lines].append(file)
        if fault.dims is not None:
            by_dims[fault.dims].append(file)
    if numbered := [file for file, fault in faults.items() if fault.numbers_lines]:
        fix = "save them without it, in pandas with to_csv(file, index=False)"
        problems.append(_shared(numbered, total, _NUMBERED, fix))
    for lines, files in by_lines.items():
        expected = f"{lines:,} lines of features below the header line, expected {positions}"
        fix = f"rescale them to {positions} positions" if lines else "download them again"
        if 0 < lines < positions:
            fix += ", or download them again if they are incomplete"
        if len(files) == total and lines > 1:
            fix += f", or name the folder {FOLDER}{lines} and {positions_setting(lines)}"
        problems.append(_shared(files, total, expected, fix))
    for width, files in by_dims.items():
        expected = f"{width:,} numbers per line, expected {dims:,}" + (
            " as in most files" if len(files) < total else ""
        )
        problems.append(_shared(files, total, expected, "use features of one kind only"))
    return problems


def odd_dims(dims: int) -> str:
    """Return the message for feature vectors of a length that the network does not take."""
    fix = "reduce the features, or add columns of zeros"
    return f"the network needs a multiple of {DIMS_STEP} numbers per position, got {dims}; {fix}"


def positions_setting(positions: int) -> str:
    """Say how to use features of another number of positions."""
    return f"set positions = {positions} under [network] of the study file"


def _shared(files: Sequence[Path], total: int, message: str, fix: str) -> Problem:
    names = shortened([file.name for file in files])
    has = "has" if len(files) == 1 else "have"
    text = f"{len(files):,} of {total:,} files {has} {message}: {names}; {fix}"
    return Problem(str(files[0].parent), "", text)


def write_features(file: Path, features: Features) -> None:
    """Write one file in the published format; the folder must exist."""
    header = ",".join(f"f{column}" for column in range(features.shape[1]))
    rows = [",".join(map("{:.5g}".format, row)) for row in features.tolist()]
    write_whole(file, "\n".join([header, *rows, ""]).encode())
