"""Label files of a data folder, written from annotations."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from model.data.annotation_files import Annotation
from model.data.description import DESCRIPTION_FILE, DatasetDescription, UnknownLabelError, read_description
from model.data.description_text import add_table, class_name, description_document
from model.documents import parse_json, read_limited
from model.errors import DataError, Problem
from model.files import write_whole
from model.timeline import annotated

_MAX_BYTES = 16 << 20


def declare_classes(root: Path, labels: Sequence[str]) -> bool:
    """Add a class for every label to the ``dataset.toml`` of ``root``, unless it has classes.

    Raises:
        DataError: The file cannot be read, or a label gives no name of a class.
    """
    document = description_document(root)
    if "classes" in document or "labels" in document:
        return False
    classes: dict[str, list[str]] = {}
    for label in sorted(set(labels)):
        name = class_name(label)
        if not name:
            raise DataError(
                f"the label {label!r:.60} gives no name of a class",
                file=root / DESCRIPTION_FILE,
                fix='name the classes there: [classes] goal = ["label"]',
            )
        classes.setdefault(name, []).append(label)
    add_table(root, {"classes": classes})
    return True


KEPT = ".old"
"""Ending of the copy of a label file from which annotations were taken out."""


def write_labels(
    root: Path, annotations: Sequence[tuple[Path, Annotation]]
) -> tuple[dict[str, int], list[Path]]:
    """Write the label files of the games; annotations of other parts of a game stay.

    A file that has annotations of the same parts which are not among the new ones is kept as a copy.

    Args:
        root: The data folder.
        annotations: Annotations, each with the file that it comes from.

    Returns:
        Game -> number of actions in its label file, and the copies of earlier files.

    Raises:
        DataError: Labels belong to no class of the data set; all are listed. Then nothing is written.
    """
    description = read_description(root)
    problems = [
        Problem(str(file), annotation.place, fault)
        for file, annotation in annotations
        if (fault := _label_fault(description, annotation.label))
    ]
    if problems:
        raise DataError(f"some labels belong to no class of {DESCRIPTION_FILE}", problems)
    by_game: dict[str, list[Annotation]] = {}
    for _, annotation in annotations:
        by_game.setdefault(annotation.game, []).append(annotation)
    counts, copies = {}, []
    for game, new in by_game.items():
        file = root / game / description.labels_file
        before = _annotations_in(file)
        entries = _with_others(before, new)
        if any(entry not in entries for entry in before):
            copies.append(file.with_name(file.name + KEPT))
            write_whole(copies[-1], file.read_bytes())
        file.parent.mkdir(parents=True, exist_ok=True)
        content = {"UrlLocal": f"{game}/", "annotations": entries}
        write_whole(file, json.dumps(content, indent=1, ensure_ascii=False).encode())
        counts[game] = len(entries)
    return counts, copies


def _label_fault(description: DatasetDescription, label: str) -> str:
    try:
        description.class_of(label)
    except UnknownLabelError as error:
        return str(error)
    return ""


def _with_others(before: Sequence[dict[str, Any]], new: Sequence[Annotation]) -> list[dict[str, Any]]:
    """Return ``new`` and what there was before of other parts, in the order of time."""
    parts = {annotation.part for annotation in new}
    kept = [entry for entry in before if _part_of(entry) not in parts]
    entries = [
        annotated(each.part, round(1000 * each.time_s), each.label)
        for each in sorted(new, key=lambda each: (each.part, each.time_s))
    ]
    return sorted([*kept, *entries], key=_part_of)


def _annotations_in(file: Path) -> list[dict[str, Any]]:
    if not file.is_file():
        return []
    try:
        content = parse_json(read_limited(file, _MAX_BYTES))
        return [entry for entry in content["annotations"] if isinstance(entry, dict)]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"the label file that is there cannot be read: {error}", file=file, fix="correct or delete it"
        ) from error


def _part_of(entry: dict[str, Any]) -> int:
    first = str(entry.get("gameTime", "")).strip()[:1]
    return int(first) if first.isdigit() else 0
