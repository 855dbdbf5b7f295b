"""ActivityNet's annotations in the format of the published code: a JSON file of videos, a CSV of subsets."""

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from model.documents import parse_json, read_limited
from model.errors import DataError, Problem
from model.files import path_fault

ANNOTATIONS = "anet_anno_action.json"
"""Name of the JSON file: video -> duration, frames and activities."""
VIDEOS = "video_info_new.csv"
"""Name of the CSV file: video -> subset."""
_MAX_BYTES = 256 << 20


@dataclass(frozen=True, slots=True)
class Video:
    """One annotated video."""

    name: str
    subset: str
    """Subset: ``training``, ``validation`` or ``testing``."""
    duration_s: float
    frames: int
    """Number of frames of the whole video."""
    feature_frames: int
    """Number of frames that the features cover, from the first frame on."""
    segments_s: npt.NDArray[np.float64]
    """(n, 2): start and end of every activity, in seconds."""
    labels: tuple[str, ...]
    """Class of every activity."""

    @property
    def covered_s(self) -> float:
        """Duration that the features cover, in seconds."""
        return self.feature_frames / self.frames * self.duration_s

    @property
    def shares(self) -> npt.NDArray[np.float64]:
        """(n, 2): start and end as fractions of ``covered_s``, clipped to [0, 1]."""
        return np.clip(self.segments_s / self.covered_s, 0.0, 1.0)


def read_videos(folder: Path) -> list[Video]:
    """Read every video of the file ``VIDEOS`` with its activities, in the order of this file.

    Raises:
        DataError: A file is missing or invalid; every problem found is listed with its place.
    """
    table = _table(folder / VIDEOS)
    content = _document(folder / ANNOTATIONS)
    problems: list[Problem] = []
    videos = []
    for line, row in enumerate(table, start=2):
        found = _video(row, content, problems, (folder / VIDEOS, f"line {line}"), folder / ANNOTATIONS)
        if found is not None:
            videos.append(found)
    if problems:
        raise DataError(
            "the annotations are invalid", problems, fix="correct the files or download them again"
        )
    return videos


def first_videos(
    videos: Sequence[Video], subset: str, count: int | None, *, folder: Path
) -> tuple[Video, ...]:
    """Return the first ``count`` videos of ``subset``, in their order.

    Args:
        videos: Videos of all subsets.
        subset: Name of a subset.
        count: Number of videos, at least 1; None: all.
        folder: Folder that the videos were read from, for errors.

    Raises:
        DataError: The subset has fewer videos, or none of them has activities.
    """
    found = tuple(video for video in videos if video.subset == subset)
    if not found:
        subsets = ", ".join(sorted({video.subset for video in videos})) or "no videos at all"
        raise DataError(f"expected videos of the subset {subset!r}, found {subsets}", file=folder / VIDEOS)
    if count is not None and not 0 < count <= len(found):
        raise DataError(
            f"expected {count} videos of the subset {subset!r}, found {len(found)}",
            file=folder / VIDEOS,
            fix=f"request 1 to {len(found)} videos",
        )
    chosen = found[:count]
    if not any(len(video.segments_s) for video in chosen):
        raise DataError(
            f"expected activities in the subset {subset!r}, found none in {len(chosen)} videos",
            file=folder / ANNOTATIONS,
        )
    return chosen


def _table(file: Path) -> list[dict[str, str]]:
    rows = csv.DictReader(io.StringIO(_content(file).decode(errors="replace")))
    missing = {"video", "subset"} - set(rows.fieldnames or ())
    if missing:
        found = ", ".join(rows.fieldnames or ()) or "nothing"
        place = Problem(str(file), "line 1", f"expected columns video and subset, got {found}")
        raise DataError("the list of videos is invalid", [place])
    return list(rows)


def _document(file: Path) -> dict[str, Any]:
    try:
        content = parse_json(_content(file))
    except ValueError as error:
        raise DataError("the annotations are invalid", [Problem(str(file), "", str(error))]) from None
    if not isinstance(content, dict):
        raise DataError(
            "the annotations are invalid", [Problem(str(file), "", "expected an object of videos")]
        )
    return content


def _content(file: Path) -> bytes:
    try:
        return read_limited(file, _MAX_BYTES)
    except FileNotFoundError:
        raise DataError(f"expected {file.name} in the folder, found none", folder=file.parent) from None
    except (OSError, ValueError) as error:
        raise DataError(
            "a file of ActivityNet cannot be read", [Problem(str(file), "", str(error))]
        ) from None


def _video(
    row: dict[str, str],
    content: dict[str, Any],
    problems: list[Problem],
    listed: tuple[Path, str],
    file: Path,
) -> Video | None:
    name, subset = str(row["video"]), str(row["subset"])
    if path_fault(name) or "/" in name:
        problems.append(
            Problem(str(listed[0]), listed[1], f"expected a name without a folder, got {name!r:.80}")
        )
        return None
    entry = content.get(name)
    if not isinstance(entry, dict):
        problems.append(Problem(str(listed[0]), listed[1], f"video {name!r} has no entry in {file.name}"))
        return None
    numbers: list[Any] = [entry.get(key) for key in ("duration_second", "duration_frame", "feature_frame")]
    before = len(problems)
    if not all(_is_number(value) and value > 0 for value in numbers):
        expected = "expected duration_second, duration_frame and feature_frame above 0"
        problems.append(Problem(str(file), name, f"{expected}, got {numbers}"))
    segments, labels = _activities(entry.get("annotations"), problems, str(file), name)
    if len(problems) > before:
        return None
    duration, frames, covered = numbers
    return Video(name, subset, float(duration), int(frames), int(covered), segments, labels)


def _activities(
    entries: Any, problems: list[Problem], file: str, name: str
) -> tuple[npt.NDArray[np.float64], tuple[str, ...]]:
    if not isinstance(entries, list):
        problems.append(Problem(file, name, f"expected a list of annotations, got {entries!r:.40}"))
        return np.empty((0, 2)), ()
    segments, labels = [], []
    for index, entry in enumerate(entries):
        segment = entry.get("segment") if isinstance(entry, dict) else None
        label = entry.get("label") if isinstance(entry, dict) else None
        if not _is_segment(segment) or not isinstance(label, str):
            expected = "expected a segment [start, end] in seconds, start at most end, and a label"
            problems.append(
                Problem(file, f"{name}, annotation {index + 1}", f"{expected}, got {entry!r:.80}")
            )
            continue
        segments.append(segment)
        labels.append(label)
    return np.array(segments, dtype=np.float64).reshape(-1, 2), tuple(labels)


def _is_segment(value: Any) -> bool:
    return (
        isinstance(value, list) and len(value) == 2 and all(map(_is_number, value)) and value[0] <= value[1]
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
