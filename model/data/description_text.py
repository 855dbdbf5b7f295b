"""Text of a ``dataset.toml`` to which commands add tables; everything that a person wrote stays."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tomli_w

from model.data.description import DESCRIPTION_FILE, SPLITS
from model.documents import MAX_TOML_BYTES, decode_text, parse_toml, read_limited
from model.errors import DataError
from model.files import write_whole


def description_document(root: Path) -> dict[str, Any]:
    """Return the content of the ``dataset.toml`` in ``root``, or that of a new one.

    Raises:
        DataError: The file cannot be read as TOML.
    """
    return _parsed(root, _text(root))


def add_table(root: Path, table: Mapping[str, Any]) -> None:
    """Add a table at the end of the ``dataset.toml`` in ``root``; the file is created if it is missing.

    Raises:
        DataError: The file cannot be read, or contradicts the table.
    """
    text = f"{_text(root).rstrip()}\n\n{tomli_w.dumps(table)}"
    _parsed(root, text)
    write_whole(root / DESCRIPTION_FILE, text.encode())


def _text(root: Path) -> str:
    file = root / DESCRIPTION_FILE
    if file.is_file():
        try:
            return decode_text(read_limited(file, MAX_TOML_BYTES))
        except (OSError, ValueError) as error:
            raise DataError("this data set description cannot be read", file=file, reason=error) from error
    splits = {split: f"{split}.txt" for split in SPLITS}
    return tomli_w.dumps({"name": root.resolve().name, "labels_file": "Labels.json", "splits": splits})


def _parsed(root: Path, text: str) -> dict[str, Any]:
    try:
        return parse_toml(text)
    except ValueError as error:
        raise DataError(
            f"this file is not valid TOML, or has some of what is to be added: {error}",
            file=root / DESCRIPTION_FILE,
        ) from error
