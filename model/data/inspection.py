"""Inspect one game and collect its problems; the data check and the store both use this."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from model.data.description import DatasetDescription
from model.data.soccernet import HALVES, Action, features_file, read_actions
from model.errors import DataError, Problem

CLIPPED_UP_TO_S = 60.0
"""Largest delay, in seconds, of an action that is moved back to the last frame (features may end early)."""
_NPY = b"\x93NUMPY"
_BLOCK_BYTES = 4 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureFile:
    """Shape and type of the features of one half."""

    path: Path
    frames: int
    dims: int
    dtype: str
    """Number type: ``float16`` or ``float32``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Game:
    """Content of one game, without the values of its features."""

    name: str
    halves: tuple[FeatureFile, ...]
    """First and second half; fewer if files are missing or unreadable."""
    actions: npt.NDArray[np.int64]
    """(n, 4): half (1 or 2), frame within the half, class, visible; in the order of the label file."""
    clipped: int
    """Number of actions moved back to the last frame."""
    problems: tuple[Problem, ...]


def inspect_game(root: Path, name: str, description: DatasetDescription, *, stem: str) -> Game:
    """Read the labels of a game and the headers of its feature files, and collect all problems."""
    folder = root / name
    if not folder.is_dir():
        missing = Problem(str(folder), "", "no such game folder")
        return Game(name=name, halves=(), actions=_no_actions(), clipped=0, problems=(missing,))
    problems: list[Problem] = []
    halves: dict[int, FeatureFile] = {}
    for number in HALVES:
        path = features_file(root, name, half=number, stem=stem)
        header = read_header(path) if path.is_file() else _missing(path)
        if isinstance(header, Problem):
            problems.append(header)
        else:
            halves[number] = header
    labels = folder / description.labels_file
    try:
        actions = read_actions(labels, description)
    except DataError as error:
        actions = []
        problems += error.problems
    rows, clipped, late = _placed(actions, halves, description, labels)
    return Game(
        name=name,
        halves=tuple(halves.values()),
        actions=rows,
        clipped=clipped,
        problems=tuple(problems + late),
    )


def read_header(path: Path) -> FeatureFile | Problem:
    """Read shape and type of the features in ``path``, or return the problem with the file."""
    try:
        array = _mapped(path)
    except Exception as error:  # numpy raises many types for a damaged header
        reason = " ".join(str(error).split())
        return Problem(str(path), "", f"not a readable .npy file of numbers: {reason:.200}")
    if array.ndim != 2 or 0 in array.shape:
        return Problem(str(path), "shape", f"expected (frames, dims), got {array.shape}")
    dtype = array.dtype.newbyteorder("=").name
    if dtype not in ("float16", "float32"):
        return Problem(str(path), "dtype", f"expected float16 or float32, got {dtype}")
    return FeatureFile(path=path, frames=array.shape[0], dims=array.shape[1], dtype=dtype)


def feature_mismatches(halves: list[FeatureFile]) -> list[Problem]:
    """Report every file whose vector length or number type differs from that of the first file."""
    problems = []
    for half in halves[1:]:
        first = halves[0]
        if half.dims != first.dims:
            message = f"expected {first.dims} dimensions per frame as in {first.path}, got {half.dims}"
            problems.append(Problem(str(half.path), "shape", message))
        if half.dtype != first.dtype:
            message = f"expected {first.dtype} as in {first.path}, got {half.dtype}"
            problems.append(Problem(str(half.path), "dtype", message))
    return problems


def row_blocks(half: FeatureFile) -> Iterator[npt.NDArray[np.floating[Any]]]:
    """Yield the features of one half in blocks of a few MiB, contiguous and in the native byte order."""
    array = _mapped(half.path)
    rows = max(1, _BLOCK_BYTES // (half.dims * array.dtype.itemsize))
    for start in range(0, half.frames, rows):
        yield np.ascontiguousarray(array[start : start + rows], dtype=half.dtype)


def non_finite_problem(path: Path, block: npt.NDArray[np.floating[Any]], first_frame: int) -> Problem | None:
    """Report the first NaN or infinity in a block that starts at ``first_frame``, or None."""
    finite = np.isfinite(block)
    if finite.all():
        return None
    rows = np.flatnonzero(~finite.all(axis=1))
    column = int(np.flatnonzero(~finite[rows[0]])[0])
    value = float(block[rows[0], column])
    message = f"expected finite numbers, got {value} in column {column}"
    return Problem(str(path), f"frame {first_frame + int(rows[0])}", message)


def first_non_finite(half: FeatureFile) -> Problem | None:
    """Read all features of one half and report the first NaN or infinity, or None."""
    first_frame = 0
    for block in row_blocks(half):
        problem = non_finite_problem(half.path, block, first_frame)
        if problem is not None:
            return problem
        first_frame += len(block)
    return None


def _mapped(path: Path) -> npt.NDArray[Any]:
    # numpy would open archives of arrays too, and leave damaged ones open.
    with path.open("rb") as stream:
        if stream.read(len(_NPY)) != _NPY:
            raise ValueError("the file does not begin with the .npy signature")
    array: npt.NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    return array


def _missing(path: Path) -> Problem:
    here = sorted({file.stem[2:] for file in path.parent.glob("[12]_*.npy")})
    return Problem(str(path), "", f"missing; features in this folder: {', '.join(here) or 'none'}")


def _placed(
    actions: list[Action],
    halves: dict[int, FeatureFile],
    description: DatasetDescription,
    labels: Path,
) -> tuple[npt.NDArray[np.int64], int, list[Problem]]:
    rate = description.frame_rate
    rows, clipped, problems = [], 0, []
    for action in actions:
        half = halves.get(action.half)
        frame = rate.frame_at(action.time_s)
        if half is not None:
            past_s = action.time_s - rate.to_seconds(half.frames)
            if past_s > CLIPPED_UP_TO_S:
                place = (
                    f"{description.classes[action.class_index]} at {action.time_s:g} s of half {action.half}"
                )
                message = (
                    f"the action is {past_s:.0f} s past the end of the features "
                    f"(expected at most {CLIPPED_UP_TO_S:.0f} s)"
                )
                problems.append(Problem(str(labels), place, message))
            clipped += half.frames <= frame
            frame = min(frame, half.frames - 1)
        # A missing half is a problem of its own; its actions still count as actions of their class.
        rows.append((action.half, frame, action.class_index, int(action.visible)))
    return np.array(rows, dtype=np.int64).reshape(-1, 4), clipped, problems


def _no_actions() -> npt.NDArray[np.int64]:
    return np.empty((0, 4), dtype=np.int64)
