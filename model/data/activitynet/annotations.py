"""ActivityNet's annotations in the format of the published code: a JSON file of videos, a CSV of subsets."""

import csv
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from model.data.activitynet.texts import read_text, reason_of, shortened
from model.documents import is_number, parse_json_with_faults
from model.errors import DataError, Problem
from model.files import path_fault

ANNOTATIONS = "anet_anno_action.json"
"""Name of the JSON file: video -> duration, frames and activities."""
VIDEOS = "video_info_new.csv"
"""Name of the CSV file: video -> subset."""
SUBSETS = ("training", "validation", "testing")
"""All subsets. Videos for testing have no published activities; nothing here reads their features."""
PAST_END_S = 2.0
"""Seconds that an activity may end after its video, where it is cut; published ones do so by up to 0.9 s."""
_SHORTEST_S = 0.01
_MOST_BEYOND = 2
"""Largest ratio of the frames that features cover to the frames of the video."""
_NUMBERS = {"duration_second": _SHORTEST_S, "duration_frame": 1, "feature_frame": 1}
"""Key of an entry -> smallest value."""
_LARGEST = 1e9


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


@dataclass(frozen=True, slots=True)
class ListedVideo:
    """One line of the list of videos."""

    name: str
    subset: str
    line: int


def read_videos(folder: Path) -> list[Video]:
    """Read every video of the file ``VIDEOS`` with its activities, in the order of this file.

    Videos for testing without an entry in the annotations are left out: nothing uses them.

    Raises:
        DataError: A file is missing or invalid; every problem found is listed with its place.
    """
    listed, faults = read_list(folder)
    entries, more = read_entries(folder)
    videos, wrong = annotated(listed, entries, folder) if entries is not None else ([], [])
    problems = [*faults, *more, *wrong]
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
        raise DataError(no_videos(subset, (video.subset for video in videos)), file=folder / VIDEOS)
    if count is not None and not 0 < count <= len(found):
        raise DataError(
            f"expected {count} videos of the subset {subset!r}, found {len(found)}",
            file=folder / VIDEOS,
            fix=f"request 1 to {len(found)} videos",
        )
    chosen = found[:count]
    if not any(len(video.segments_s) for video in chosen):
        raise DataError(no_activities(subset, len(chosen)), file=folder / ANNOTATIONS)
    return chosen


def no_videos(subset: str, found: Iterable[str]) -> str:
    """Return the message for a subset without videos; ``found`` are the subsets of all videos."""
    return (
        f"expected videos of the subset {subset!r}, found {', '.join(sorted({*found})) or 'no videos at all'}"
    )


def no_activities(subset: str, videos: int) -> str:
    """Return the message for a subset whose ``videos`` have no activities."""
    return f"expected activities in the subset {subset!r}, found none in {videos} videos"


def read_list(folder: Path) -> tuple[list[ListedVideo], list[Problem]]:
    """Read the list of videos and all problems in it; a line with a problem leaves the others as they are."""
    file = folder / VIDEOS
    try:
        lines = read_text(file, errors="replace").split("\n")
    except FileNotFoundError:
        return [], [Problem(str(file), "", f"expected {VIDEOS} in the folder, found none")]
    except (OSError, ValueError) as error:
        return [], [Problem(str(file), "", reason_of(error))]
    rows = [(number, line) for number, line in enumerate(lines, start=1) if line.strip(", \t")]
    if not rows:
        return [], [Problem(str(file), "", "expected columns video and subset, got an empty file")]
    (number, header), *rows = rows
    columns = _cells(header)
    if not {"video", "subset"} <= set(columns):
        wanted = "expected columns video and subset, separated by commas"
        return [], [Problem(str(file), f"line {number}", f"{wanted}, got {header!r:.100}")]
    reader = _ListReader(file, columns)
    for number, line in rows:
        reader.add(number, _cells(line))
    return reader.listed, reader.all_problems()


def _cells(line: str) -> list[str]:
    # Line by line, so that a quotation mark that is never closed cannot swallow the lines below.
    try:
        return [cell.strip() for cell in next(csv.reader([line]))]
    except csv.Error:  # a cell longer than the module reads
        return []


