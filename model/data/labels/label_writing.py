"""Label files of a data folder, written from annotations."""

import json
import re
from collections.abc import Container, Sequence
from itertools import chain, count
from pathlib import Path
from typing import Any

from model.data.labels.annotation_files import Annotation
from model.data.layout.description import (
    DESCRIPTION_FILE,
    DatasetDescription,
    UnknownLabelError,
    read_description,
)
from model.data.layout.description_text import add_table, classes_of_labels, description_document
from model.documents import parse_json, read_limited
from model.errors import DataError, Problem
from model.files import write_whole
from model.timeline import PART, annotated

_KEPT = ".old"
"""Ending of the copy of a label file from which annotations were taken out; later ones have a number too."""
_MAX_BYTES = 16 << 20
_PART = re.compile(rf"\s*({PART})(?![0-9])")


def declare_classes(root: Path, labels: Sequence[str]) -> bool:
    """Add a class for every label to the ``dataset.toml`` of ``root``, unless it has classes.

    Raises:
        DataError: The file cannot be read, there are no labels, or they give no distinct names of classes. In
            the last case the file is there without classes, for the user to add them.
    """
    document = description_document(root)
    if "classes" in document or "labels" in document:
        return False
    if not labels:
        raise DataError(
            f"the annotations have no event to make a class of, and {DESCRIPTION_FILE} has no classes",
            fix="write the labels of a file with events first, such as those of the training split",
        )
    fix = (
        f"add a line [classes] at the end of {root / DESCRIPTION_FILE}, and below it a line for each class "
        'such as goal = ["label", "label"]'
    )
    try:
        classes = classes_of_labels(sorted(set(labels)), fix=fix)
    except DataError:
        add_table(root, {})
        raise
    add_table(root, {"classes": classes})
    return True


def each_once(annotations: Sequence[tuple[Path, Annotation]]) -> list[tuple[Path, Annotation]]:
    """Return the annotations but those that have game, part, time and label of an earlier one."""
    first: dict[tuple[str, int, float, str], tuple[Path, Annotation]] = {}
    for file, each in annotations:
        first.setdefault((each.game, each.part, each.time_s, each.label), (file, each))
    return list(first.values())


def write_labels(
    root: Path, annotations: Sequence[tuple[Path, Annotation]], empty: Sequence[tuple[str, int]] = ()
) -> tuple[dict[str, int], list[Path]]:
    """Write the label files of the games; annotations of other parts and other keys of a file stay.

    A file that has annotations of the same parts which are not among the new ones is kept as a copy.

    Args:
        root: The data folder.
        annotations: Annotations, each with the file that it comes from.
        empty: Games and parts in which nothing happens.

    Returns:
        Game -> number of actions in its label file, and the copies of earlier files.

    Raises:
        DataError: Labels belong to no class of the data set, all of which are listed, or a label file that is
            there cannot be read. Then nothing is written.
    """
    description = read_description(root)
    _check_labels(description, annotations)
    by_game: dict[str, list[Annotation]] = {}
    parts: dict[str, set[int]] = {}
    for _, annotation in annotations:
        by_game.setdefault(annotation.game, []).append(annotation)
        parts.setdefault(annotation.game, set()).add(annotation.part)
    for game, part in empty:
        by_game.setdefault(game, [])
        parts.setdefault(game, set()).add(part)
    files = {game: root / game / description.labels_file for game in by_game}
    before = {game: _label_document(file, game) for game, file in files.items()}
    counts, copies = {}, []
    for game, new in by_game.items():
        entries = _with_others(before[game]["annotations"], new, parts[game])
        if any(entry not in entries for entry in before[game]["annotations"]):
            copies.append(_copied(files[game]))
        files[game].parent.mkdir(parents=True, exist_ok=True)
        content = {**before[game], "annotations": entries}
        write_whole(files[game], json.dumps(content, indent=1, ensure_ascii=False).encode())
        counts[game] = len(entries)
    return counts, copies


def _check_labels(description: DatasetDescription, annotations: Sequence[tuple[Path, Annotation]]) -> None:
    problems = [
        Problem(str(file), annotation.place, fault)
        for file, annotation in annotations
        if (fault := _label_fault(description, annotation.label))
    ]
    if problems:
        raise DataError(f"some labels belong to no class of {DESCRIPTION_FILE}", problems)


def _label_fault(description: DatasetDescription, label: str) -> str:
    try:
        description.class_of(label)
    except UnknownLabelError as error:
        return str(error)
    return ""


def _with_others(
    before: Sequence[dict[str, Any]], new: Sequence[Annotation], parts: Container[int]
) -> list[dict[str, Any]]:
    """Return ``new``, which replace those of ``parts``, and what there was before of others, by time."""
    kept = [entry for entry in before if _part_of(entry) not in parts]
    entries = [
        annotated(each.part, round(1000 * each.time_s), each.label)
        for each in sorted(new, key=lambda each: (each.part, each.time_s))
    ]
    return sorted([*kept, *entries], key=_part_of)


def _label_document(file: Path, game: str) -> dict[str, Any]:
    """Return the content of a label file, or that of a new one."""
    if not file.is_file():
        return {"UrlLocal": f"{game}/", "annotations": []}
    try:
        document: dict[str, Any] = parse_json(read_limited(file, _MAX_BYTES))
        if not all(isinstance(entry, dict) for entry in document["annotations"]):
            raise ValueError("expected an object for each annotation")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"the label file that is there cannot be read: {error}", file=file, fix="correct or delete it"
        ) from error
    return document


def _copied(file: Path) -> Path:
    """Copy a file beside itself, under the first name that is free."""
    names = (file.with_name(f"{file.name}{_KEPT}{number}") for number in chain([""], count(2)))
    copy = next(name for name in names if not name.exists())
    write_whole(copy, file.read_bytes())
    return copy


def _part_of(entry: dict[str, Any]) -> int:
    match = _PART.match(str(entry.get("gameTime", "")))
    return int(match[1]) if match else 0
