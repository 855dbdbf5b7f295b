"""Files with points that a search tries first (``--try FILE``)."""

import csv
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hpo.config.symbol_tables import symbols_in_table
from model.documents import (
    MAX_TOML_BYTES,
    column_separator,
    decode_text,
    parse_json,
    parse_toml,
    read_limited,
    without_separator_line,
)
from model.errors import ConfigError

_MAX_BYTES = 16 << 20
"""Largest CSV or JSON file that is read."""
_LISTS = ("try", "best")
"""Keys of the list of points: of a TOML file, and of the output of ``hpo best --json``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TypedPoints:
    """Points as a user wrote them, not yet checked: symbol or name of a hyperparameter -> value."""

    source: str
    """File, or key of the study file, for errors."""
    rows: Sequence[Mapping[str, Any]]
    cells: Sequence[Mapping[str, str]] = ()
    """Rows as they are written in a CSV file, where nothing tells the text ``1`` from the number."""


def read_points(file: Path) -> TypedPoints:
    """Read points from a CSV, JSON or TOML file.

    A CSV file has symbols in its first line and a point in every other; an empty cell is a missing value. A
    JSON file is a list of tables, one table, or the output of ``hpo best --json``. A TOML file has tables
    ``[[try]]``, or is one table.

    Raises:
        ConfigError: The file cannot be read, or has no point.
    """
    readers = {".csv": _csv_points, ".json": _json_points, ".toml": _toml_points}
    if file.suffix not in readers:
        raise ConfigError(f"expected --try FILE ending in .csv, .json or .toml, got {str(file)!r}")
    try:
        content = read_limited(file, MAX_TOML_BYTES if file.suffix == ".toml" else _MAX_BYTES)
        points = readers[file.suffix](content, file)
    except (OSError, ValueError, csv.Error) as error:
        raise ConfigError(f"cannot read the points to try: {error}", file=file) from None
    if not points.rows:
        raise ConfigError("expected one or more points to try, got none", file=file)
    return points


def _csv_points(content: bytes, file: Path) -> TypedPoints:
    text = decode_text(content)
    separator = column_separator(text)
    cells = list(_csv_cells(text, separator, file))
    rows = [
        {name: _value(cell, decimal_comma=separator == ";") for name, cell in row.items()} for row in cells
    ]
    return TypedPoints(source=str(file), rows=rows, cells=cells)


def _csv_cells(text: str, separator: str, file: Path) -> Iterator[Mapping[str, str]]:
    """Yield the filled cells of every row by the symbol in the first line."""
    table = io.StringIO(without_separator_line(text), newline="")
    lines = filter(any, csv.reader(table, delimiter=separator, strict=True))
    header = [name.strip() for name in next(lines, [])]
    if len(set(header)) < len(header) or "" in header:
        raise ConfigError("expected different symbols in the first line, got " + ",".join(header), file=file)
    for number, cells in enumerate(lines, start=1):
        if len(cells) != len(header):
            raise ConfigError(
                f"expected {len(header)} cells as in the first line, got {len(cells)}", file=file, row=number
            )
        yield {name: cell.strip() for name, cell in zip(header, cells, strict=True) if cell.strip()}


def _value(cell: str, *, decimal_comma: bool) -> int | float | str:
    """Return a number, or the text if it is no finite number: a choice may be called ``nan``."""
    written = cell.replace(",", ".") if decimal_comma else cell
    for kind in (int, float):
        with suppress(ValueError, OverflowError):
            if math.isfinite(number := kind(written)):
                return number
    return cell


def _json_points(content: bytes, file: Path) -> TypedPoints:
    return _points(parse_json(content), file)


def _toml_points(content: bytes, file: Path) -> TypedPoints:
    return _points(parse_toml(content), file)


def _points(document: Any, file: Path) -> TypedPoints:
    if isinstance(document, dict):
        lists = [document[key] for key in _LISTS if isinstance(document.get(key), list)]
        document = lists[0] if lists else [document]
    if not isinstance(document, list):
        raise ConfigError(f"expected a list of points, got {document!r:.60}", file=file)
    return TypedPoints(source=str(file), rows=[symbols_in_table(row, file) for row in document])
