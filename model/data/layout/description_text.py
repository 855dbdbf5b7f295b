"""Text of a ``dataset.toml`` to which commands add tables; everything that a person wrote stays."""

import re
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import tomli_w

from model.data.layout.description import (
    DESCRIPTION_FILE,
    LABELS,
    SPLITS,
    advice_to_read,
    builtin_description,
    parse_description,
    soccernet_games,
    usual_labels,
)
from model.data.layout.description_table import ALL_CLASSES
from model.documents import MAX_TOML_BYTES, decode_text, parse_toml, read_limited
from model.errors import DataError
from model.files import write_whole
from model.locks import locked

_LOCK = ".changing.lock"
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9._-]+")


def description_document(root: Path) -> dict[str, Any]:
    """Return the content of the ``dataset.toml`` in ``root``, or that of a new one.

    Raises:
        DataError: The file cannot be read as TOML.
    """
    text = _text(root)
    try:
        return parse_toml(text)
    except ValueError as error:
        file = root / DESCRIPTION_FILE
        raise DataError(f"this file is not valid TOML: {error}", file=file) from error


def class_name(label: str) -> str:
    """Return the name of the class of a label: lower case, with a hyphen for what names do not have."""
    return _NOT_IN_NAMES.sub("-", label).strip("-._").lower()


def classes_of_labels(labels: Iterable[str], *, fix: str) -> dict[str, tuple[str, ...]]:
    """Return class name -> its labels; those that differ only in case and blanks around them share a class.

    Args:
        labels: Texts of labels.
        fix: Advice for labels without distinct names.

    Raises:
        DataError: A label gives no class name, different labels give the same (all are listed), or a label
            gives the name that stands for all classes.
    """
    classes: dict[str, list[str]] = {}
    for label in dict.fromkeys(labels):
        classes.setdefault(class_name(label), []).append(label)
    wrong = [
        f"{repr(name) if name else 'no name'} from {', '.join(map(repr, own))}"
        for name, own in classes.items()
        if not name or len({label.strip().casefold() for label in own}) > 1
    ]
    if ALL_CLASSES in classes:
        own = ", ".join(map(repr, classes[ALL_CLASSES]))
        raise DataError(
            f"{ALL_CLASSES!r} from {own} cannot be a class name: in study files it stands for all "
            "classes that are not named",
            fix=fix,
        )
    if wrong:
        raise DataError(f"labels have no distinct class names: {'; '.join(wrong)}", fix=fix)
    return {name: tuple(own) for name, own in classes.items()}


def changing(root: Path) -> AbstractContextManager[None]:
    """Lock description and lists of the data folder ``root``, so that no other process changes what is read.

    Raises:
        StorageError: The file system has no locks.
    """
    return locked(root / _LOCK)


def add_table(root: Path, table: Mapping[str, Any]) -> None:
    """Add a table at the end of the ``dataset.toml`` in ``root``; the file is created if it is missing.

    Raises:
        DataError: The file cannot be read, contradicts the table, or has classes and is invalid.
    """
    write_whole(root / DESCRIPTION_FILE, text_with(root, table).encode())


def text_with(root: Path, table: Mapping[str, Any]) -> str:
    """Return the text of the ``dataset.toml`` in ``root``, or of a new one, with a table at its end.

    Raises:
        DataError: The file cannot be read, contradicts the table, or has classes and is invalid.
    """
    text, file = f"{_text(root).rstrip()}\n\n{tomli_w.dumps(table)}", root / DESCRIPTION_FILE
    try:
        document = parse_toml(text)
    except ValueError as error:
        description_document(root)  # the file may have been invalid before
        raise DataError(
            f"this file has some of what is to be added, or has it in braces: {error}",
            file=file,
            fix=f"write {' and '.join(f'[{key}]' for key in table)} on a line of its own, its keys below it",
        ) from error
    if document.keys() & {"classes", "labels"}:  # else it is not finished, and nothing can read it yet
        parse_description(text, source=str(file))
    return text


def labels_chosen(root: Path) -> str:
    """Say which version of SoccerNet's labels a new ``dataset.toml`` gets; empty unless games have both."""
    games = soccernet_games(root)
    if (root / DESCRIPTION_FILE).is_file() or not all(games.values()):
        return ""
    chosen = usual_labels(games)
    (other,) = LABELS.keys() - {chosen}
    read = builtin_description(LABELS[chosen])
    return (
        f"games have labels of both versions: {DESCRIPTION_FILE} says that {read.labels_file} ({chosen}, "
        f"{len(read.classes)} classes) is read; for the other {advice_to_read(other)}"
    )


def _text(root: Path) -> str:
    file = root / DESCRIPTION_FILE
    if file.is_file():
        try:
            return decode_text(read_limited(file, MAX_TOML_BYTES))
        except (OSError, ValueError) as error:
            raise DataError("this data set description cannot be read", file=file, reason=error) from error
    games = soccernet_games(root)
    if any(games.values()):  # SoccerNet's folder, which has needed no description so far
        return tomli_w.dumps({"labels": usual_labels(games)})
    splits = {split: f"{split}.txt" for split in SPLITS}
    return tomli_w.dumps({"name": root.resolve().name, "labels_file": "Labels.json", "splits": splits})
