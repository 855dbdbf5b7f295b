"""Folder that a data set is generated or converted into: claimed first, described at the end."""

from pathlib import Path

from model.data.layout.description import (
    DESCRIPTION_FILE,
    SPLITS,
    UNFINISHED,
    DatasetDescription,
    read_description,
    write_description,
)
from model.errors import DataError
from model.files import write_whole


def begin(root: Path, name: str) -> None:
    """Make the folder ``root`` for the data set ``name``, which is complete only after ``finish``.

    A folder that has this data set already, whole or begun, is written again.

    Raises:
        DataError: The folder contains another data set, or lists of games of which nothing says whose they
            are.
    """
    if not _is_free(root, name):
        raise DataError("the target folder contains another data set", folder=root, fix="choose a new folder")
    root.mkdir(parents=True, exist_ok=True)
    write_whole(root / UNFINISHED, name.encode())
    (root / DESCRIPTION_FILE).unlink(missing_ok=True)


def finish(root: Path, description: DatasetDescription) -> None:
    """Describe the data set in ``root``, whose games and lists are written."""
    write_description(root, description)
    (root / UNFINISHED).unlink()


def _is_free(root: Path, name: str) -> bool:
    if (root / DESCRIPTION_FILE).is_file():
        return read_description(root).name == name
    if (root / UNFINISHED).is_file():
        return (root / UNFINISHED).read_bytes() == name.encode()
    return not any((root / f"{split}.txt").exists() for split in SPLITS)
