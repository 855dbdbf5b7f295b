"""Label files: the actions of one game; one bad annotation hides no other."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from model.data.layout.description import DatasetDescription, UnknownLabelError
from model.documents import decode_text, parse_json_with_faults, read_limited
from model.errors import DataError, Problem
from model.files import broken_link, files_below
from model.timeline import parse_game_time
from model.wording import counted

_MAX_BYTES = 16 << 20
_LONGEST_HALF_S = 86_400.0
_DECIMAL = re.compile(r"[0-9]{1,15}(\.[0-9]{1,15})?")
_VISIBLE = {"visible": True, "not shown": False}


@dataclass(frozen=True, slots=True)
class Action:
    """One annotated action."""

    half: int
    """Number of the half: 1, 2, or more in games of several periods."""
    time_s: float
    """Seconds since the start of the half."""
    class_index: int
    visible: bool
    """False if the action was not shown on screen."""
    annotation: int = 0
    """Number of the annotation in its file, from 0."""
    clock_s: float | None = None
    """Time in ``gameTime`` if the annotation also has ``position``, which ``time_s`` then comes from."""


@dataclass(frozen=True, slots=True)
class LabelFile:
    """Content of one label file as far as it can be read."""

    path: Path
    actions: tuple[Action, ...]
    """Actions in the order of the file, without ignored labels."""
    problems: tuple[Problem, ...] = ()
    """One problem for every annotation that cannot be read."""
    unread_classes: frozenset[int] = frozenset()
    """Classes of annotations that cannot be read."""
    hides_classes: bool = False
    """Whether the class of an annotation, or the whole file, cannot be read."""
    is_missing: bool = False
    """Whether there is no such file."""


def read_labels(path: Path, description: DatasetDescription) -> LabelFile:
    """Read one label file.

    The time of an action is ``position`` (milliseconds) if the annotation has it, as in SoccerNet's
    evaluation, else the second in ``gameTime``.
    """
    try:
        annotations, faults = _annotations(path)
    except (OSError, ValueError) as error:
        broken = broken_link(path)
        is_missing = broken is None and isinstance(error, FileNotFoundError)
        problem = Problem(str(path), "", "no such file" if is_missing else broken or str(error))
        return LabelFile(path, (), (problem,), hides_classes=True, is_missing=is_missing)
    actions: list[Action] = []
    problems = [Problem(str(path), "", fault) for fault in faults]
    unread: set[int] = set()
    hides_classes = False
    for index, annotation in enumerate(annotations):
        class_index: int | None = None
        try:
            class_index = description.class_of(_label_of(annotation))
            if class_index is not None:
                actions.append(_action(annotation, class_index, index))
        except (ValueError, UnknownLabelError) as error:
            problems.append(Problem(str(path), f"annotation {index}", str(error)))
            hides_classes |= class_index is None
            unread |= set() if class_index is None else {class_index}
    return LabelFile(path, tuple(actions), tuple(problems), frozenset(unread), hides_classes)


def read_actions(path: Path, description: DatasetDescription) -> tuple[Action, ...]:
    """Read the actions of a label file in which every annotation must be readable.

    Raises:
        DataError: The file is not a label file or has invalid annotations; every one is listed ("annotation
            0" is the first).
    """
    labels = read_labels(path, description)
    if labels.problems:
        raise DataError(
            f"the label file has {counted(len(labels.problems), 'problem')}", labels.problems, file=path
        )
    return labels.actions


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
            found.update(map(_label_of, _annotations(file)[0]))
        except (OSError, ValueError) as error:
            raise DataError(
                'expected {"annotations": [{"gameTime": "1 - 07:32", "label": "goal"}, ...]}',
                file=file,
                reason=error,
            ) from None
    return found


def _annotations(path: Path) -> tuple[list[Any], list[str]]:
    """Return the annotations of a file, and faults in single places of it."""
    try:
        content, faults = parse_json_with_faults(decode_text(read_limited(path, _MAX_BYTES)))
    except ValueError as error:
        raise ValueError(f"not a valid JSON file: {error}") from error
    annotations = content.get("annotations") if isinstance(content, dict) else None
    if not isinstance(annotations, list):
        raise ValueError('"annotations" is missing or not a list (expected {"annotations": [...]})')
    return annotations, faults


def _label_of(annotation: object) -> str:
    if not isinstance(annotation, dict):
        raise ValueError(f"expected an object, got {annotation!r:.60}")
    label = annotation.get("label")
    if not isinstance(label, str):
        raise ValueError(_missing_or_wrong("label", label, "a string"))
    return label


def _action(annotation: Mapping[str, Any], class_index: int, index: int) -> Action:
    game_time = annotation.get("gameTime")
    if game_time is None:
        raise ValueError(_missing_or_wrong("gameTime", game_time, 'such as "1 - 07:32"'))
    half, clock_s = parse_game_time(str(game_time))
    if half < 1:
        raise ValueError(f'"gameTime" is {game_time!r:.60} (expected a half from 1 on)')
    has_position = "position" in annotation
    time_s = _milliseconds(annotation["position"]) / 1000.0 if has_position else clock_s
    if time_s > _LONGEST_HALF_S:
        raise ValueError(f"the action is {time_s:g} s after the start of its half (expected at most a day)")
    visible = _visible(annotation)
    return Action(half, time_s, class_index, visible, index, clock_s if has_position else None)


def _missing_or_wrong(key: str, value: object, expected: str) -> str:
    state = "missing" if value is None else repr(value)[:60]
    return f'"{key}" is {state} (expected {expected})'


def _milliseconds(value: object) -> float:
    written = isinstance(value, str) and _DECIMAL.fullmatch(value) is not None
    if (type(value) in (int, float) or written) and 0 <= (position := float(str(value))) < float("inf"):
        return position
    raise ValueError(f'"position" is {value!r:.60} (expected milliseconds since the start of the half)')


def _visible(annotation: Mapping[str, object]) -> bool:
    visibility = annotation.get("visibility", "visible")
    if not isinstance(visibility, str) or visibility not in _VISIBLE:
        raise ValueError(f'"visibility" is {visibility!r:.60} (expected "visible" or "not shown")')
    return _VISIBLE[visibility]