class _ListReader:
    """Lines of the list looked at so far, and problems by kind."""

    def __init__(self, file: Path, columns: Sequence[str]) -> None:
        self._file = str(file)
        self._columns = columns.index("video"), columns.index("subset")
        self._lines: dict[str, ListedVideo] = {}
        self._problems: list[Problem] = []
        self._unknown: dict[str, list[int]] = defaultdict(list)
        self._twice: list[tuple[int, ListedVideo]] = []

    @property
    def listed(self) -> list[ListedVideo]:
        """The videos, in order, each once."""
        return list(self._lines.values())

    def add(self, line: int, cells: Sequence[str]) -> None:
        """Look at one line."""
        if len(cells) <= max(self._columns):
            wanted = f"expected at least {max(self._columns) + 1} columns"
            self._problems.append(Problem(self._file, f"line {line}", f"{wanted}, got {len(cells)}"))
            return
        name, subset = (cells[column] for column in self._columns)
        if not name or {*name} & {"/", "\\", "\ufffd"} or path_fault(f"{name}.csv"):
            what = "text in UTF-8" if "\ufffd" in name else "a name without a folder"
            self._problems.append(Problem(self._file, f"line {line}", f"expected {what}, got {name!r:.80}"))
        elif subset not in SUBSETS:
            self._unknown[subset].append(line)
        elif name in self._lines:
            self._twice.append((line, self._lines[name]))
        else:
            self._lines[name] = ListedVideo(name, subset, line)

    def all_problems(self) -> list[Problem]:
        """Problems of all lines; those that may be everywhere are one problem each."""
        problems = self._problems[:]
        for subset, lines in self._unknown.items():
            message = f"unknown subset {subset!r:.40} (expected {', '.join(SUBSETS)})"
            problems.append(Problem(self._file, lines_text(lines), message))
        if self._twice:
            names = [f"{first.name} (line {first.line}, {first.subset})" for _, first in self._twice]
            message = f"listed before: {shortened(names)}; delete one line of each"
            problems.append(Problem(self._file, lines_text([line for line, _ in self._twice]), message))
        return problems


def lines_text(lines: Sequence[int]) -> str:
    """Return ``line 3``, or ``lines 3, 4 and 7 more``."""
    return f"line{'s' if len(lines) > 1 else ''} {shortened([str(line) for line in lines])}"


def read_entries(folder: Path) -> tuple[dict[str, Any] | None, list[Problem]]:
    """Read the JSON file of annotations, without checking its entries; None if it cannot be read."""
    file = folder / ANNOTATIONS
    try:
        content, faults = parse_json_with_faults(read_text(file))
    except FileNotFoundError:
        return None, [Problem(str(file), "", f"expected {ANNOTATIONS} in the folder, found none")]
    except (OSError, ValueError) as error:
        return None, [Problem(str(file), "", reason_of(error))]
    if not isinstance(content, dict):
        return None, [Problem(str(file), "", f"expected an object of videos, got {content!r:.40}")]
    if isinstance(content.get("database"), dict):
        other = "this is ActivityNet's own file with the key 'database'"
        fix = "use the file of this name from the published code of BMN or BSN"
        return None, [Problem(str(file), "", f"{other}, expected an object of videos; {fix}")]
    return content, [Problem(str(file), "", shortened(faults))] if faults else []


def annotated(
    listed: Sequence[ListedVideo], entries: Mapping[str, Any], folder: Path
) -> tuple[list[Video], list[Problem]]:
    """Return the ``listed`` videos with their activities, and the problems of all others."""
    problems: list[Problem] = []
    videos, without = [], []
    for row in listed:
        if row.name not in entries:
            if row.subset != "testing":
                without.append(row)
            continue
        reader = _EntryReader(str(folder / ANNOTATIONS), row)
        video = reader.read(entries[row.name])
        problems += reader.problems
        if video is not None:
            videos.append(video)
    if without:
        problems.insert(0, _without_entry(without, entries, folder, none_has=len(without) == len(listed)))
    return videos, problems


