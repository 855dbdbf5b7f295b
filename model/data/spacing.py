"""Spacing of annotated actions, read from the label files of a data folder alone."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path, PurePath

import numpy as np

from model.data.description import DatasetDescription
from model.data.label_file import read_actions
from model.documents import decode_text, parse_json, read_limited
from model.errors import DataError
from model.files import files_below

_MAX_BYTES = 16 << 20
_LEAST = 25
"""Percentile of gaps and durations that counts: most are longer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spacing:
    """Times of the actions of one class in all parts of all games."""

    actions: int
    """Number of actions."""
    gap_s: float | None
    """Seconds between neighbours of the class in a part, of which three quarters are farther apart. None if
    no part has two."""


def label_files(root: Path, name: str) -> list[Path]:
    """Return the label files in all folders below ``root``, sorted.

    Args:
        root: The data folder.
        name: Path of the label file in the folder of a game.
    """
    parts = PurePath(name).parts
    return sorted(file for file in files_below(root) if file.parts[-len(parts) :] == parts)


def labels_in(files: Sequence[Path]) -> Counter[str]:
    """Return the label texts of label files with their numbers of annotations.

    Raises:
        DataError: A file is not a label file.
    """
    found: Counter[str] = Counter()
    for file in files:
        try:
            content = parse_json(decode_text(read_limited(file, _MAX_BYTES)))
            found.update(str(annotation["label"]) for annotation in content["annotations"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(
                'expected {"annotations": [{"gameTime": "1 - 07:32", "label": "goal"}, ...]}',
                file=file,
                reason=f"{type(error).__name__}: {error}",
            ) from None
    return found


def spacing(files: Sequence[Path], description: DatasetDescription) -> dict[str, Spacing]:
    """Return the spacing of every class.

    Raises:
        DataError: A label file has invalid annotations.
    """
    counts: Counter[int] = Counter()
    gaps: defaultdict[int, list[float]] = defaultdict(list)
    for times in (times for file in files for times in _times(file, description)):
        for index, own in times.items():
            counts[index] += len(own)
            gaps[index] += list(np.diff(own))
    return {
        name: Spacing(
            actions=counts[index],
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


def most_within(files: Sequence[Path], description: DatasetDescription, duration_s: float) -> int:
    """Return the largest number of actions of all classes within ``duration_s`` of a part.

    Raises:
        DataError: A label file has invalid annotations.
    """
    most = 0
    for times in (times for file in files for times in _times(file, description)):
        every = np.sort(np.concatenate([np.asarray(own) for own in times.values()]))
        ends = np.searchsorted(every, every + duration_s, side="right")
        most = max(most, int((ends - np.arange(len(every))).max()))
    return most


def _times(file: Path, description: DatasetDescription) -> list[dict[int, list[float]]]:
    """Return class -> different seconds, in order, for every part that has actions."""
    parts: defaultdict[int, defaultdict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    for action in read_actions(file, description):
        parts[action.half][action.class_index].append(action.time_s)
    # What was exported twice happened once.
    return [{index: sorted(set(own)) for index, own in part.items()} for part in parts.values()]
