"""Spacing of annotated actions, read from the label files of a data folder alone."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np

from model.data.labels.label_file import read_actions
from model.data.layout.description import DatasetDescription
from model.timeline import FrameRate

_LEAST = 25
"""Percentile of gaps and durations that counts: most are longer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spacing:
    """Times of the actions of one class in all parts of all games."""

    actions: int
    """Number of actions, without twins."""
    twins: int
    """Number of actions left out because another one of the class is on the same frame."""
    gap_s: float | None
    """Seconds between neighbours of the class in a part, of which three quarters are farther apart. None if
    no part has two."""


def spacing(
    files: Sequence[Path], description: DatasetDescription, frame_rate: FrameRate
) -> dict[str, Spacing]:
    """Return the spacing of every class.

    Raises:
        DataError: A label file has invalid annotations.
    """
    counts: Counter[int] = Counter()
    twins: Counter[int] = Counter()
    gaps: defaultdict[int, list[float]] = defaultdict(list)
    for times in (times for file in files for times in _times(file, description)):
        for index, every in times.items():
            own = _without_twins(every, frame_rate)
            counts[index] += len(own)
            twins[index] += len(every) - len(own)
            gaps[index] += list(np.diff(own))
    return {
        name: Spacing(
            actions=counts[index],
            twins=twins[index],
            gap_s=float(np.percentile(gaps[index], _LEAST)) if gaps[index] else None,
        )
        for index, name in enumerate(description.classes)
    }


def seconds_of_parts(files: Sequence[Path], description: DatasetDescription) -> float | None:
    """Return the time of the last action in a part, in seconds; it is later in three quarters of the parts.

    None if there is no action.

    Raises:
        DataError: A label file has invalid annotations.
    """
    last = [max(chain(*times.values())) for file in files for times in _times(file, description)]
    return float(np.percentile(last, _LEAST)) if last else None


def most_within(
    files: Sequence[Path], description: DatasetDescription, frame_rate: FrameRate, duration_s: float
) -> int:
    """Return the largest number of actions of all classes, without twins, within ``duration_s`` of a part.

    Raises:
        DataError: A label file has invalid annotations.
    """
    most = 0
    for times in (times for file in files for times in _times(file, description)):
        every = np.sort(np.concatenate([_without_twins(own, frame_rate) for own in times.values()]))
        ends = np.searchsorted(every, every + duration_s, side="right")
        most = max(most, int((ends - np.arange(len(every))).max()))
    return most


def _times(file: Path, description: DatasetDescription) -> list[dict[int, list[float]]]:
    """Return class -> seconds of its actions, for every part that has actions."""
    parts: defaultdict[int, defaultdict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    for action in read_actions(file, description):
        parts[action.half][action.class_index].append(action.time_s)
    return list(map(dict, parts.values()))


def _without_twins(times_s: Sequence[float], frame_rate: FrameRate) -> list[float]:
    """Return the first time on each frame, in order: annotations of one frame and class are one action."""
    return sorted({frame_rate.frame_at(time_s): time_s for time_s in sorted(times_s, reverse=True)}.values())
