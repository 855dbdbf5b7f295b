"""Write spots in the format of SoccerNet's evaluation: one ``results_spotting.json`` per game."""

import json
import math
from collections.abc import Sequence
from pathlib import Path

from model.data.layout.description import LABELS, builtin_description
from model.files import write_whole
from model.spots import Spots
from model.timeline import FrameRate, annotated

SPOTS_FILE = "results_spotting.json"


def label_texts(classes: Sequence[str]) -> tuple[str, ...]:
    """Return the labels of ``classes`` in label files: SoccerNet's labels for its classes, else the names.

    It serves networks whose file does not contain the labels.
    """
    for name in LABELS.values():
        description = builtin_description(name)
        if description.classes == tuple(classes):
            return description.label_texts
    return tuple(classes)


def write_spots(
    folder: Path, spots: Spots, *, game: str, labels: Sequence[str], frame_rate: FrameRate
) -> Path:
    """Write the spots of one game atomically, the most confident first.

    Args:
        folder: Folder of the results of all games; the file lies under the game's path in it.
        spots: Spots of the game; half 0 is the first, 1 the second.
        game: Path of the game within a data folder, ``<league>/<season>/<game>``.
        labels: Label of every class.
        frame_rate: Frame rate of ``spots``.

    Returns:
        Path of the file.
    """
    order = spots.score.argsort(kind="stable")[::-1]
    rows = zip(
        spots.half[order].tolist(),
        spots.frame[order].tolist(),
        spots.class_index[order].tolist(),
        spots.score[order].tolist(),
        strict=True,
    )
    predictions = [
        _prediction(half + 1, frame, labels[index], score, frame_rate) for half, frame, index, score in rows
    ]
    file = folder / game / SPOTS_FILE
    file.parent.mkdir(parents=True, exist_ok=True)
    content = {"UrlLocal": f"{game}/", "predictions": predictions}
    write_whole(file, json.dumps(content, indent=1).encode())
    return file


def _prediction(half: int, frame: int, label: str, score: float, frame_rate: FrameRate) -> dict[str, str]:
    moment = annotated(half, _milliseconds(frame, frame_rate), label)
    return {**moment, "half": str(half), "confidence": repr(score)}


def _milliseconds(frame: int, frame_rate: FrameRate) -> int:
    """First whole millisecond that a reader who truncates to frames takes for ``frame``."""
    milliseconds = math.ceil(1000 * frame_rate.to_seconds(frame) - 1e-6)
    rounded_down = int(frame_rate.per_second * (milliseconds / 1000)) < frame
    return milliseconds + rounded_down