def _without_entry(
    rows: Sequence[ListedVideo], entries: Mapping[str, Any], folder: Path, *, none_has: bool
) -> Problem:
    names = shortened([repr(row.name) for row in rows])
    message = f"video {names} has no entry in {ANNOTATIONS}"
    if len(rows) > 1:
        message = f"{len(rows):,} videos have no entry in {ANNOTATIONS}: {names}"
    fix = "remove these lines, or add the entries"
    if none_has:
        others = f"that file has {len(entries):,} other videos ({shortened([*entries])})"
        fix = f"{others}; use two files of the same release"
    return Problem(str(folder / VIDEOS), lines_text([row.line for row in rows]), f"{message}; {fix}")


class _EntryReader:
    """Reads the entry of one video and collects its problems."""

    def __init__(self, file: str, row: ListedVideo) -> None:
        self._file, self._row = file, row
        self.problems: list[Problem] = []

    def read(self, entry: Any) -> Video | None:
        """Return the video, or None if its entry has problems."""
        if not isinstance(entry, dict):
            self._report(
                "", f"expected an object with {', '.join(_NUMBERS)} and annotations, got {entry!r:.40}"
            )
            return None
        for key in _NUMBERS:
            if not self._is_sound(entry.get(key), least=_NUMBERS[key]):
                self._report("", f"expected {key} of at least {_NUMBERS[key]:g}, got {entry.get(key)!r:.40}")
        if not self.problems:
            self._check_frames(entry["feature_frame"], entry["duration_frame"])
        duration: Any = entry.get("duration_second")
        end_s = float(duration) if self._is_sound(duration, least=_SHORTEST_S) else math.inf
        segments, labels = self._activities(entry.get("annotations"), end_s)
        if self.problems:
            return None
        sizes = (float(entry["duration_second"]), int(entry["duration_frame"]), int(entry["feature_frame"]))
        return Video(self._row.name, self._row.subset, *sizes, segments, labels)

    def _check_frames(self, with_features: float, frames: float) -> None:
        # The official features of short videos go up to 12 % beyond the end.
        if with_features > _MOST_BEYOND * frames:
            self._report(
                "",
                f"expected feature_frame of at most {_MOST_BEYOND} times duration_frame, "
                f"got {with_features:g} and {frames:g}",
            )

    @staticmethod
    def _is_sound(number: Any, *, least: float) -> bool:
        return _is_finite(number) and least <= number <= _LARGEST

    def _report(self, place: str, message: str) -> None:
        self.problems.append(Problem(self._file, f"{self._row.name}{place}", message))

    def _activities(self, entries: Any, end_s: float) -> tuple[npt.NDArray[np.float64], tuple[str, ...]]:
        if not isinstance(entries, list):
            self._report("", f"expected a list of annotations, got {entries!r:.40}")
            return np.empty((0, 2)), ()
        segments, labels = [], []
        for number, entry in enumerate(entries, start=1):
            segment = entry.get("segment") if isinstance(entry, dict) else None
            label = entry.get("label") if isinstance(entry, dict) else None
            fault = _segment_fault(segment, end_s)
            if fault:
                self._report(f", annotation {number}", fault)
            if not (isinstance(label, str) and label.strip()):
                self._report(f", annotation {number}", f"expected a label, got {label!r:.40}")
            segments.append([0.0, 0.0] if fault else segment)
            labels.append(str(label))
        return np.array(segments, dtype=np.float64).reshape(-1, 2), tuple(labels)


def _segment_fault(segment: Any, end_s: float) -> str | None:
    """Return what is wrong with a segment of a video that ends at ``end_s``."""
    if not (isinstance(segment, list) and len(segment) == 2 and all(map(_is_finite, segment))):
        return f"expected a segment [start, end] in seconds, got {segment!r:.60}"
    start, end = segment
    if start > end:
        return f"expected a segment with its start at or before its end, got {segment}"
    if start < 0:
        return f"expected a segment inside the video, got {segment}, which starts before 0 s"
    if start > end_s or end > end_s + PAST_END_S:
        beyond = (
            f"which {'lies' if start > end_s else 'ends'} after it; correct the segment or duration_second"
        )
        return f"expected a segment inside the video of {end_s:g} s, got {segment}, {beyond}"
    return None


def _is_finite(value: Any) -> bool:
    return is_number(value) and math.isfinite(value)


def past_end_s(video: Video) -> npt.NDArray[np.float64]:
    """Return how many seconds each activity ends after its video; 0 for those inside."""
    return np.maximum(video.segments_s[:, 1] - video.duration_s, 0.0)
