"""Class scores of whole videos, in the format of the file published for ActivityNet detection."""

import json
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from model.data.activitynet.texts import read_text, reason_of, shortened
from model.documents import is_number, parse_json_with_faults
from model.errors import DataError, Problem
from model.files import write_whole
from model.wording import counted

CLASS_SCORES = "cuhk_val_simp_share.json"
"""Name of the published file of class scores."""


WITHOUT_SCORES = "use the file that covers these videos, or remove it to train without class scores"
"""Advice if the file does not fit; without it, everything but Average-mAP is computed."""


@dataclass(frozen=True, slots=True, eq=False)
class ClassScores:
    """Class scores of whole videos."""

    classes: tuple[str, ...]
    """All classes of the file, in its order."""
    scores: npt.NDArray[np.float64]
    """Scores (videos, classes) from 0 to 1."""


def read_class_scores(file: Path, videos: Sequence[str], labels: Collection[str]) -> ClassScores:
    """Read ``{"results": {video: [scores]}, "class": [names]}``; the file names videos without ``v_``.

    Args:
        file: Path of the file.
        videos: Names of the videos to read, in the order of the result.
        labels: Classes that the file must contain.

    Raises:
        DataError: The file is missing or invalid; every problem is listed.
    """
    try:
        content, faults = parse_json_with_faults(read_text(file))
    except FileNotFoundError:
        raise DataError(
            f"expected {file.name} with the class scores, found none", folder=file.parent
        ) from None
    except (OSError, ValueError) as error:
        raise DataError("the class scores are invalid", [Problem(str(file), "", reason_of(error))]) from None
    results, names = _parts(content, file)
    unknown = [Problem(str(file), "", shortened(faults))] if faults else []
    unknown += [
        Problem(str(file), "class", f"class {name!r} is missing") for name in sorted({*labels} - {*names})
    ]
    unknown += [
        Problem(str(file), "class", f"class {name!r} is listed {counted(times, 'time')}, expected once")
        for name, times in Counter(names).items()
        if times > 1
    ]
    rows = [results.get(video.removeprefix("v_")) for video in videos]
    without = [video for video, row in zip(videos, rows, strict=True) if row is None]
    if without:
        message = f"{len(without):,} of {len(videos):,} videos have no scores: {shortened(without)}"
        unknown.append(Problem(str(file), "results", f"{message}; {WITHOUT_SCORES}"))
    wrong = [
        Problem(str(file), video, f"expected {len(names)} scores from 0 to 1, got {row!r:.40}")
        for video, row in zip(videos, rows, strict=True)
        if row is not None and not _is_row(row, len(names))
    ]
    if unknown or wrong:
        raise DataError("the class scores are invalid", [*unknown, *wrong])
    return ClassScores(tuple(names), np.array(rows, dtype=np.float64).reshape(len(rows), len(names)))


def write_class_scores(
    file: Path, videos: Sequence[str], classes: Sequence[str], scores: npt.NDArray[np.float64]
) -> None:
    """Write scores (videos, classes) in the format of ``read_class_scores``."""
    results = {video.removeprefix("v_"): row for video, row in zip(videos, scores.tolist(), strict=True)}
    write_whole(file, json.dumps({"results": results, "class": list(classes)}).encode())


def _parts(content: Any, file: Path) -> tuple[dict[str, Any], list[str]]:
    results = content.get("results") if isinstance(content, dict) else None
    names = content.get("class") if isinstance(content, dict) else None
    if isinstance(results, dict) and isinstance(names, list) and all(isinstance(name, str) for name in names):
        return results, names
    expected = 'expected {"results": {video: [scores]}, "class": [names]}'
    raise DataError("the class scores are invalid", [Problem(str(file), "", expected)])


def _is_row(row: Any, length: int) -> bool:
    return (
        isinstance(row, list)
        and len(row) == length
        and all(is_number(value) and 0 <= value <= 1 for value in row)
    )
